//! What the targets share: a table of interactions as JavaScript fills it, and a reading with all that must be true of it.

use trunkline_wire::{Columns, InteractionTable, MAX_NAME_BYTES, MAX_PAYLOAD_BYTES, Progress, Rows, hash, read};

/// The ids of the corpus: they are those of `test/conformance/wire-corpus.test.ts`.
pub const IDS: [&str; 3] = ["3f2b8c1e-9d4a-4c55-8e2f-0123456789ab", "sim-7", "ab"];
const BUCKETS: usize = 128;
const ROWS: usize = 16;
const PAYLOAD_OFFSET: usize = 1000;
const ARRIVAL_US: f64 = 5.5;
/// RFC 6455 section 5.2: a final text frame, unmasked, with a length of 16 bits.
const FRAME_START: [u8; 2] = [0x81, 126];
const HEADER_BYTES: usize = 4;

/// `message` in a frame; None when it is too long for a length of 16 bits.
pub fn frame(message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len()).ok()?;
    Some([&FRAME_START[..], &length.to_be_bytes(), message].concat())
}

/// Interactions that flow: one and two channels, PCMU and L16, and one whose packets JavaScript must look at.
pub struct Table {
    ids: Vec<u8>,
    id_lengths: Vec<u8>,
    buckets: Vec<i16>,
}

const FLOWING: [u8; 3] = [1, 1, 0];
const STREAM: [i32; 3] = [10, 11, 12];
const CHANNELS: [u8; 3] = [1, 2, 1];
const CODEC: [u8; 3] = [0, 2, 0];

impl Table {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let mut table =
            Self { ids: vec![0; IDS.len() * MAX_NAME_BYTES], id_lengths: Vec::new(), buckets: vec![-1; BUCKETS] };
        for (slot, id) in IDS.iter().enumerate() {
            table.ids[slot * MAX_NAME_BYTES..][..id.len()].copy_from_slice(id.as_bytes());
            table.id_lengths.push(id.len() as u8);
            let mut bucket = hash(id.as_bytes()) as usize;
            while table.buckets[bucket] >= 0 {
                bucket = (bucket + 1) % BUCKETS;
            }
            table.buckets[bucket] = slot as i16;
        }
        table
    }

    fn columns(&self) -> InteractionTable<'_> {
        InteractionTable {
            ids: &self.ids,
            id_lengths: &self.id_lengths,
            buckets: &self.buckets,
            flowing: &FLOWING,
            stream: &STREAM,
            channels: &CHANNELS,
            codec: &CODEC,
        }
    }
}

/// A packet that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub channel: i32,
    pub sequence: f64,
    pub timestamp: f64,
    pub payload: Vec<u8>,
}

/// What one call of read() makes of some bytes.
#[derive(Debug)]
pub struct Reading {
    pub packets: Vec<Packet>,
    pub end: usize,
    /// Offset and length of each payload, in the memory that was given.
    places: Vec<(usize, usize)>,
}

impl Reading {
    pub fn of(bytes: &[u8], from: usize, table: &Table) -> Self {
        // As much memory as JavaScript claims for it.
        let mut payloads = vec![0; (bytes.len() - from) / 4 * 3];
        let (mut channel, mut payload_offset, mut payload_length) = ([-1; ROWS], [-1; ROWS], [-1; ROWS]);
        let (mut wire_sequence, mut wire_timestamp, mut arrival_us) = ([-1.0; ROWS], [-1.0; ROWS], [-1.0; ROWS]);
        let mut flags = [9; ROWS];
        let mut columns = Columns {
            channel: &mut channel,
            wire_sequence: &mut wire_sequence,
            wire_timestamp: &mut wire_timestamp,
            arrival_us: &mut arrival_us,
            flags: &mut flags,
            payload_offset: &mut payload_offset,
            payload_length: &mut payload_length,
        };
        let rows = Rows { first: 0, most: ROWS, payload_offset: PAYLOAD_OFFSET, arrival_us: ARRIVAL_US };
        let Progress { packets, end } = read(bytes, from, table.columns(), &mut payloads, rows, &mut columns);
        let places: Vec<_> = (0..packets)
            .map(|row| (payload_offset[row] as usize - PAYLOAD_OFFSET, payload_length[row] as usize))
            .collect();
        assert!((0..packets).all(|row| arrival_us[row] == ARRIVAL_US && flags[row] == 0));
        let packets = (places.iter().enumerate())
            .map(|(row, &(at, length))| Packet {
                channel: channel[row],
                sequence: wire_sequence[row],
                timestamp: wire_timestamp[row],
                payload: payloads[at..at + length].to_vec(),
            })
            .collect();
        Self { packets, end, places }
    }

    pub fn is_full(&self) -> bool {
        self.packets.len() == ROWS
    }

    /// Everything that must be true of a reading of `bytes` from `from` on.
    pub fn check(&self, bytes: &[u8], from: usize) {
        assert!(self.end >= from && self.end <= bytes.len(), "it stops within the bytes");
        assert!(self.packets.is_empty() == (self.end == from), "every frame that is taken has a packet");
        let mut at = from;
        for _ in &self.packets {
            assert_eq!(bytes[at..at + 2], FRAME_START, "only frames of the usual form are taken");
            at += HEADER_BYTES + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        }
        assert_eq!(at, self.end, "it stops where the frame of the last packet ends");
        let mut used = 0;
        for &(offset, length) in &self.places {
            assert_eq!(offset, used, "payloads lie one behind the other");
            assert!(length > 0 && length <= MAX_PAYLOAD_BYTES);
            used += length;
        }
        for packet in &self.packets {
            assert!([20, 22, 23].contains(&packet.channel), "a channel that flows");
            for number in [packet.sequence, packet.timestamp] {
                assert!(number >= 0.0 && number < 1e15 && number.fract() == 0.0, "a number of at most 15 digits");
            }
        }
    }
}
