//! Pure audio: `src/audio`.

pub mod concealment;
pub mod g711;
pub mod l16;
pub mod level;
pub mod opus;
pub mod silence;
