//! Reads the media frames in what a socket has read: `src/sources/genesys/protocol/media-reader.ts`, and the form of a message as
//! `src/sources/genesys/protocol/packet-reader.ts` has it. Whatever is taken here has the same meaning there; what is not is left to
//! the exact reading, in JavaScript.

use base64_simd::{Out, STANDARD};

/// As LIMITS.maxPayloadBytes of `src/core/limits.ts`.
pub const MAX_PAYLOAD_BYTES: usize = 16_384;
/// As LIMITS.maxNameBytes.
pub const MAX_NAME_BYTES: usize = 128;

/// RFC 6455 section 5.2: whole and text, and a length of 16 bits, unmasked.
const HEAD: [u8; 2] = [0x81, 126];
const HEAD_BYTES: usize = 4;
/// Fifteen digits are an exact f64 however they are added up.
const MAX_DIGITS: usize = 15;
/// Not said by the packet.
const UNSAID: i8 = -1;

/// The table of `src/sources/genesys/interaction-table.ts`, where the ids of a connection are found by their bytes.
#[derive(Clone, Copy)]
pub struct Roster<'a> {
    /// The id of each slot, MAX_NAME_BYTES apart.
    pub ids: &'a [u8],
    pub lengths: &'a [u8],
    /// Open addressing, a power of two; a slot, or −1.
    pub buckets: &'a [i16],
    /// By slot, 0 while its packets must be looked at one by one.
    pub flowing: &'a [u8],
}

impl Roster<'_> {
    fn find(&self, id: &[u8]) -> Option<u8> {
        let mask = self.buckets.len() - 1;
        let mut bucket = hash(id) as usize & mask;
        // A table that is full of others has no free bucket to end at.
        for _ in 0..self.buckets.len() {
            let slot = usize::try_from(*self.buckets.get(bucket)?).ok()?;
            let length = usize::from(*self.lengths.get(slot)?);
            if self.ids.get(slot * MAX_NAME_BYTES..slot * MAX_NAME_BYTES + length)? == id {
                return u8::try_from(slot).ok();
            }
            bucket = (bucket + 1) & mask;
        }
        None
    }
}

/// hash() of `src/sources/genesys/interaction-table.ts`: the upper seven bits.
fn hash(id: &[u8]) -> u32 {
    let length = id.len() as u32;
    let mixed = match (id.first_chunk(), id.last_chunk()) {
        (Some(&first), Some(&last)) => {
            let ends = u32::from_be_bytes(last).wrapping_mul(0x9e37_79b1)
                ^ u32::from_be_bytes(first).wrapping_mul(0x85eb_ca6b);
            (ends ^ (ends >> 15)).wrapping_mul(0x2c1b_3c6d)
        }
        _ => id.iter().fold(length, |mixed, &byte| (mixed ^ u32::from(byte)).wrapping_mul(0x9e37_79b1)),
    };
    mixed >> 25
}

/// Where the packets found go; one entry each. All have the same length.
pub struct Packets<'a> {
    pub end: &'a mut [i32],
    pub slot: &'a mut [u8],
    pub channel: &'a mut [i8],
    pub codec: &'a mut [i8],
    pub sequence: &'a mut [f64],
    pub timestamp: &'a mut [f64],
    pub payload_offset: &'a mut [i32],
    pub payload_length: &'a mut [i32],
}

/// A packet as its message has it.
#[derive(Debug, PartialEq)]
struct Packet<'a> {
    slot: u8,
    channel: i8,
    codec: i8,
    sequence: f64,
    timestamp: f64,
    /// In base64.
    payload: &'a [u8],
}

/// Reads up to `most` packets from `from` in `bytes`, which end at `to`; see MediaReader.read() there. Payloads are
/// decoded into `room`, one behind the other; `offset` is what their offsets count from. Returns how many there were.
pub fn read(
    bytes: &[u8],
    from: usize,
    roster: Roster,
    room: &mut [u8],
    offset: usize,
    most: usize,
    packets: &mut Packets,
) -> usize {
    let mut frame = from;
    let mut used = 0;
    let mut count = 0;
    while count < most.min(packets.slot.len()) {
        let Some((head, rest)) = bytes.get(frame..).and_then(|rest| rest.split_first_chunk::<HEAD_BYTES>()) else {
            break;
        };
        if head[..2] != HEAD {
            break;
        }
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some(packet) = rest.get(..length).and_then(|message| parse(message, roster)) else { break };
        let Some(length) = decode(packet.payload, &mut room[used..]) else { break };
        frame += HEAD_BYTES + usize::from(u16::from_be_bytes([head[2], head[3]]));
        packets.end[count] = frame as i32;
        packets.slot[count] = packet.slot;
        packets.channel[count] = packet.channel;
        packets.codec[count] = packet.codec;
        packets.sequence[count] = packet.sequence;
        packets.timestamp[count] = packet.timestamp;
        packets.payload_offset[count] = (offset + used) as i32;
        packets.payload_length[count] = length as i32;
        used += length;
        count += 1;
        if roster.flowing.get(usize::from(packet.slot)) != Some(&1) {
            break;
        }
    }
    count
}

/// Bytes of the payload, or None for what is empty, is not base64, is beyond the limit or has no room.
fn decode(payload: &[u8], room: &mut [u8]) -> Option<usize> {
    let most = payload.len() / 4 * 3;
    if most == 0 || most > MAX_PAYLOAD_BYTES || most > room.len() {
        return None;
    }
    let decoded = STANDARD.decode(payload, Out::from_slice(room)).ok()?;
    Some(decoded.len())
}

/// A message in the compact form that servers write, its keys in any order; None for any other.
fn parse<'a>(message: &'a [u8], roster: Roster) -> Option<Packet<'a>> {
    let mut rest = message.strip_prefix(b"{")?;
    let (mut slot, mut sequence, mut timestamp, mut payload) = (None, None, None, None);
    let (mut channel, mut codec) = (UNSAID, UNSAID);
    // A key that comes twice counts by its last value, as with JSON.parse. Only of the payload the one before would have
    // to be looked at, too: it may be no string of JSON.
    loop {
        if let Some(value) = rest.strip_prefix(b"\"payload\":\"") {
            if payload.is_some() {
                return None;
            }
            (payload, rest) = text(value).map(|(text, rest)| (Some(text), rest))?;
        } else if let Some(value) = rest.strip_prefix(b"\"sequenceNumber\":") {
            (sequence, rest) = integer(value).map(|(number, rest)| (Some(number), rest))?;
        } else if let Some(value) = rest.strip_prefix(b"\"timestamp\":") {
            (timestamp, rest) = integer(value).map(|(number, rest)| (Some(number), rest))?;
        } else if let Some(value) = rest.strip_prefix(b"\"interactionId\":\"") {
            // An id on the roster has neither quote nor backslash, so one that equals it has no escapes.
            let (id, behind) = text(value)?;
            (slot, rest) = (Some(roster.find(id)?), behind);
        } else if let Some(value) = rest.strip_prefix(b"\"channel\":") {
            let (&digit, behind) = value.split_first()?;
            channel = match digit {
                b'0' => 0,
                b'1' => 1,
                _ => return None,
            };
            rest = behind;
        } else if let Some(value) = rest.strip_prefix(b"\"codec\":\"") {
            let (name, behind) = text(value)?;
            codec = match name {
                b"pcmu" => 0,
                b"pcma" => 1,
                b"l16" => 2,
                b"opus" => 3,
                _ => return None,
            };
            rest = behind;
        } else {
            return None;
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

/// Up to the closing quote, and what follows it.
fn text(value: &[u8]) -> Option<(&[u8], &[u8])> {
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

    const IDS: [&str; 3] = ["3f2b8c1e-9d4a-4c55-8e2f-0123456789ab", "sim-7", "ab"];

    /// The table as Roster#place fills it.
    struct Table {
        ids: Vec<u8>,
        lengths: Vec<u8>,
        buckets: Vec<i16>,
        flowing: Vec<u8>,
    }

    impl Table {
        fn new() -> Self {
            let mut table = Self {
                ids: vec![0; IDS.len() * MAX_NAME_BYTES],
                lengths: vec![0; IDS.len()],
                buckets: vec![-1; 128],
                flowing: vec![1; IDS.len()],
            };
            for (slot, id) in IDS.iter().enumerate() {
                table.ids[slot * MAX_NAME_BYTES..][..id.len()].copy_from_slice(id.as_bytes());
                table.lengths[slot] = id.len() as u8;
                let mut bucket = hash(id.as_bytes()) as usize;
                while table.buckets[bucket] >= 0 {
                    bucket = (bucket + 1) & 127;
                }
                table.buckets[bucket] = slot as i16;
            }
            table
        }

        fn roster(&self) -> Roster<'_> {
            Roster { ids: &self.ids, lengths: &self.lengths, buckets: &self.buckets, flowing: &self.flowing }
        }
    }

    fn frame(message: &str) -> Vec<u8> {
        let mut frame = HEAD.to_vec();
        frame.extend((message.len() as u16).to_be_bytes());
        frame.extend(message.as_bytes());
        frame
    }

    fn message(id: &str, payload: &str) -> String {
        format!(
            "{{\"interactionId\":\"{id}\",\"sequenceNumber\":70000,\"timestamp\":4294967295,\"payload\":\"{payload}\"}}"
        )
    }

    /// End, slot and payload of each packet found.
    fn found(bytes: &[u8], table: &Table, most: usize) -> Vec<(usize, u8, Vec<u8>)> {
        let mut room = vec![0; bytes.len()];
        let (mut ints, mut doubles) = ([[0i32; 8]; 3], [[0f64; 8]; 2]);
        let ([end, payload_offset, payload_length], [sequence, timestamp]) = (&mut ints, &mut doubles);
        let (mut slot, mut channel, mut codec) = ([0; 8], [0; 8], [0; 8]);
        let mut packets = Packets {
            end,
            slot: &mut slot,
            channel: &mut channel,
            codec: &mut codec,
            sequence,
            timestamp,
            payload_offset,
            payload_length,
        };
        let count = read(bytes, 0, table.roster(), &mut room, 1000, most, &mut packets);
        (0..count)
            .map(|i| {
                assert_eq!((packets.sequence[i], packets.timestamp[i]), (70_000.0, 4_294_967_295.0));
                let at = packets.payload_offset[i] as usize - 1000;
                let payload = room[at..at + packets.payload_length[i] as usize].to_vec();
                (packets.end[i] as usize, packets.slot[i], payload)
            })
            .collect()
    }

    #[test]
    fn reads_frame_after_frame_until_one_is_of_another_form() {
        let table = Table::new();
        let frames = [frame(&message(IDS[0], "AAECAwQF")), frame(&message(IDS[2], "/+8="))];
        let ends = [frames[0].len(), frames[0].len() + frames[1].len()];
        let expected = vec![(ends[0], 0, vec![0, 1, 2, 3, 4, 5]), (ends[1], 2, vec![255, 239])];
        for other in [b"".to_vec(), frame("{}"), vec![0x89, 0], frame(&message("nobody", "AAEC"))] {
            let bytes = [frames.concat(), other].concat();
            assert_eq!(found(&bytes, &table, 8), expected);
            assert_eq!(found(&bytes, &table, 1), expected[..1]);
        }
    }

    #[test]
    fn takes_only_whole_frames() {
        let bytes = frame(&message(IDS[1], "AAECAwQF"));
        for length in 0..bytes.len() {
            assert_eq!(found(&bytes[..length], &Table::new(), 8), [], "{length} bytes");
        }
        assert_eq!(found(&bytes, &Table::new(), 8).len(), 1);
    }

    #[test]
    fn stops_behind_an_interaction_that_is_not_flowing() {
        let mut table = Table::new();
        table.flowing[1] = 0;
        let frames = [1, 0].map(|slot| frame(&message(IDS[slot], "AAEC"))).concat();
        assert_eq!(found(&frames, &table, 8).len(), 1);
    }

    #[test]
    fn takes_keys_in_any_order_and_no_others() {
        let table = Table::new();
        let keys = ["\"interactionId\":\"ab\"", "\"sequenceNumber\":0", "\"timestamp\":7", "\"payload\":\"AAEC\""];
        let whole = parse(format!("{{\"codec\":\"l16\",{},\"channel\":1}}", keys.join(",")).as_bytes(), table.roster())
            .map(|packet| (packet.slot, packet.channel, packet.codec, packet.sequence, packet.timestamp));
        assert_eq!(whole, Some((2, 1, 2, 0.0, 7.0)));
        for missing in 0..keys.len() {
            let rest: Vec<_> = (0..keys.len()).filter(|&i| i != missing).map(|i| keys[i]).collect();
            assert_eq!(parse(format!("{{{}}}", rest.join(",")).as_bytes(), table.roster()), None);
        }
        for wrong in ["\"x\":1", "\"channel\":2", "\"codec\":\"g729\"", "\"timestamp\":01", "\"timestamp\":-1", ""] {
            assert_eq!(parse(format!("{{{},{wrong}}}", keys.join(",")).as_bytes(), table.roster()), None, "{wrong}");
        }
    }

    #[test]
    fn leaves_what_is_no_base64_to_others() {
        for payload in ["", "AAE", "AAE!", "AA=A", "A"] {
            assert_eq!(found(&frame(&message(IDS[0], payload)), &Table::new(), 8), [], "{payload}");
        }
    }
}
