//! What the classifier looks at: `src/audio/adaptive/features.ts`.

use std::array::from_fn;

use super::minimum::{FLOOR as MINIMUM_FLOOR, close_band_hop, has_started, track_minimum};
use super::slot::*;
use super::{BANDS, BLOCK_SAMPLES};
use crate::silence::State;

/// FEATURE of `features.ts`.
pub mod feature {
    pub const SNR: usize = 0;
    pub const SNR_80: usize = 1;
    pub const SNR_250: usize = 2;
    pub const BACKGROUND: usize = 3;
    pub const SPEECH_SNR: usize = 4;
    pub const ABOVE_FLOOR: usize = 5;
    pub const BELOW_SPEECH: usize = 6;
    pub const RANGE: usize = 7;
    pub const DEVIATION: usize = 8;
    pub const PEAK_SHORT: usize = 9;
    pub const PEAK_LONG: usize = 10;
    pub const TROUGH: usize = 11;
    pub const BAND: usize = 12;
    pub const CHANGE: usize = 19;
    pub const SMOOTHED_ABOVE_FLOOR: usize = 20;
    pub const UNSTEADINESS: usize = 21;
    pub const SHAPE_CHANGE: usize = 22;
    pub const PULSE_200: usize = 23;
    pub const PULSE_700: usize = 24;
    pub const COUNT: usize = 25;
}

pub type Features = [f64; feature::COUNT];

const LEAST: f64 = 1.0;
const BAND_SMOOTHING: f64 = 0.6;
const BIAS: f64 = 0.4;
const MOST_SNR: f64 = 8.0;
const FIRST_FLOOR: f64 = 40.0;
const FIRST_LEVEL_FLOOR: f64 = 8.0;
const FIRST_RANGE: f64 = 5.0;
const FIRST_SPEECH_SNR: f64 = 4.0;
const FIRST_SHAPE_CHANGE: f64 = 0.28;
const FIRST_PULSE: f64 = 1.3;
const LOW_SMOOTHING: f64 = 0.3;
const LOW_RISE: f64 = 0.02;
const BACKGROUND_SUB_WINDOW: f64 = 40.0;
const LEVEL_SUB_WINDOW: f64 = 20.0;
const SPEECH_UP: f64 = 0.3;
const SPEECH_DOWN: f64 = 0.0007;

/// log2, exact at powers of two and a straight line between them, off the upper half of the double.
#[inline(always)]
fn rough_log2(value: f64) -> f64 {
    f64::from((value.to_bits() >> 32) as i32) / 1_048_576.0 - 1023.0
}

/// Mean square of full scale 1 as that of samples divided by 8.
const FULL_SCALE: f64 = 16_777_216.0;

/// Whether a stretch of that mean square (of full scale) is nearer to the channel's floor than to its speech.
pub fn is_near_floor(state: &State, mean_square: f64) -> bool {
    let level = rough_log2(mean_square * FULL_SCALE + BANDS as f64 * LEAST);
    level < (state[LEVEL_FLOOR + MINIMUM_FLOOR] + state[SPEECH_LEVEL]) / 2.0
}

/// Takes the energies of a whole hop in.
#[inline(always)]
pub fn measure_hop(state: &mut State) -> Features {
    let mut features = [0.0; feature::COUNT];
    let is_first = state[HOPS] == 0.0;
    let level = rough_log2(measure_bands(state, is_first, &mut features));
    measure_pulse(state, is_first, level, &mut features);
    measure_snr(state, is_first, &mut features);
    measure_levels(state, is_first, level, &mut features);
    state[HOPS] += 1.0;
    features
}

#[inline(always)]
fn measure_bands(state: &mut State, is_first: bool, features: &mut Features) -> f64 {
    let scale = state[HOP_BLOCKS] * BLOCK_SAMPLES as f64 * BLOCK_SAMPLES as f64;
    // Each step for all bands before the next one, so that the compiler can take several bands at a time.
    let bands = |state: &State, at: usize| -> [f64; BANDS] { from_fn(|band| state[at + band]) };
    let power = bands(state, ENERGY).map(|energy| energy / scale + LEAST);
    state[ENERGY..][..BANDS].fill(0.0);
    let last = bands(state, SMOOTH);
    let smooth =
        if is_first { power } else { from_fn(|band| last[band] + (power[band] - last[band]) * BAND_SMOOTHING) };
    state[SMOOTH..][..BANDS].copy_from_slice(&smooth);
    let log = smooth.map(rough_log2);
    let changes = if is_first { [0.0; BANDS] } else { from_fn(|band| log[band] - rough_log2(last[band])) };
    let floor = if is_first {
        power.map(|power| rough_log2(if power < FIRST_FLOOR { power } else { FIRST_FLOOR }))
    } else {
        bands(state, FLOOR)
    };
    let lower = |than: [f64; BANDS]| -> [f64; BANDS] {
        from_fn(|band| if log[band] < than[band] { log[band] } else { than[band] })
    };
    let floor = lower(floor);
    let minimum = lower(bands(state, BAND_MINIMUM));
    state[FLOOR..][..BANDS].copy_from_slice(&floor);
    state[BAND_MINIMUM..][..BANDS].copy_from_slice(&minimum);
    let snr: [f64; BANDS] = from_fn(|band| {
        let above = log[band] - floor[band] - BIAS;
        let below_most = if above < MOST_SNR { above } else { MOST_SNR };
        if above < 0.0 { 0.0 } else { below_most }
    });
    features[feature::BAND..][..BANDS].copy_from_slice(&snr);
    // In the order of the JavaScript path.
    let add_up = |values: &[f64; BANDS]| values.iter().fold(0.0, |sum, value| sum + value);
    let (total, common, sum) = (add_up(&power), add_up(&changes), add_up(&snr));
    close_band_hop(state);
    features[feature::SNR] = sum / BANDS as f64;
    features[feature::SHAPE_CHANGE] = measure_shape(state, is_first, &changes, common / BANDS as f64);
    total
}

/// The smoothed size of the bands' changes beside the change that all have in `common`.
#[inline(always)]
fn measure_shape(state: &mut State, is_first: bool, changes: &[f64; BANDS], common: f64) -> f64 {
    let mut sum = 0.0;
    for change in changes {
        sum += (change - common).abs();
    }
    let last = if is_first { FIRST_SHAPE_CHANGE } else { state[SHAPE_CHANGE] };
    state[SHAPE_CHANGE] = last + (sum / BANDS as f64 - last) * 0.03;
    state[SHAPE_CHANGE]
}

/// Two blocks of squares as the mean square of a sample.
const PAIR_SCALE: f64 = (2 * BLOCK_SAMPLES * BLOCK_SAMPLES) as f64;

#[inline(always)]
fn measure_pulse(state: &mut State, is_first: bool, level: f64, features: &mut Features) {
    let loudest = state[LOUDEST_PAIR] / PAIR_SCALE + BANDS as f64 * LEAST;
    state[LOUDEST_PAIR] = 0.0;
    let pulse = rough_log2(loudest) - level;
    if is_first {
        state[PULSE_200] = FIRST_PULSE;
        state[PULSE_700] = FIRST_PULSE;
    }
    state[PULSE_200] += (pulse - state[PULSE_200]) * 0.1;
    state[PULSE_700] += (pulse - state[PULSE_700]) * 0.03;
    features[feature::PULSE_200] = state[PULSE_200];
    features[feature::PULSE_700] = state[PULSE_700];
}

/// Takes in what lies below the bands, without DC; how far it is above its floor.
#[inline(always)]
pub fn measure_low(state: &mut State) -> f64 {
    let blocks = state[HOP_BLOCKS];
    let sum = state[LOW_SUM];
    let energy = state[LOW_ENERGY] - (sum * sum) / blocks;
    state[LOW_ENERGY] = 0.0;
    state[LOW_SUM] = 0.0;
    let power = energy / (blocks * BLOCK_SAMPLES as f64 * BLOCK_SAMPLES as f64) + LEAST;
    // This hop has been counted.
    let is_first = state[HOPS] == 1.0;
    let last = state[LOW];
    let smooth = if is_first { power } else { last + (power - last) * LOW_SMOOTHING };
    state[LOW] = smooth;
    let risen = if is_first { FIRST_LEVEL_FLOOR } else { state[LOW_FLOOR] + LOW_RISE };
    let floor = rough_log2(smooth).min(risen);
    state[LOW_FLOOR] = floor;
    rough_log2(power) - floor
}

#[inline(always)]
fn measure_snr(state: &mut State, is_first: bool, features: &mut Features) {
    let snr = features[feature::SNR];
    let snr_80 = state[SNR_80] + (snr - state[SNR_80]) * 0.25;
    let last_250 = state[SNR_250];
    let snr_250 = if is_first { snr } else { last_250 + (snr - last_250) * 0.08 };
    let from = snr - snr_250;
    let variance = state[VARIANCE] + (from * from - state[VARIANCE]) * 0.1;
    if is_first {
        state[BACKGROUND + MINIMUM_FLOOR] = snr_250.min(1.0);
        state[SPEECH_SNR] = FIRST_SPEECH_SNR;
    }
    track_minimum(state, BACKGROUND, snr_250, BACKGROUND_SUB_WINDOW, true);
    let background = state[BACKGROUND + MINIMUM_FLOOR];
    let speech = follow(state[SPEECH_SNR], snr_80, background);
    let peak_short = snr.max(state[PEAK_SHORT] - 0.3);
    let peak_long = snr.max(state[PEAK_LONG] - 0.1);
    let risen = state[TROUGH] + 0.2;
    let trough = snr.min(risen);
    features[feature::SNR_80] = snr_80;
    features[feature::SNR_250] = snr_250;
    features[feature::BACKGROUND] = background;
    features[feature::SPEECH_SNR] = speech;
    features[feature::DEVIATION] = variance.sqrt();
    features[feature::PEAK_SHORT] = peak_short;
    features[feature::PEAK_LONG] = peak_long;
    features[feature::TROUGH] = trough;
    features[feature::CHANGE] = snr - state[LAST_SNR];
    state[SNR_80] = snr_80;
    state[SNR_250] = snr_250;
    state[VARIANCE] = variance;
    state[SPEECH_SNR] = speech;
    state[PEAK_SHORT] = peak_short;
    state[PEAK_LONG] = peak_long;
    state[TROUGH] = trough;
    state[LAST_SNR] = snr;
}

#[inline(always)]
fn measure_levels(state: &mut State, is_first: bool, level: f64, features: &mut Features) {
    let last = state[LEVEL];
    let smooth = if is_first { level } else { last + (level - last) * 0.5 };
    if is_first {
        let floor = level.min(FIRST_LEVEL_FLOOR);
        state[LEVEL_FLOOR + MINIMUM_FLOOR] = floor;
        state[SPEECH_LEVEL] = floor + FIRST_RANGE;
    }
    let may_rise = has_started(state);
    track_minimum(state, LEVEL_FLOOR, smooth, LEVEL_SUB_WINDOW, may_rise);
    let floor = state[LEVEL_FLOOR + MINIMUM_FLOOR];
    let speech = follow(state[SPEECH_LEVEL], smooth, floor);
    let change = if is_first { 1.0 } else { (level - state[LAST_LEVEL]).abs() };
    state[UNSTEADINESS] += (change - state[UNSTEADINESS]) * 0.1;
    features[feature::UNSTEADINESS] = state[UNSTEADINESS];
    state[LAST_LEVEL] = level;
    features[feature::ABOVE_FLOOR] = level - floor;
    features[feature::BELOW_SPEECH] = speech - level;
    features[feature::RANGE] = speech - floor;
    features[feature::SMOOTHED_ABOVE_FLOOR] = smooth - floor;
    state[LEVEL] = smooth;
    state[SPEECH_LEVEL] = speech;
}

/// Follows the maxima of `value`, and forgets them towards `floor`.
#[inline(always)]
fn follow(last: f64, value: f64, floor: f64) -> f64 {
    if value > last { last + (value - last) * SPEECH_UP } else { last + (floor - last) * SPEECH_DOWN }
}
