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
}
