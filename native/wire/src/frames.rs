//! The WebSocket frames that a socket read has brought, each with one packet.

use base64_simd::{Out, STANDARD};

use crate::message::parse;
use crate::{Columns, InteractionTable, MAX_PAYLOAD_BYTES};

/// RFC 6455 section 5.2: a final text frame, unmasked, with a length of 16 bits. No packet is so short that its length
/// would fit into the second byte.
const FRAME_START: [u8; 2] = [0x81, 126];
const HEADER_BYTES: usize = 4;

/// What the rows of one call have in common.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// Row of `columns` that the first packet goes to.
    pub first: usize,
    /// How many packets may be read.
    pub most: usize,
    /// Offset that the start of the payload memory has for the rest of the process.
    pub payload_offset: usize,
    pub arrival_us: f64,
}

/// How far read() came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Rows filled, one a packet.
    pub packets: usize,
    /// Where the frame of the last packet ends, or where reading began.
    pub end: usize,
}

/// Reads packets from `from`, where a frame begins, and decodes their payloads one behind the other into `payloads`.
/// Stops before the first frame that is not whole or does not carry a packet for a flowing interaction.
pub fn read(
    bytes: &[u8],
    from: usize,
    table: InteractionTable,
    payloads: &mut [u8],
    rows: Rows,
    columns: &mut Columns,
) -> Progress {
    let last = columns.rows().min(rows.first.saturating_add(rows.most));
    let mut end = from;
    let mut used = 0;
    let mut row = rows.first;
    while row < last {
        let Some((header, rest)) = bytes.get(end..).and_then(|rest| rest.split_first_chunk::<HEADER_BYTES>()) else {
            break;
        };
        if header[..2] != FRAME_START {
            break;
        }
        let frame_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let Some(packet) = rest.get(..frame_length).and_then(|message| parse(message, table)) else { break };
        let Some(channel) = table.channel_of(packet.slot, packet.channel, packet.codec) else { break };
        let Some(length) = decode(packet.payload, &mut payloads[used..]) else { break };
        columns.channel[row] = channel;
        columns.wire_sequence[row] = packet.sequence;
        columns.wire_timestamp[row] = packet.timestamp;
        columns.arrival_us[row] = rows.arrival_us;
        columns.flags[row] = 0;
        columns.payload_offset[row] = (rows.payload_offset + used) as i32;
        columns.payload_length[row] = length as i32;
        end += HEADER_BYTES + frame_length;
        used += length;
        row += 1;
    }
    Progress { packets: row - rows.first.min(row), end }
}

/// Bytes of the payload; None when it is empty, not base64, beyond the limit or larger than the memory left.
fn decode(payload: &[u8], memory: &mut [u8]) -> Option<usize> {
    let most = payload.len() / 4 * 3;
    if most == 0 || most > MAX_PAYLOAD_BYTES || most > memory.len() {
        return None;
    }
    let decoded = STANDARD.decode(payload, Out::from_slice(memory)).ok()?;
    Some(decoded.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interaction_table::tests::{IDS, OwnedTable};

    const COLUMN_ROWS: usize = 10;
    const FIRST_ROW: usize = 2;

    fn frame(message: &str) -> Vec<u8> {
        let mut frame = FRAME_START.to_vec();
        frame.extend((message.len() as u16).to_be_bytes());
        frame.extend(message.as_bytes());
        frame
    }

    fn message(id: &str, payload: &str) -> String {
        format!(
            "{{\"interactionId\":\"{id}\",\"sequenceNumber\":70000,\"timestamp\":4294967295,\"payload\":\"{payload}\"}}"
        )
    }

    /// Channel and payload of each packet read, and where reading stopped.
    fn read_all(bytes: &[u8], owned: &OwnedTable, most: usize) -> (Vec<(i32, Vec<u8>)>, usize) {
        let mut payloads = vec![0; bytes.len()];
        let (mut ints, mut doubles) = ([[-1_i32; COLUMN_ROWS]; 3], [[-1_f64; COLUMN_ROWS]; 3]);
        let ([channel, payload_offset, payload_length], [wire_sequence, wire_timestamp, arrival_us]) =
            (&mut ints, &mut doubles);
        let flags = &mut [9; COLUMN_ROWS];
        let mut columns =
            Columns { channel, wire_sequence, wire_timestamp, arrival_us, flags, payload_offset, payload_length };
        let rows = Rows { first: FIRST_ROW, most, payload_offset: 1000, arrival_us: 5.5 };
        let Progress { packets, end } = read(bytes, 0, owned.table(), &mut payloads, rows, &mut columns);
        let found = (FIRST_ROW..FIRST_ROW + packets)
            .map(|row| {
                assert_eq!((columns.wire_sequence[row], columns.wire_timestamp[row]), (70_000.0, 4_294_967_295.0));
                assert_eq!((columns.arrival_us[row], columns.flags[row]), (5.5, 0));
                let at = columns.payload_offset[row] as usize - 1000;
                (columns.channel[row], payloads[at..at + columns.payload_length[row] as usize].to_vec())
            })
            .collect();
        assert!(
            columns.channel[..FIRST_ROW].iter().all(|&channel| channel == -1),
            "rows before the first are untouched"
        );
        (found, end)
    }

    #[test]
    fn reads_frame_after_frame_until_one_is_of_another_form() {
        let owned = OwnedTable::new();
        let frames = [frame(&message(IDS[0], "AAECAwQF")), frame(&message(IDS[2], "/+8="))];
        let ends = [frames[0].len(), frames[0].len() + frames[1].len()];
        let expected = vec![(20, vec![0, 1, 2, 3, 4, 5]), (24, vec![255, 239])];
        for other in [b"".to_vec(), frame("{}"), vec![0x89, 0], frame(&message("nobody", "AAEC"))] {
            let bytes = [frames.concat(), other].concat();
            assert_eq!(read_all(&bytes, &owned, 8), (expected.clone(), ends[1]));
            assert_eq!(read_all(&bytes, &owned, 1), (expected[..1].to_vec(), ends[0]));
        }
    }

    #[test]
    fn fills_no_more_rows_than_the_columns_have() {
        let owned = OwnedTable::new();
        let bytes = frame(&message(IDS[1], "AAEC")).repeat(20);
        assert_eq!(read_all(&bytes, &owned, usize::MAX).0.len(), COLUMN_ROWS - FIRST_ROW);
    }

    #[test]
    fn takes_only_whole_frames() {
        let bytes = frame(&message(IDS[1], "AAECAwQF"));
        for length in 0..bytes.len() {
            assert_eq!(read_all(&bytes[..length], &OwnedTable::new(), 8), (vec![], 0), "{length} bytes");
        }
        assert_eq!(read_all(&bytes, &OwnedTable::new(), 8).0.len(), 1);
    }

    #[test]
    fn stops_before_an_interaction_that_is_not_flowing() {
        let mut owned = OwnedTable::new();
        owned.flowing[1] = 0;
        let frames = [0, 1, 0].map(|slot| frame(&message(IDS[slot], "AAEC")));
        assert_eq!(read_all(&frames.concat(), &owned, 8), (vec![(20, vec![0, 1, 2])], frames[0].len()));
    }

    #[test]
    fn leaves_what_is_not_base64_to_the_exact_parser() {
        for payload in ["", "AAE", "AAE!", "AA=A", "A"] {
            assert_eq!(read_all(&frame(&message(IDS[0], payload)), &OwnedTable::new(), 8).0, [], "{payload}");
        }
    }
}
