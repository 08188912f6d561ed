//! Where a shard finds its parts.

use crate::ring::Place;
use crate::silence;

/// Absolute offsets of a shard's parts in the memory.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub control: usize,
    pub counters: usize,
    pub input: Place,
    pub output: Place,
    pub recorder: Option<Place>,
    pub table: usize,
    pub streams: usize,
    pub silence: silence::Settings,
    /// Of the neural detector; without them its streams are detected as adaptive ones.
    pub speech: Option<SpeechSettings>,
}

/// Of the neural detector.
#[derive(Clone, Copy, Debug)]
pub struct SpeechSettings {
    /// Offset of its weights, which are there before its first stream is opened.
    pub weights: usize,
    /// Time without a look at an empty input ring after which the shard may be overloaded.
    pub busy_us: f64,
}
