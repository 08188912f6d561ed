//! Makes one of the network's verdicts and the bands' evidence: `src/audio/neural/fusion.ts`.

use super::fusion_weights::{AGAINST_BY_DISTANCE, AGAINST_LEAST, BAND_WEIGHT, BIAS, FOR_WEIGHT};
use crate::silence::State;

/// Indices into a State: NEURAL_STATE of `src/audio/neural/fusion.ts`.
pub mod slot {
    pub const HAS_VERDICT: usize = 160;
    pub const LOG_ODDS: usize = 161;
    pub const BAND_EVIDENCE: usize = 162;
    pub const IN_DOUBT: usize = 163;
    pub const CONFIRMED: usize = 164;
}
use slot::*;

/// Values of IN_DOUBT.
mod doubt {
    pub const NONE: f64 = 0.0;
    pub const IF_UNCONFIRMED: f64 = 1.0;
    pub const YES: f64 = 2.0;
}

const CLEARLY_SILENT: f64 = -2.0;
const LOUD: f64 = 3.0;
const CONFIRMED_WINDOWS: f64 = 12.0;
const BAND_SMOOTHING: f64 = 0.73;
const MOST_DISTANCE: f64 = 6.0;
const MOST_BAND_ODDS: f64 = 4.0;
const MOST_LOG_ODDS: f64 = 6.0;

/// Log-odds of a hop that the bands alone say `odds` of; `distance` is that of speech from the background.
pub fn fuse_odds(state: &mut State, odds: f64, distance: f64) -> f64 {
    let last = state[BAND_EVIDENCE];
    let evidence = last + (odds - last) * BAND_SMOOTHING;
    state[BAND_EVIDENCE] = evidence;
    let doubt = if evidence <= CLEARLY_SILENT {
        doubt::NONE
    } else if evidence >= LOUD {
        doubt::IF_UNCONFIRMED
    } else {
        doubt::YES
    };
    if doubt > state[IN_DOUBT] {
        state[IN_DOUBT] = doubt;
    }
    if state[HAS_VERDICT] != 1.0 {
        return odds;
    }
    let network = state[LOG_ODDS];
    let against = AGAINST_LEAST + AGAINST_BY_DISTANCE * distance.min(MOST_DISTANCE);
    let weight = if network > 0.0 { FOR_WEIGHT } else { against };
    BAND_WEIGHT * odds.min(MOST_BAND_ODDS) + network * weight + BIAS
}

/// Whether the network is to judge the window that is complete now.
pub fn take_doubt(state: &mut State) -> bool {
    let doubt = std::mem::replace(&mut state[IN_DOUBT], doubt::NONE);
    if doubt != doubt::IF_UNCONFIRMED {
        return doubt == doubt::YES;
    }
    if state[CONFIRMED] == 0.0 {
        return true;
    }
    state[CONFIRMED] -= 1.0;
    false
}

pub fn set_verdict(state: &mut State, log_odds: f64) {
    state[HAS_VERDICT] = 1.0;
    state[CONFIRMED] = if log_odds > 0.0 { CONFIRMED_WINDOWS } else { 0.0 };
    state[LOG_ODDS] = log_odds.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS);
}

/// After a long gap.
pub fn forget_verdict(state: &mut State) {
    state[HAS_VERDICT] = 0.0;
    state[BAND_EVIDENCE] = 0.0;
}

/// The window was not judged.
pub fn clear_verdict(state: &mut State) {
    state[HAS_VERDICT] = 0.0;
}
