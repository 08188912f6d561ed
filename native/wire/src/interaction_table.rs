//! The interactions of a connection, found by the bytes of their id: `src/sources/genesys/interaction-table.ts`.

use crate::MAX_NAME_BYTES;

/// Borrowed from JavaScript, which fills it. A slot is an interaction's place in all columns but `buckets`.
#[derive(Clone, Copy, Debug)]
pub struct InteractionTable<'a> {
    /// The id of each slot, MAX_NAME_BYTES apart.
    pub ids: &'a [u8],
    pub id_lengths: &'a [u8],
    /// Open addressing, a power of two of buckets; a slot, or −1.
    pub buckets: &'a [i16],
    /// 1 when the packets of a slot go straight to its stream, 0 when JavaScript must look at each one first.
    pub flowing: &'a [u8],
    /// Engine stream, or −1.
    pub stream: &'a [i32],
    pub channels: &'a [u8],
    /// Codec id of the stream.
    pub codec: &'a [u8],
}

impl InteractionTable<'_> {
    pub fn find(&self, id: &[u8]) -> Option<usize> {
        let mask = self.buckets.len() - 1;
        let mut bucket = hash(id) as usize & mask;
        // A table that is full of other ids has no empty bucket to stop at.
        for _ in 0..self.buckets.len() {
            let slot = usize::try_from(*self.buckets.get(bucket)?).ok()?;
            let length = usize::from(*self.id_lengths.get(slot)?);
            if self.ids.get(slot * MAX_NAME_BYTES..slot * MAX_NAME_BYTES + length)? == id {
                return Some(slot);
            }
            bucket = (bucket + 1) & mask;
        }
        None
    }

    /// The engine's channel (stream * 2 + channel) that a packet of `slot` goes to; None when the interaction is not
    /// flowing, or its stream has another format. `channel` and `codec` are −1 when the packet does not name them.
    pub fn channel_of(&self, slot: usize, channel: i8, codec: i8) -> Option<i32> {
        let stream = *self.stream.get(slot)?;
        let is_flowing = *self.flowing.get(slot)? == 1 && stream >= 0;
        let channel = channel.max(0);
        let fits =
            (channel as u8) < *self.channels.get(slot)? && (codec < 0 || codec as u8 == *self.codec.get(slot)?);
        (is_flowing && fits).then(|| stream * 2 + i32::from(channel))
    }
}

/// The bucket where the search for an id begins: hash() of `interaction-table.ts`, seven bits.
pub fn hash(id: &[u8]) -> u32 {
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

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const IDS: [&str; 3] = ["3f2b8c1e-9d4a-4c55-8e2f-0123456789ab", "sim-7", "ab"];

    /// A table as JavaScript fills it: slots 0 to 2 feed the streams 10 to 12, in PCMU (codec 0).
    pub struct OwnedTable {
        ids: Vec<u8>,
        id_lengths: Vec<u8>,
        buckets: Vec<i16>,
        pub flowing: Vec<u8>,
        pub stream: Vec<i32>,
        pub channels: Vec<u8>,
        pub codec: Vec<u8>,
    }

    impl OwnedTable {
        pub fn new() -> Self {
            let mut table = Self {
                ids: vec![0; IDS.len() * MAX_NAME_BYTES],
                id_lengths: vec![0; IDS.len()],
                buckets: vec![-1; 128],
                flowing: vec![1; IDS.len()],
                stream: (10..).take(IDS.len()).collect(),
                channels: vec![1; IDS.len()],
                codec: vec![0; IDS.len()],
            };
            for (slot, id) in IDS.iter().enumerate() {
                table.ids[slot * MAX_NAME_BYTES..][..id.len()].copy_from_slice(id.as_bytes());
                table.id_lengths[slot] = id.len() as u8;
                let mut bucket = hash(id.as_bytes()) as usize;
                while table.buckets[bucket] >= 0 {
                    bucket = (bucket + 1) & 127;
                }
                table.buckets[bucket] = slot as i16;
            }
            table
        }

        pub fn table(&self) -> InteractionTable<'_> {
            InteractionTable {
                ids: &self.ids,
                id_lengths: &self.id_lengths,
                buckets: &self.buckets,
                flowing: &self.flowing,
                stream: &self.stream,
                channels: &self.channels,
                codec: &self.codec,
            }
        }
    }

    #[test]
    fn finds_every_id_and_no_other() {
        let owned = OwnedTable::new();
        for (slot, id) in IDS.iter().enumerate() {
            assert_eq!(owned.table().find(id.as_bytes()), Some(slot));
        }
        for other in ["", "a", "abc", "sim-8", "nobody"] {
            assert_eq!(owned.table().find(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_packet_goes_to_a_flowing_stream_of_its_own_format_only() {
        let mut owned = OwnedTable::new();
        owned.channels[2] = 2;
        assert_eq!(owned.table().channel_of(0, -1, -1), Some(20));
        assert_eq!(owned.table().channel_of(0, 0, 0), Some(20));
        assert_eq!(owned.table().channel_of(2, 1, 0), Some(25));
        assert_eq!(owned.table().channel_of(0, 1, 0), None, "a second channel that the stream does not have");
        assert_eq!(owned.table().channel_of(0, 0, 3), None, "another codec");
        assert_eq!(owned.table().channel_of(7, 0, 0), None, "a slot beyond the table");
        owned.flowing[0] = 0;
        assert_eq!(owned.table().channel_of(0, 0, 0), None);
        owned.stream[1] = -1;
        assert_eq!(owned.table().channel_of(1, 0, 0), None);
    }
}
