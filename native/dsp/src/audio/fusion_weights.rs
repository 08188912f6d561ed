//! Fitted by bench/quality/silence/fit/fit-fusion.ts. src/audio/neural/fusion-weights.ts has the same numbers.

pub const BAND_WEIGHT: f64 = 0.896;
pub const FOR_WEIGHT: f64 = 0.183;
pub const AGAINST_LEAST: f64 = 0.222;
pub const AGAINST_BY_DISTANCE: f64 = 0.0259;
pub const BIAS: f64 = 0.00908;
