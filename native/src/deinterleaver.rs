//! deinterleave() of trunkline-wire for Node. `native/addon.d.ts` declares the types.

use napi::bindgen_prelude::*;
use napi_derive::napi;
use trunkline_wire::{Layout, deinterleave};

use crate::SharedBytes;

/// Indices into the numbers of a call: CALL of `src/native/deinterleaver.ts`.
mod call {
    pub const FROM: usize = 0;
    pub const MASK: usize = 1;
    pub const COUNT: usize = 2;
    pub const SAMPLE_BYTES: usize = 3;
    pub const FIRST: usize = 4;
    pub const SECOND: usize = 5;
    pub const LENGTH: usize = 6;
}

#[napi]
pub struct NativeDeinterleaver {
    memory: SharedBytes,
    call: Int32Array,
}

#[napi]
impl NativeDeinterleaver {
    /// `memory` is the whole shared memory of the engine.
    #[napi(constructor, catch_unwind)]
    pub fn new(memory: SharedBytes, call: Int32Array) -> Result<Self> {
        if call.len() != call::LENGTH {
            return Err(Error::from_reason("The numbers of a call do not match this version of the addon."));
        }
        Ok(Self { memory, call })
    }

    /// Deinterleaver.write() of `src/sources/audiohook/protocol/deinterleave.ts`, with its numbers in `call`.
    #[napi(catch_unwind)]
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let [from, count, sample_bytes, first] =
            [call::FROM, call::COUNT, call::SAMPLE_BYTES, call::FIRST].map(|index| self.call[index] as usize);
        let second = self.call[call::SECOND];
        let mask = self.call[call::MASK].to_le_bytes();
        let (layout, channels) = match (second < 0, sample_bytes) {
            (true, _) => (Layout::Mono, 1),
            (false, 1) => (Layout::Pairs8, 2),
            _ => (Layout::Pairs16, 2),
        };
        let length = count * sample_bytes;
        let source = bytes.get(from..).and_then(|bytes| bytes.get(..length * channels));
        let source = source.ok_or_else(|| Error::from_reason("The buffer is shorter than the samples to read."))?;
        if channels == 1 {
            deinterleave(source, mask, layout, self.claimed(first, length)?, &mut []);
            return Ok(());
        }
        let second = second as usize;
        if first.abs_diff(second) < length {
            return Err(Error::from_reason("The memory of the two channels overlaps."));
        }
        deinterleave(source, mask, layout, self.claimed(first, length)?, self.claimed(second, length)?);
        Ok(())
    }

    fn claimed<'a>(&self, offset: usize, length: usize) -> Result<&'a mut [u8]> {
        if self.memory.length.checked_sub(length).is_none_or(|last| offset > last) {
            return Err(Error::from_reason("The samples do not fit into the shared memory there."));
        }
        // SAFETY: within the memory, and claimed from a ring by the caller, so that nothing else accesses it.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.memory.address.add(offset), length) })
    }
}
