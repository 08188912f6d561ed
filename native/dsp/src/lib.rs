//! The data plane of a shard, without Node: takes packets from the input ring, decodes them straight into the room
//! claimed in the output ring, measures level and silence there, and passes them on.
//!
//! `src/shard/js-backend.ts` is the reference for all of it; where a rule is explained there, or in `src/audio` and
//! `src/ring`, it is not explained again here. Unsafe code is confined to `memory`, `ring`, `table`, `level` (vector
//! instructions) and `opus` (C).

mod channels;
pub mod concealment;
pub mod config;
pub mod g711;
pub mod l16;
pub mod layout;
pub mod level;
pub mod memory;
pub mod opus;
mod record_check;
mod record_processor;
pub mod ring;
pub mod shard;
pub mod silence;
pub mod table;

#[cfg(test)]
mod tests;
