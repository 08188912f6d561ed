/** Samples of full scale squared: a mean square of 1 is a square wave of −32768. */
const FULL_SCALE_SQUARED = 32768 * 32768;

/** What measureLevel() fills in; made once and used again, so that nothing is allocated a frame. */
export interface Level {
  /** Mean of the squared samples of full scale, 0 to 1; the RMS is its root. */
  meanSquare: number;
  /** Largest magnitude, 0 to 32768. */
  peak: number;
}

/**
 * Measures `count` samples from `pcm[at]` on; zeros for no samples.
 *
 * The sum of squares is a whole number below 2^53 (for up to 8 million samples) and so exact in any order; it is
 * divided once, by count · 2^30. Hence the native path has the same bits.
 */
export function measureLevel(pcm: Int16Array, at: number, count: number, into: Level): void {
  let sum = 0;
  let peak = 0;
  for (let i = at; i < at + count; i++) {
    const sample = pcm[i] as number;
    sum += sample * sample;
    const magnitude = sample < 0 ? -sample : sample;
    if (magnitude > peak) peak = magnitude;
  }
  setLevel(into, sum, peak, count);
}

/** The level of `count` samples whose squares add up to `sum`. */
export function setLevel(into: Level, sum: number, peak: number, count: number): void {
  into.meanSquare = count > 0 ? sum / (count * FULL_SCALE_SQUARED) : 0;
  into.peak = peak;
}
