//! The JSON of a packet's message, in the compact form that servers send.

use crate::InteractionTable;

/// Fifteen digits are an exact f64 however they are added up.
const MAX_DIGITS: usize = 15;
/// The packet does not name its channel, or its codec.
const UNNAMED: i8 = -1;

/// A packet as its message describes it.
#[derive(Debug, PartialEq)]
pub struct Packet<'a> {
    /// In the interaction table.
    pub slot: usize,
    pub channel: i8,
    pub codec: i8,
    pub sequence: f64,
    pub timestamp: f64,
    /// In base64.
    pub payload: &'a [u8],
}

/// Parses a message in the compact form, with its keys in any order; None for any other message.
pub fn parse<'a>(message: &'a [u8], table: InteractionTable) -> Option<Packet<'a>> {
    let mut rest = message.strip_prefix(b"{")?;
    let (mut slot, mut sequence, mut timestamp, mut payload) = (None, None, None, None);
    let (mut channel, mut codec) = (UNNAMED, UNNAMED);
    // Of a repeated key the last value counts, as with JSON.parse. A repeated payload is refused: the first value would
    // have to be checked as well, since it may not be a JSON string.
    loop {
        // The first letter tells the keys apart but two, which saves comparisons with those that it cannot be.
        match *rest.get(1)? {
            b'p' => {
                if payload.is_some() {
                    return None;
                }
                (payload, rest) = string(rest.strip_prefix(b"\"payload\":\"")?).map(some_first)?;
            }
            b's' => (sequence, rest) = integer(rest.strip_prefix(b"\"sequenceNumber\":")?).map(some_first)?,
            b't' => (timestamp, rest) = integer(rest.strip_prefix(b"\"timestamp\":")?).map(some_first)?,
            b'i' => {
                // An id in the table has neither quote nor backslash, so one that equals it has no escapes.
                let (id, behind) = string(rest.strip_prefix(b"\"interactionId\":\"")?)?;
                (slot, rest) = (Some(table.find(id)?), behind);
            }
            _ => {
                if let Some(value) = rest.strip_prefix(b"\"channel\":") {
                    let (&digit, behind) = value.split_first()?;
                    channel = match digit {
                        b'0' => 0,
                        b'1' => 1,
                        _ => return None,
                    };
                    rest = behind;
                } else {
                    let (name, behind) = string(rest.strip_prefix(b"\"codec\":\"")?)?;
                    codec = match name {
                        b"pcmu" => 0,
                        b"pcma" => 1,
                        b"l16" => 2,
                        b"opus" => 3,
                        _ => return None,
                    };
                    rest = behind;
                }
            }
        }
        let (&after, behind) = rest.split_first()?;
        match after {
            b',' => rest = behind,
            b'}' if behind.is_empty() => break,
            _ => return None,
        }
    }
    Some(Packet { slot: slot?, channel, codec, sequence: sequence?, timestamp: timestamp?, payload: payload? })
}

fn some_first<A, B>((first, second): (A, B)) -> (Option<A>, B) {
    (Some(first), second)
}

/// Up to the closing quote, and what follows it.
fn string(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let close = memchr::memchr(b'"', value)?;
    Some((&value[..close], &value[close + 1..]))
}

/// A plain integer of JSON, and what follows it.
fn integer(value: &[u8]) -> Option<(f64, &[u8])> {
    let count = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || count > MAX_DIGITS || (count > 1 && value[0] == b'0') {
        return None;
    }
    let (digits, rest) = value.split_at(count);
    let number = digits.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some((number as f64, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interaction_table::tests::OwnedTable;

    #[test]
    fn takes_keys_in_any_order_and_no_others() {
        let owned = OwnedTable::new();
        let keys = ["\"interactionId\":\"ab\"", "\"sequenceNumber\":0", "\"timestamp\":7", "\"payload\":\"AAEC\""];
        let all = format!("{{\"codec\":\"l16\",{},\"channel\":1}}", keys.join(","));
        let expected =
            Packet { slot: 2, channel: 1, codec: 2, sequence: 0.0, timestamp: 7.0, payload: b"AAEC".as_slice() };
        assert_eq!(parse(all.as_bytes(), owned.table()), Some(expected));
        for missing in 0..keys.len() {
            let rest: Vec<_> = (0..keys.len()).filter(|&i| i != missing).map(|i| keys[i]).collect();
            assert_eq!(parse(format!("{{{}}}", rest.join(",")).as_bytes(), owned.table()), None);
        }
        for wrong in ["\"x\":1", "\"channel\":2", "\"codec\":\"g729\"", "\"timestamp\":01", "\"timestamp\":-1", ""] {
            let message = format!("{{{},{wrong}}}", keys.join(","));
            assert_eq!(parse(message.as_bytes(), owned.table()), None, "{wrong}");
        }
    }
}
