//! The data plane of a shard, without Node: takes packets from the input ring, decodes them straight into the space
//! claimed in the output ring, measures level and silence there, and passes them on.
//!
//! `src/shard/js-backend.ts` is the reference for all of it; where a rule is explained there, or in `src/audio` and
//! `src/ring`, it is not explained again here. Unsafe code is confined to `memory`, `ring`, `table`, `level` (vector
//! instructions) and `opus` (C).

pub mod audio;
mod channels;
pub mod config;
mod kept_records;
pub mod layout;
pub mod memory;
mod opus_repair;
mod record_check;
mod record_processor;
pub mod ring;
pub mod shard;
mod speech_judge;
mod speech_roll;
pub mod table;

pub use audio::{
    adaptive, concealment, detector, flac, fusion, g711, l16, level, opus, silence, silence_kind, silero,
    speech_windows,
};

#[cfg(test)]
mod tests;
