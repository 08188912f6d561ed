//! The silence detection of a channel, whichever detector it has: `src/audio/silence-detector.ts`.

use crate::adaptive;
use crate::adaptive::slot::{DETECTOR, FRAME_IN_SILENCE};
use crate::level::energy;
use crate::silence::{self, Edges, Settings, State};

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
}

/// The neural detector is the adaptive one with more to go by.
fn is_adaptive(state: &State) -> bool {
    state[DETECTOR] != f64::from(detector_id::FIXED)
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
