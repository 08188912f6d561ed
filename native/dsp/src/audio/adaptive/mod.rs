//! The adaptive silence detector: `src/audio/adaptive` explains it. The same operations in the same order on the same
//! f64s, so that either backend can continue where the other has stopped.

mod bands;
mod classifier;
mod detector;
mod features;
mod minimum;
mod weights;

pub use detector::{end_speech_by_gap, feed, init, skip, skip_gap};
pub use features::is_near_floor;

/// Indices into a State: ADAPTIVE_STATE of `src/audio/adaptive/state.ts`.
pub mod slot {
    pub const DECIMATION: usize = 0;
    pub const HOP_BLOCKS: usize = 1;
    pub const HOP: usize = 2;
    pub const ABOVE_TO: usize = 3;
    pub const MIN_SILENCE: usize = 4;
    pub const POSITION: usize = 6;
    pub const BLOCK_FILL: usize = 7;
    pub const SAMPLE_FILL: usize = 8;
    pub const SAMPLE_SUM: usize = 9;
    pub const BLOCKS: usize = 10;
    pub const HOPS: usize = 11;
    pub const SILENT: usize = 12;
    pub const SINCE: usize = 13;
    pub const ACTIVE_TO: usize = 14;
    pub const ABOVE_HOPS: usize = 15;
    pub const LIVE: usize = 16;
    pub const AUDIO_TO: usize = 17;
    pub const FRAME_SILENT: usize = 18;
    pub const DETECTOR: usize = 19;
    pub const FRAME_IN_SILENCE: usize = 20;
    pub const QUIET_HOPS: usize = 21;
    pub const EVIDENCE: usize = 22;
    pub const PAIR: usize = 23;
    pub const BLOCK: usize = 24;
    pub const ENERGY: usize = 32;
    pub const LOUDEST_PAIR: usize = 39;
    pub const SMOOTH: usize = 40;
    pub const LOW_ENERGY: usize = 47;
    pub const FLOOR: usize = 48;
    pub const LOW_SUM: usize = 55;
    pub const BAND_MINIMUM: usize = 56;
    pub const LOW_FLOOR: usize = 63;
    pub const BAND_MINIMA: usize = 64;
    pub const BAND_HOPS: usize = 120;
    pub const BAND_NEXT: usize = 121;
    pub const BACKGROUND: usize = 122;
    pub const LEVEL_FLOOR: usize = 134;
    pub const SNR_80: usize = 146;
    pub const SNR_250: usize = 147;
    pub const VARIANCE: usize = 148;
    pub const PEAK_SHORT: usize = 149;
    pub const PEAK_LONG: usize = 150;
    pub const TROUGH: usize = 151;
    pub const LAST_SNR: usize = 152;
    pub const SPEECH_SNR: usize = 153;
    pub const SPEECH_LEVEL: usize = 154;
    pub const LEVEL: usize = 155;
    pub const PULSE_200: usize = 156;
    pub const PULSE_700: usize = 157;
    pub const LAST_LEVEL: usize = 158;
    pub const UNSTEADINESS: usize = 159;
    pub const SHAPE_CHANGE: usize = 165;
    pub const LOW: usize = 166;
    pub const LOW_HOPS: usize = 167;
}

/// Bands of the analysis.
const BANDS: usize = 7;
/// Analysis samples in a block.
const BLOCK_SAMPLES: usize = 8;
/// Sub-windows of minimum statistics.
const SUB_WINDOWS: usize = 8;
