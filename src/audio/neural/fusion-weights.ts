// Fitted by bench/quality/silence/fit/fit-fusion.ts. native/dsp/src/audio/fusion_weights.rs has the same numbers.

/** Weights of the bands, and of a network that is for speech. */
export const BAND_WEIGHT = 0.896;
export const FOR_WEIGHT = 0.183;
/** Weight of a network that is against speech: where speech hardly stands out, and for each 3 dB by which it does. */
export const AGAINST_LEAST = 0.222;
export const AGAINST_BY_DISTANCE = 0.0259;
export const BIAS = 0.00908;
