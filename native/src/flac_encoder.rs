//! FlacFrameEncoder of trunkline-dsp for Node. `native/addon.d.ts` declares the types.

use napi::bindgen_prelude::*;
use napi_derive::napi;
use trunkline_dsp::flac::FlacFrameEncoder;

/// Blocks are no longer in any file that trunkline makes.
const MAX_BLOCK_SAMPLES: u32 = 1 << 15;

#[napi]
pub struct NativeFlacEncoder {
    encoder: FlacFrameEncoder,
    channels: usize,
    block_samples: usize,
    source: Int16Array,
    out: Uint8Array,
}

#[napi]
impl NativeFlacEncoder {
    /// Codes from `source`, interleaved, to `out`.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        sample_rate: u32,
        channels: u32,
        block_samples: u32,
        source: Int16Array,
        out: Uint8Array,
    ) -> Result<Self> {
        if !(1..=2).contains(&channels) || !block_samples.is_power_of_two() || block_samples > MAX_BLOCK_SAMPLES {
            return Err(Error::from_reason("There are no FLAC frames of that format."));
        }
        let (channels, block_samples) = (channels as usize, block_samples as usize);
        Ok(Self {
            encoder: FlacFrameEncoder::new(sample_rate, channels, block_samples),
            channels,
            block_samples,
            source,
            out,
        })
    }

    /// FlacFrameEncoder.encode() of `src/audio/flac/frame-encoder.ts`.
    #[napi(catch_unwind)]
    pub fn encode(&mut self, at: u32, count: u32, number: u32, out_at: u32) -> Result<u32> {
        let (at, count, out_at) = (at as usize, count as usize, out_at as usize);
        let block = self.source.get(at..).and_then(|rest| rest.get(..count * self.channels));
        let block = block.filter(|_| count > 0 && count <= self.block_samples);
        let block = block.ok_or_else(|| Error::from_reason("There are no such samples."))?;
        // SAFETY: memory of this thread alone, which runs nothing else while this does.
        let out = unsafe { self.out.as_mut() }.get_mut(out_at..).unwrap_or_default();
        if out.len() < self.encoder.max_frame_bytes() {
            return Err(Error::from_reason("There is no space for a frame."));
        }
        Ok(out_at as u32 + self.encoder.encode(block, number, out) as u32)
    }
}
