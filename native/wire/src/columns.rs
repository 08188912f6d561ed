//! The description of packets, a row each: PacketColumns of `src/rtp/packet-columns.ts`.

/// The columns that the reader fills. All have the same length.
#[derive(Debug)]
pub struct Columns<'a> {
    /// Stream * 2 + channel.
    pub channel: &'a mut [i32],
    /// As on the wire.
    pub wire_sequence: &'a mut [f64],
    pub wire_timestamp: &'a mut [f64],
    pub arrival_us: &'a mut [f64],
    pub flags: &'a mut [u8],
    /// Of the decoded payload, in the memory that holds all payloads.
    pub payload_offset: &'a mut [i32],
    pub payload_length: &'a mut [i32],
}

impl Columns<'_> {
    /// The length of the shortest column.
    pub fn rows(&self) -> usize {
        let lengths = [
            self.channel.len(),
            self.wire_sequence.len(),
            self.wire_timestamp.len(),
            self.arrival_us.len(),
            self.flags.len(),
            self.payload_offset.len(),
            self.payload_length.len(),
        ];
        lengths.into_iter().min().unwrap_or(0)
    }
}
