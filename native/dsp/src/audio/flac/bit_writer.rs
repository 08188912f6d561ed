//! Numbers of some bits each, most significant bit first: `src/audio/flac/bit-writer.ts`.

pub struct BitWriter<'a> {
    bytes: &'a mut [u8],
    at: usize,
    /// The lowest `pending_bits`, fewer than 32 between two calls; what is above them is not used.
    pending: u64,
    pending_bits: u32,
}

impl<'a> BitWriter<'a> {
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0, pending: 0, pending_bits: 0 }
    }

    /// All whole bytes.
    pub fn written(&mut self) -> &[u8] {
        while self.pending_bits >= 8 {
            self.pending_bits -= 8;
            self.bytes[self.at] = (self.pending >> self.pending_bits) as u8;
            self.at += 1;
        }
        &self.bytes[..self.at]
    }

    /// Writes the lowest `bits` bits of `value`, at most 32.
    #[inline]
    pub fn put(&mut self, value: u32, bits: u32) {
        let value = u64::from(value) & ((1 << bits) - 1);
        self.pending = (self.pending << bits) | value;
        self.pending_bits += bits;
        self.flush();
    }

    /// Fills the last byte with zeros.
    pub fn align(&mut self) {
        self.put(0, self.pending_bits.wrapping_neg() & 7);
    }

    /// Writes each value, folded to an unsigned one, in Rice code.
    pub fn put_rice(&mut self, values: &[i32], parameter: u32) {
        let stop = 1_u64 << parameter;
        for &value in values {
            let folded = fold(value);
            let mut zeros = folded >> parameter;
            while zeros > 16 {
                self.put(0, 16);
                zeros -= 16;
            }
            let bits = zeros + 1 + parameter;
            self.pending = (self.pending << bits) | stop | (u64::from(folded) & (stop - 1));
            self.pending_bits += bits;
            self.flush();
        }
    }

    #[inline]
    fn flush(&mut self) {
        if self.pending_bits < 32 {
            return;
        }
        self.pending_bits -= 32;
        let four = ((self.pending >> self.pending_bits) as u32).to_be_bytes();
        self.bytes[self.at..self.at + 4].copy_from_slice(&four);
        self.at += 4;
    }
}

/// 0, −1, 1, −2 and so on become 0, 1, 2, 3.
#[inline]
pub fn fold(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}
