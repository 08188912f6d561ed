//! Silence detection; `src/audio/silence.ts` explains it. It works on the same state in shared memory, with the same
//! operations in the same order on the same f64s, so either backend can continue where the other has stopped.

use crate::layout::stream::SILENCE_SLOTS;
use crate::level::energy;

/// State of one channel.
pub type State = [f64; SILENCE_SLOTS];

/// Indices into a State: SILENCE_STATE of `src/audio/silence.ts`.
pub mod slot {
    pub const HOP: usize = 0;
    pub const WINDOW_HOPS: usize = 1;
    pub const ON_ENERGY: usize = 2;
    pub const OFF_ENERGY: usize = 3;
    pub const MIN_SILENCE: usize = 4;
    pub const MIN_SPEECH_HOPS: usize = 5;
    pub const POSITION: usize = 6;
    pub const HOP_FILL: usize = 7;
    pub const HOP_SUM: usize = 8;
    pub const WINDOW_SUM: usize = 9;
    pub const RING_NEXT: usize = 10;
    pub const RING_FILLED: usize = 11;
    pub const SILENT: usize = 12;
    pub const SINCE: usize = 13;
    pub const QUIET_FROM: usize = 14;
    pub const LOUD_HOPS: usize = 15;
    pub const ONSET: usize = 16;
    pub const AUDIO_TO: usize = 17;
    pub const FRAME_SILENT: usize = 18;
    pub const RING: usize = 24;
}
use slot::*;

pub const MAX_EDGES: usize = 128;

const HOPS_A_SECOND: f64 = 200.0;
const MIN_SILENCE_MS: f64 = 500.0;
const RELEASE: f64 = 0.5;

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// RMS of full scale below which a window is silent.
    pub threshold: f64,
    pub window_ms: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Edge {
    pub position: f64,
    pub silent: bool,
    /// Of a silence: kind of `silence_kind.rs`.
    pub kind: i32,
}

/// Up to MAX_EDGES edges, without allocating.
#[derive(Debug)]
pub struct Edges {
    found: usize,
    edges: [Edge; MAX_EDGES],
}

impl Default for Edges {
    fn default() -> Self {
        Self { found: 0, edges: [Edge::default(); MAX_EDGES] }
    }
}

impl Edges {
    pub fn clear(&mut self) {
        self.found = 0;
    }

    pub fn as_slice(&self) -> &[Edge] {
        &self.edges[..self.found]
    }

    pub(crate) fn push(&mut self, edge: Edge) {
        if let Some(free) = self.edges.get_mut(self.found) {
            *free = edge;
            self.found += 1;
        }
    }
}

/// A channel begins silent. JavaScript has checked the settings.
pub fn init(state: &mut State, settings: Settings, sample_rate: u32) {
    let Settings { threshold, window_ms } = settings;
    let sample_rate = f64::from(sample_rate);
    state.fill(0.0);
    let hop = sample_rate / HOPS_A_SECOND;
    let energy = threshold * threshold * 32768.0 * 32768.0 * hop;
    state[HOP] = hop;
    state[WINDOW_HOPS] = window_ms / (1000.0 / HOPS_A_SECOND);
    state[ON_ENERGY] = energy;
    state[OFF_ENERGY] = energy * RELEASE * RELEASE;
    state[MIN_SILENCE] = (MIN_SILENCE_MS * sample_rate) / 1000.0;
    state[MIN_SPEECH_HOPS] = 1.0;
    state[POSITION] = -1.0;
    state[SILENT] = 1.0;
}

/// Processes a frame whose first sample lies at `position`. Edges found are appended to `edges`. Returns the frame's
/// energy, since every sample is read anyway.
pub fn feed(state: &mut State, pcm: &[i16], position: f64, edges: &mut Edges) -> u64 {
    if position != state[POSITION] {
        end_speech_by_gap(state, position, edges);
        skip(state, position);
    }
    let hop = state[HOP] as usize;
    let mut fill = state[HOP_FILL] as usize;
    let mut sum = state[HOP_SUM];
    let mut total = 0;
    let mut next = 0;
    while next < pcm.len() {
        let stop = pcm.len().min(next + hop.saturating_sub(fill).max(1));
        fill += stop - next;
        let stretch = energy(&pcm[next..stop]);
        total += stretch;
        sum += stretch as f64;
        next = stop;
        if fill == hop {
            if close_hop(state, sum, position + next as f64) {
                edges.push(Edge { position: state[SINCE], silent: state[SILENT] == 1.0, kind: 0 });
            }
            fill = 0;
            sum = 0.0;
        }
    }
    state[HOP_FILL] = fill as f64;
    state[HOP_SUM] = sum;
    state[POSITION] = position + pcm.len() as f64;
    state[AUDIO_TO] = state[POSITION];
    let silent = state[SILENT] == 1.0 && state[LOUD_HOPS] == 0.0 && state[SINCE] <= position;
    state[FRAME_SILENT] = f64::from(silent);
    total
}

/// Whether the frame fed last is silence as a whole; after skip(), whether the channel is silent.
pub fn is_frame_silent(state: &State) -> bool {
    state[FRAME_SILENT] == 1.0
}

/// Whether a stretch of that mean square, apart from what was fed, is below the level at which speech begins.
pub fn is_below_threshold(state: &State, mean_square: f64) -> bool {
    mean_square * 32768.0 * 32768.0 * state[HOP] < state[ON_ENERGY]
}

/// There is no audio up to `position`. If that ends speech, the edge is appended to `edges`.
pub fn end_speech_by_gap(state: &mut State, position: f64, edges: &mut Edges) {
    let audio_to = state[AUDIO_TO];
    if state[SILENT] == 1.0 || state[POSITION] < 0.0 || position - audio_to < state[MIN_SILENCE] {
        return;
    }
    turn(state, 1.0, state[QUIET_FROM].min(audio_to));
    for slot in [WINDOW_SUM, RING_NEXT, RING_FILLED] {
        state[slot] = 0.0;
    }
    edges.push(Edge { position: state[SINCE], silent: true, kind: 0 });
}

/// Continues at `position`, after a stretch without audio.
pub fn skip(state: &mut State, position: f64) {
    let last = state[POSITION];
    let gap = position - state[AUDIO_TO];
    if position < last || gap > state[MIN_SILENCE] {
        state[QUIET_FROM] = position;
    }
    if position < last || last < 0.0 {
        state[SINCE] = position;
        state[AUDIO_TO] = position;
    }
    state[POSITION] = position;
    state[FRAME_SILENT] = state[SILENT];
    for slot in [HOP_FILL, HOP_SUM, WINDOW_SUM, RING_NEXT, RING_FILLED, LOUD_HOPS] {
        state[slot] = 0.0;
    }
}

/// A hop of energy `sum` ends at `position`. True when this shows an edge: SILENT and SINCE then describe it.
fn close_hop(state: &mut State, sum: f64, position: f64) -> bool {
    let level = push_hop(state, sum);
    if state[SILENT] == 1.0 {
        if level < state[ON_ENERGY] * state[WINDOW_HOPS] {
            state[LOUD_HOPS] = 0.0;
            return false;
        }
        state[LOUD_HOPS] += 1.0;
        if state[LOUD_HOPS] == 1.0 {
            state[ONSET] = onset_in_window(state, position);
        }
        if state[LOUD_HOPS] < state[MIN_SPEECH_HOPS] {
            return false;
        }
        state[QUIET_FROM] = position;
        turn(state, 0.0, state[ONSET]);
        return true;
    }
    if level >= state[OFF_ENERGY] * state[WINDOW_HOPS] {
        state[QUIET_FROM] = position;
        return false;
    }
    if position - state[QUIET_FROM] < state[MIN_SILENCE] {
        return false;
    }
    turn(state, 1.0, state[QUIET_FROM]);
    true
}

/// Puts a hop into the ring; the energy of the window that it ends.
fn push_hop(state: &mut State, sum: f64) -> f64 {
    let slot = RING + state[RING_NEXT] as usize;
    let mut level = state[WINDOW_SUM] + sum;
    if state[RING_FILLED] == state[WINDOW_HOPS] {
        level -= state[slot];
    } else {
        state[RING_FILLED] += 1.0;
    }
    state[slot] = sum;
    state[RING_NEXT] = if state[RING_NEXT] + 1.0 == state[WINDOW_HOPS] { 0.0 } else { state[RING_NEXT] + 1.0 };
    state[WINDOW_SUM] = level;
    level
}

/// Where the first hop begins, of the window that ends at `position`, that reaches the threshold by itself.
fn onset_in_window(state: &State, position: f64) -> f64 {
    let window = state[WINDOW_HOPS] as usize;
    let next = state[RING_NEXT] as usize;
    let mut back = state[RING_FILLED] as usize;
    while back > 1 && state[RING + (next + window - back) % window] < state[ON_ENERGY] {
        back -= 1;
    }
    position - back as f64 * state[HOP]
}

fn turn(state: &mut State, silent: f64, since: f64) {
    state[SILENT] = silent;
    state[SINCE] = since;
    state[LOUD_HOPS] = 0.0;
}
