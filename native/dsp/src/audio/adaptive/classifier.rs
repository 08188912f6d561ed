//! The odds of speech: `src/audio/adaptive/classifier.ts`.

use super::features::Features;
use super::weights::{HIDDEN_BIAS, HIDDEN_WEIGHTS, OUTPUT_BIAS, OUTPUT_WEIGHTS};

/// Each sum is added up in the order of the features, as in JavaScript; the sums beside each other make vectors.
#[inline(always)]
pub fn classify(features: &Features) -> f64 {
    let mut hidden = HIDDEN_BIAS;
    for (feature, weights) in features.iter().zip(&HIDDEN_WEIGHTS) {
        for (sum, weight) in hidden.iter_mut().zip(weights) {
            *sum += weight * feature;
        }
    }
    let mut odds = OUTPUT_BIAS;
    for (value, weight) in hidden.iter().zip(OUTPUT_WEIGHTS) {
        if *value > 0.0 {
            odds += weight * value;
        }
    }
    odds
}
