//! Parses the bytes of a media socket without I/O: WebSocket frames whose messages are packets in the compact JSON form
//! that servers send. `src/sources/genesys/protocol` is the reference in JavaScript: every packet that is read here
//! has the same meaning there, and everything else is left to it.
//!
//! ```text
//! frames::read()      frame after frame ─► message::parse() ─► a row of Columns
//!                                            │
//!                                            └─► InteractionTable: id ─► the stream it feeds, and its format
//! ```
//!
//! deinterleave() takes the audio of an AudioHook frame apart.
#![forbid(unsafe_code)]

mod columns;
mod deinterleave;
mod frames;
mod interaction_table;
mod message;

pub use columns::Columns;
pub use deinterleave::{Layout, deinterleave};
pub use frames::{Progress, Rows, read};
pub use interaction_table::{InteractionTable, hash};

/// LIMITS.maxPayloadBytes of `src/core/limits.ts`.
pub const MAX_PAYLOAD_BYTES: usize = 16_384;
/// LIMITS.maxNameBytes.
pub const MAX_NAME_BYTES: usize = 128;
