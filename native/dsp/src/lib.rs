//! What a shard does with a batch of records, without Node: take packets from its input ring, decode them straight
//! into the room claimed in its output ring, judge level and silence there, hand them on.
//!
//! `src/shard/js-backend.ts` is the reference for all of it; where a rule is explained there, or in `src/media` and
//! `src/ring`, it is not explained again here. Unsafe code is confined to `memory`, `ring`, `table`, `level` (vector
//! instructions) and `opus` (C).

pub mod concealment;
mod desk;
pub mod g711;
pub mod l16;
mod lanes;
pub mod layout;
pub mod level;
pub mod media;
pub mod memory;
pub mod opus;
pub mod ring;
pub mod shard;
pub mod silence;
pub mod table;

#[cfg(test)]
mod tests;
