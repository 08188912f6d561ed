//! The silence detection of a channel, whichever detector it has: `src/audio/silence-detector.ts`.

use crate::adaptive;
use crate::adaptive::slot::{DETECTOR, FRAME_IN_SILENCE};
use crate::level::energy;
use crate::silence::slot::POSITION;
use crate::silence::{self, Edges, Settings, State};
use crate::silence_kind;

/// DETECTOR_ID of `src/core/events.ts`.
pub mod detector_id {
    pub const FIXED: i32 = 0;
    pub const ADAPTIVE: i32 = 1;
    pub const NEURAL: i32 = 2;
}

/// A channel begins silent. JavaScript has checked the settings.
pub fn init(state: &mut State, detector: i32, settings: Settings, sample_rate: u32) {
    if detector == detector_id::FIXED {
        silence::init(state, settings, sample_rate);
    } else {
        adaptive::init(state, sample_rate);
    }
    state[DETECTOR] = f64::from(detector);
    silence_kind::init(state, sample_rate);
}

/// The neural detector is the adaptive one with more to go by.
fn is_adaptive(state: &State) -> bool {
    state[DETECTOR] != f64::from(detector_id::FIXED)
}

/// A frame begins at `position`: continues there, if that is a jump. `is_broken`: what came before says nothing of the
/// time between.
pub fn begin_frame(state: &mut State, position: f64, is_broken: bool, edges: &mut Edges) {
    let known_to = state[POSITION];
    if position != known_to {
        end_speech_by_gap(state, position, edges);
        skip(state, position);
        silence_kind::take_gap(state, known_to, position, is_broken, edges);
    }
}

/// Processes a frame whose first sample lies at `position`. Edges found are appended to `edges`. Returns the frame's
/// energy.
pub fn feed(state: &mut State, pcm: &[i16], position: f64, edges: &mut Edges) -> u64 {
    if !is_adaptive(state) {
        return silence::feed(state, pcm, position, edges);
    }
    adaptive::feed(state, pcm, position, edges);
    energy(pcm)
}

/// As feed(), and has the kind of silence followed. `is_dtx`: the frame stands for silence that was not sent.
pub fn feed_of_kind(state: &mut State, pcm: &[i16], position: f64, is_dtx: bool, edges: &mut Edges) -> u64 {
    let energy = feed(state, pcm, position, edges);
    let kind = if is_dtx { silence_kind::kind::COMFORT_NOISE } else { silence_kind::of_frame(pcm) };
    silence_kind::take(state, kind, position, position + pcm.len() as f64, edges);
    energy
}

/// As feed(), for samples made up in place of a packet that could not be decoded: noise floors must not learn them.
pub fn feed_concealed(state: &mut State, pcm: &[i16], position: f64, edges: &mut Edges) -> u64 {
    if !is_adaptive(state) {
        return silence::feed(state, pcm, position, edges);
    }
    adaptive::skip_gap(state, position, edges);
    adaptive::skip(state, position + pcm.len() as f64);
    energy(pcm)
}

/// There is no audio up to `position`. If that ends speech, the edge is appended to `edges`.
pub fn end_speech_by_gap(state: &mut State, position: f64, edges: &mut Edges) {
    if is_adaptive(state) {
        adaptive::end_speech_by_gap(state, position, edges);
    } else {
        silence::end_speech_by_gap(state, position, edges);
    }
}

/// Continues at `position`, after a stretch without audio.
pub fn skip(state: &mut State, position: f64) {
    if is_adaptive(state) {
        adaptive::skip(state, position);
    } else {
        silence::skip(state, position);
    }
}

/// Whether the frame fed last lies in a silence, as far as the edges have said; what recordings go by.
pub fn is_frame_in_silence(state: &State) -> bool {
    if is_adaptive(state) { state[FRAME_IN_SILENCE] == 1.0 } else { silence::is_frame_silent(state) }
}

/// Whether a stretch of that mean square of full scale passes for quiet on this channel: that of a late packet.
pub fn is_quiet(state: &State, mean_square: f64) -> bool {
    if is_adaptive(state) {
        adaptive::is_near_floor(state, mean_square)
    } else {
        silence::is_below_threshold(state, mean_square)
    }
}
