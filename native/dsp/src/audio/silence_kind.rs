//! Digital silence and comfort noise: `src/audio/silence-kind.ts`.

use crate::silence::slot::{SILENT, SINCE};
use crate::silence::{Edge, Edges, State};

/// SILENCE_KIND of `silence-kind.ts`.
pub mod kind {
    pub const BACKGROUND: i32 = 0;
    pub const DIGITAL: i32 = 1;
    pub const COMFORT_NOISE: i32 = 2;
}

/// KIND_STATE of `silence-kind.ts`.
pub mod slot {
    pub const KIND: usize = 170;
    pub const KIND_FROM: usize = 171;
    pub const RUN: usize = 172;
    pub const RUN_FROM: usize = 173;
    pub const OTHER_FROM: usize = 174;
    pub const LEAST: usize = 175;
}
use slot::*;

const BRIDGED: f64 = 0.1;
const MOST_DTX_BYTES: usize = 2;

pub fn init(state: &mut State, sample_rate: u32) {
    state[OTHER_FROM] = -1.0;
    state[LEAST] = f64::from(sample_rate);
}

/// Whether an Opus packet stands for silence that was not sent.
pub fn is_dtx_packet(payload: &[u8]) -> bool {
    payload.len() <= MOST_DTX_BYTES
}

/// The kind of a frame, if it is silence.
pub fn of_frame(pcm: &[i16]) -> i32 {
    let is_constant = pcm.first().is_none_or(|first| pcm.iter().all(|sample| sample == first));
    if is_constant { kind::DIGITAL } else { kind::BACKGROUND }
}

/// A frame begins at `position`, and the time line was known up to `from`.
pub fn take_gap(state: &mut State, from: f64, position: f64, is_broken: bool, edges: &mut Edges) {
    if from < 0.0 || position == from {
        return;
    }
    if is_broken || position < from {
        take(state, kind::BACKGROUND, from.min(position), f64::INFINITY, edges);
    } else if position - from >= state[LEAST] * BRIDGED {
        take(state, kind::COMFORT_NOISE, from, position, edges);
    }
}

/// The time line from `from` to `to` is of one kind, if it is silence.
pub fn take(state: &mut State, frame_kind: i32, from: f64, to: f64, edges: &mut Edges) {
    let least = state[LEAST];
    let is_silent = state[SILENT] == 1.0;
    let since = state[SINCE];
    if !is_silent || since > state[KIND_FROM] {
        state[KIND] = 0.0;
    }
    if f64::from(frame_kind) == state[RUN] {
        state[OTHER_FROM] = -1.0;
    } else {
        if state[OTHER_FROM] < 0.0 {
            state[OTHER_FROM] = from;
        }
        let is_comfort_noise = state[RUN] == f64::from(kind::COMFORT_NOISE);
        if to - state[OTHER_FROM] > (if is_comfort_noise { least * BRIDGED } else { 0.0 }) {
            if state[KIND] != 0.0 {
                edges.push(Edge { position: state[OTHER_FROM], silent: true, kind: kind::BACKGROUND });
            }
            state[KIND] = 0.0;
            state[RUN] = f64::from(frame_kind);
            state[RUN_FROM] = from;
            state[OTHER_FROM] = -1.0;
        }
    }
    let current = state[RUN];
    if current == 0.0 || !is_silent || state[KIND] != 0.0 {
        return;
    }
    let begin = state[RUN_FROM].max(since);
    if to - begin < least {
        return;
    }
    state[KIND] = current;
    state[KIND_FROM] = begin;
    edges.push(Edge { position: begin, silent: true, kind: current as i32 });
}
