//! Decisions: `src/audio/adaptive/detector.ts`.

use super::bands::{add_blocks, add_sample, add_wide_blocks};
use super::classifier::classify;
use super::features::{feature, measure_hop, measure_low};
use super::minimum::{init_band_floors, init_minimum};
use super::slot::*;
use super::{BANDS, BLOCK_SAMPLES};
use crate::detector::detector_id;
use crate::fusion::{forget_verdict, fuse_odds};
use crate::silence::{Edge, Edges, State};

const ONSET: f64 = 0.75;
const RELEASE: f64 = 0.42;
const EVIDENCE_SMOOTHING: f64 = 0.82;
const ABOVE_LEAST: f64 = 0.22;
const ABOVE_SHARE: f64 = 0.24;
const MOST_ONSET_HOPS: f64 = 3.0;
const NARROW: f64 = 0.75;
const WIDE: f64 = 5.3;
const HANG_OVER: f64 = 2.4;
const HANG_OVER_ADDED: f64 = 5.7;
const LEAST_SILENCE: f64 = 21.0;
const LEAST_SILENCE_ADDED: f64 = 11.0;
const MOST_TAIL_HOPS: f64 = 12.0;
const STEADY: f64 = 0.1;
const CLEAR: f64 = 4.5;
const SOUNDING: f64 = 3.0;
const AUDIBLE: f64 = 2.0;
const LOW_SOUNDING: f64 = 4.0;
const MOST_LOW_HOPS: f64 = 5.0;

/// A channel begins silent. All slots but the detector's id are set.
pub fn init(state: &mut State, sample_rate: u32) {
    state.fill(0.0);
    let decimation = (sample_rate / 8000).max(1);
    let blocks = (f64::from(sample_rate) / f64::from(decimation * BLOCK_SAMPLES as u32 * 50) + 0.5).floor();
    state[DECIMATION] = f64::from(decimation);
    state[HOP_BLOCKS] = blocks;
    state[HOP] = blocks * BLOCK_SAMPLES as f64 * f64::from(decimation);
    state[MIN_SILENCE] = LEAST_SILENCE * state[HOP];
    state[POSITION] = -1.0;
    state[PAIR] = -1.0;
    state[SILENT] = 1.0;
    state[FRAME_SILENT] = 1.0;
    state[FRAME_IN_SILENCE] = 1.0;
    init_band_floors(state);
    init_minimum(state, BACKGROUND);
    init_minimum(state, LEVEL_FLOOR);
}

/// Processes a frame whose first sample lies at `position`. Edges found are appended to `edges`.
pub fn feed(state: &mut State, pcm: &[i16], position: f64, edges: &mut Edges) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has the instructions.
        return unsafe { feed_avx2(state, pcm, position, edges) };
    }
    feed_anywhere(state, pcm, position, edges);
}

/// The same code and, as multiplications and additions stay apart, the same results: the compiler works on several
/// numbers at a time where there are several.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn feed_avx2(state: &mut State, pcm: &[i16], position: f64, edges: &mut Edges) {
    feed_anywhere(state, pcm, position, edges);
}

#[inline(always)]
fn feed_anywhere(state: &mut State, pcm: &[i16], position: f64, edges: &mut Edges) {
    skip_gap(state, position, edges);
    let hop_blocks = state[HOP_BLOCKS];
    let mut blocks = state[BLOCKS];
    let mut was_live = false;
    let mut has_hop = false;
    let mut next = 0;
    while next < pcm.len() {
        let (samples, added) = take_blocks(state, &pcm[next..], hop_blocks - blocks);
        blocks += added;
        next += samples;
        if blocks < hop_blocks {
            continue;
        }
        blocks = 0.0;
        has_hop = true;
        if close_hop(state, position + next as f64) {
            edges.push(Edge { position: state[SINCE], silent: state[SILENT] == 1.0, kind: 0 });
        }
        was_live |= state[LIVE] == 1.0;
    }
    state[BLOCKS] = blocks;
    state[POSITION] = position + pcm.len() as f64;
    state[AUDIO_TO] = state[POSITION];
    let is_live = if has_hop { was_live } else { state[LIVE] == 1.0 };
    state[FRAME_SILENT] = f64::from(!is_live);
    state[FRAME_IN_SILENCE] = f64::from(state[SILENT] == 1.0 && state[SINCE] <= position);
}

/// A frame begins at `position`: continues there, if that is a jump.
pub fn skip_gap(state: &mut State, position: f64, edges: &mut Edges) {
    if position != state[POSITION] {
        end_speech_by_gap(state, position, edges);
        skip(state, position);
    }
}

/// Takes samples up to the end of a block, or as many blocks as possible where it can, `most` at most; returns how many
/// samples that was, and how many blocks it has completed.
#[inline(always)]
fn take_blocks(state: &mut State, pcm: &[i16], most: f64) -> (usize, f64) {
    let decimation = state[DECIMATION] as usize;
    let is_at_block = state[BLOCK_FILL] == 0.0 && state[SAMPLE_FILL] == 0.0;
    if is_at_block && decimation == 1 && pcm.len() >= BLOCK_SAMPLES {
        let (blocks, _) = pcm.as_chunks();
        let blocks = &blocks[..blocks.len().min((most as usize).max(1))];
        add_blocks(state, blocks);
        return (blocks.len() * BLOCK_SAMPLES, blocks.len() as f64);
    }
    let span = decimation.saturating_mul(BLOCK_SAMPLES);
    if is_at_block && decimation > 0 && pcm.len() >= span {
        let blocks = add_wide_blocks(state, pcm, decimation, most as usize);
        return (blocks * span, blocks as f64);
    }
    for (taken, &sample) in pcm.iter().enumerate() {
        if add_sample(state, sample) {
            return (taken + 1, 1.0);
        }
    }
    (pcm.len(), 0.0)
}

/// There is no audio up to `position`. If that ends speech, the edge is appended to `edges`.
pub fn end_speech_by_gap(state: &mut State, position: f64, edges: &mut Edges) {
    let audio_to = state[AUDIO_TO];
    if state[POSITION] < 0.0 || position - audio_to < state[MIN_SILENCE] {
        return;
    }
    state[LIVE] = 0.0;
    state[EVIDENCE] = 0.0;
    forget_verdict(state);
    if state[SILENT] == 1.0 {
        return;
    }
    turn(state, 1.0, state[ACTIVE_TO].min(audio_to));
    edges.push(Edge { position: state[SINCE], silent: true, kind: 0 });
}

/// Continues at `position`, after a stretch without audio.
pub fn skip(state: &mut State, position: f64) {
    let last = state[POSITION];
    if position < last || last < 0.0 {
        state[SINCE] = position;
        state[AUDIO_TO] = position;
        state[ACTIVE_TO] = position;
        state[ABOVE_TO] = position;
    }
    state[POSITION] = position;
    for slot in [BLOCK_FILL, SAMPLE_FILL, SAMPLE_SUM, BLOCKS, ABOVE_HOPS, LOUDEST_PAIR, LOW_ENERGY, LOW_SUM] {
        state[slot] = 0.0;
    }
    state[PAIR] = -1.0;
    state[ENERGY..ENERGY + BANDS].fill(0.0);
    state[FRAME_SILENT] = f64::from(state[LIVE] != 1.0);
    state[FRAME_IN_SILENCE] = state[SILENT];
}

/// A hop ends at `position`. True when this shows an edge: SILENT and SINCE then describe it.
#[inline(always)]
fn close_hop(state: &mut State, position: f64) -> bool {
    let is_first = state[HOPS] == 0.0;
    let features = measure_hop(state);
    let bands = classify(&features);
    let is_neural = state[DETECTOR] == f64::from(detector_id::NEURAL);
    let background = features[feature::BACKGROUND];
    let distance = features[feature::SPEECH_SNR] - background;
    let odds = if is_neural { fuse_odds(state, bands, distance) } else { bands };
    let last = state[EVIDENCE];
    let evidence = if is_first { odds } else { last + (odds - last) * EVIDENCE_SMOOTHING };
    state[EVIDENCE] = evidence;

    let above_floor = if background < STEADY { features[feature::ABOVE_FLOOR] } else { 0.0 };
    let is_above = if background < STEADY {
        above_floor >= SOUNDING
    } else {
        features[feature::SNR] > background + (distance * ABOVE_SHARE).max(ABOVE_LEAST)
    };
    let above_hops = if is_above { state[ABOVE_HOPS] + 1.0 } else { 0.0 };
    state[ABOVE_HOPS] = above_hops;
    let low = measure_low(state);
    follow_tail(state, position, is_above, low);

    // One hop alone may be a click.
    let is_clear = above_floor >= CLEAR && above_hops > 1.0;
    if is_clear || evidence >= (if state[LIVE] == 1.0 { RELEASE } else { ONSET }) {
        return speak(state, position, above_hops);
    }
    if state[SILENT] == 0.0 && above_floor >= AUDIBLE {
        state[ACTIVE_TO] = position;
    }
    let narrowness = narrow(distance);
    if state[LIVE] == 1.0 {
        state[QUIET_HOPS] += 1.0;
        if state[QUIET_HOPS] > HANG_OVER + HANG_OVER_ADDED * narrowness {
            state[LIVE] = 0.0;
        }
    }
    let hop = state[HOP];
    let active_to = state[ACTIVE_TO];
    if state[SILENT] == 1.0
        || state[LIVE] == 1.0
        || position - active_to < (LEAST_SILENCE + LEAST_SILENCE_ADDED * narrowness) * hop
    {
        return false;
    }
    let since = active_to.min(state[ABOVE_TO].max(active_to - MOST_TAIL_HOPS * hop));
    turn(state, 1.0, if since > state[SINCE] { since } else { active_to });
    true
}

/// Notes the end of the last hop above the background, and follows the end of a word below the bands.
fn follow_tail(state: &mut State, position: f64, is_above: bool, low: f64) {
    if is_above {
        state[ABOVE_TO] = position;
        state[LOW_HOPS] = 0.0;
        return;
    }
    let goes_on = state[ABOVE_TO] == position - state[HOP];
    if low < LOW_SOUNDING || state[LOW_HOPS] == MOST_LOW_HOPS || !goes_on {
        return;
    }
    state[ABOVE_TO] = position;
    state[LOW_HOPS] += 1.0;
}

/// The hop that ends at `position` is speech.
fn speak(state: &mut State, position: f64, above_hops: f64) -> bool {
    let active_to = state[ACTIVE_TO];
    state[LIVE] = 1.0;
    state[QUIET_HOPS] = 0.0;
    state[ACTIVE_TO] = position;
    if state[SILENT] == 0.0 {
        return false;
    }
    let back = 1.0 + (if above_hops > 0.0 { above_hops - 1.0 } else { 0.0 }).min(MOST_ONSET_HOPS);
    let onset = position - back * state[HOP];
    turn(state, 0.0, onset.max(active_to));
    true
}

/// 0 where speech stands far above the background, 1 where it hardly does.
fn narrow(distance: f64) -> f64 {
    if distance >= WIDE {
        return 0.0;
    }
    if distance <= NARROW { 1.0 } else { (WIDE - distance) / (WIDE - NARROW) }
}

fn turn(state: &mut State, silent: f64, since: f64) {
    state[SILENT] = silent;
    state[SINCE] = since;
}
