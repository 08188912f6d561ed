//! FLAC frames: `src/audio/flac`. The same bytes.

mod bit_writer;
mod crc;
mod subframe;

use bit_writer::BitWriter;
use crc::{crc8, crc16};
use subframe::SubframeEncoder;

const MAX_HEADER_BYTES: usize = 16;
const MAX_SUBFRAME_HEADER_BYTES: usize = 4;

/// Codes blocks of 16-bit samples as FLAC frames, all of the same length but the last.
pub struct FlacFrameEncoder {
    sample_rate: u32,
    channels: usize,
    block_samples: usize,
    subframes: SubframeEncoder,
}

impl FlacFrameEncoder {
    /// Of one or two channels.
    pub fn new(sample_rate: u32, channels: usize, block_samples: usize) -> Self {
        Self { sample_rate, channels, block_samples, subframes: SubframeEncoder::new(block_samples) }
    }

    /// The most bytes that a frame can have.
    pub fn max_frame_bytes(&self) -> usize {
        MAX_HEADER_BYTES + self.channels * (2 * self.block_samples + MAX_SUBFRAME_HEADER_BYTES)
    }

    /// Codes `source`, interleaved samples of a block at the most, as frame `number` to the start of `out`, which has
    /// space for the longest frame. Returns its length.
    pub fn encode(&mut self, source: &[i16], number: u32, out: &mut [u8]) -> usize {
        let count = source.len() / self.channels;
        let mut bits = BitWriter::new(out);
        self.header(count, number, &mut bits);
        for channel in 0..self.channels {
            self.subframes.encode(&source[channel..], self.channels, count, &mut bits);
        }
        bits.align();
        let crc = crc16(bits.written());
        bits.put(u32::from(crc), 16);
        bits.written().len()
    }

    fn header(&self, count: usize, number: u32, bits: &mut BitWriter) {
        let is_whole = count == self.block_samples;
        bits.put(0b11_1111_1111_1110, 14);
        bits.put(0, 2);
        bits.put(if is_whole { count.ilog2() } else { 0b0111 }, 4);
        bits.put(rate_code(self.sample_rate), 4);
        bits.put(self.channels as u32 - 1, 4);
        bits.put(0b1000, 4);
        put_coded_number(number, bits);
        if !is_whole {
            bits.put(count as u32 - 1, 16);
        }
        let crc = crc8(bits.written());
        bits.put(u32::from(crc), 8);
    }
}

/// Other rates are those of STREAMINFO.
fn rate_code(sample_rate: u32) -> u32 {
    match sample_rate {
        8_000 => 4,
        16_000 => 5,
        22_050 => 6,
        24_000 => 7,
        32_000 => 8,
        44_100 => 9,
        48_000 => 10,
        _ => 0,
    }
}

/// As UTF-8 codes characters, up to 31 bits.
fn put_coded_number(number: u32, bits: &mut BitWriter) {
    if number < 0x80 {
        bits.put(number, 8);
        return;
    }
    let mut following = 1;
    while number >= 1 << (5 * following + 6) {
        following += 1;
    }
    let lead = (0xff00 >> (following + 1)) & 0xff;
    bits.put(lead | (number >> (6 * following)), 8);
    for i in (0..following).rev() {
        bits.put(0x80 | ((number >> (6 * i)) & 0x3f), 8);
    }
}

#[cfg(test)]
mod tests {
    use super::FlacFrameEncoder;

    #[test]
    fn every_signal_fits_into_the_longest_frame() {
        let mut encoder = FlacFrameEncoder::new(8_000, 2, 1024);
        let mut out = vec![0; encoder.max_frame_bytes()];
        let mut state = 7_u32;
        for peak in 0..16 {
            for count in [1, 2, 3, 4, 5, 7, 1023, 1024] {
                let source: Vec<i16> = (0..2 * count)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        ((state >> 16) as i16) >> peak
                    })
                    .collect();
                let length = encoder.encode(&source, 0x7fff_ffff, &mut out);
                assert!(length > 10 && length <= out.len());
                assert_eq!(out[..2], [0xff, 0xf8]);
            }
        }
    }
}
