//! Minimum statistics: `src/audio/adaptive/minimum.ts`.

use super::slot::{BAND_HOPS, BAND_MINIMA, BAND_MINIMUM, BAND_NEXT, FLOOR as BAND_FLOOR, HOPS as HOPS_TAKEN};
use super::{BANDS, SUB_WINDOWS};
use crate::silence::State;

/// A running minimum over eight sub-windows: MINIMUM of `state.ts`.
pub const CURRENT: usize = 0;
pub const FLOOR: usize = 1;
const HOPS: usize = 2;
const NEXT: usize = 3;
const RING: usize = 4;
const SLOTS: usize = 12;

const START_HOPS: f64 = 20.0;
const BAND_SUB_WINDOW: f64 = 10.0;
const HIGHEST: f64 = 1e30;

pub fn init_minimum(state: &mut State, at: usize) {
    state[at + RING..at + SLOTS].fill(HIGHEST);
    state[at + CURRENT] = HIGHEST;
}

pub fn init_band_floors(state: &mut State) {
    state[BAND_MINIMUM..BAND_MINIMA + BANDS * SUB_WINDOWS].fill(HIGHEST);
}

/// Takes a value into a running minimum whose sub-windows are `sub_window` hops long.
pub fn track_minimum(state: &mut State, at: usize, value: f64, sub_window: f64, may_rise: bool) {
    if value < state[at + CURRENT] {
        state[at + CURRENT] = value;
    }
    if value < state[at + FLOOR] {
        state[at + FLOOR] = value;
    }
    let hops = state[at + HOPS] + 1.0;
    if hops < sub_window {
        state[at + HOPS] = hops;
        return;
    }
    let next = state[at + NEXT] as usize % SUB_WINDOWS;
    state[at + HOPS] = 0.0;
    state[at + NEXT] = ((next + 1) % SUB_WINDOWS) as f64;
    state[at + RING + next] = state[at + CURRENT];
    state[at + CURRENT] = HIGHEST;
    if may_rise {
        state[at + FLOOR] = lowest(&state[at + RING..][..SUB_WINDOWS]);
    }
}

/// Counts a hop, after the bands' minima have taken it in; renews the floors at the end of a sub-window.
pub fn close_band_hop(state: &mut State) {
    let hops = state[BAND_HOPS] + 1.0;
    if hops < BAND_SUB_WINDOW {
        state[BAND_HOPS] = hops;
        return;
    }
    let next = state[BAND_NEXT] as usize % SUB_WINDOWS;
    state[BAND_HOPS] = 0.0;
    state[BAND_NEXT] = ((next + 1) % SUB_WINDOWS) as f64;
    let may_rise = has_started(state);
    for band in 0..BANDS {
        let ring = BAND_MINIMA + band * SUB_WINDOWS;
        state[ring + next] = state[BAND_MINIMUM + band];
        state[BAND_MINIMUM + band] = HIGHEST;
        if may_rise {
            state[BAND_FLOOR + band] = lowest(&state[ring..][..SUB_WINDOWS]);
        }
    }
}

pub fn has_started(state: &State) -> bool {
    state[HOPS_TAKEN] >= START_HOPS
}

fn lowest(values: &[f64]) -> f64 {
    values.iter().fold(f64::INFINITY, |least, &value| if value < least { value } else { least })
}
