//! The size of a frame's record: `src/shard/frame-record.ts`.

use crate::layout::{OUTPUT_HEADER_BYTES, align_record};

/// Two edges are at least 55 ms apart, which is 440 samples at the lowest rate.
const LEAST_SAMPLES_PER_EDGE: usize = 220;
/// Those of a gap before the frame, and of kinds of silence.
const OTHER_EDGES: usize = 7;

/// Space for a frame and, right behind it, for every silence edge in it.
pub fn frame_space(samples: usize) -> usize {
    let edges = OTHER_EDGES + samples.div_ceil(LEAST_SAMPLES_PER_EDGE);
    align_record(OUTPUT_HEADER_BYTES + samples * size_of::<i16>()) + edges * OUTPUT_HEADER_BYTES
}
