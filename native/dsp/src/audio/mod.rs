//! Pure audio: `src/audio`.

pub mod adaptive;
pub mod concealment;
pub mod detector;
pub mod flac;
pub mod fusion;
mod fusion_weights;
pub mod g711;
pub mod l16;
pub mod level;
pub mod opus;
pub mod silence;
pub mod silence_kind;
pub mod silero;
pub mod speech_windows;
