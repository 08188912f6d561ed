//! The way of a regular packet through the main thread: jitter buffer, time line, statistics and release. A packet is
//! regular when its number and its timestamp follow those of the packet before it, nothing is held, and no interval
//! ends with it; with adaptive delays it leaves at once. Nearly all packets are. Everything else is left to JavaScript,
//! `src/rtp` and `src/engine/input`, which works on the same records and is the reference: what is done here is
//! exactly what it would do, in the same order of floating-point operations.
//!
//! ```text
//! rows of PacketColumns ─► take() ─► Output: a record in the input ring of the shard
//!                            │
//!                            └─► ChannelState, history of numbers
//! ```
#![forbid(unsafe_code)]

mod duration;
mod regular;
mod state;

pub use regular::{Channels, Columns, Output, Payloads, Progress, Released, take};
pub use state::{CHANNEL_FIELDS, ChannelState, FIELDS};

/// Words of a channel's history of numbers: HISTORY_PACKETS of `src/rtp/late/number-history.ts`, one bit each.
pub const HISTORY_WORDS: usize = HISTORY_PACKETS / 32;
const HISTORY_PACKETS: usize = 4096;
