import type { SampleMemory } from './sample-memory.js';

/** Samples of full scale squared: a mean square of 1 is a square wave of −32768. */
const FULL_SCALE_SQUARED = 32768 * 32768;

/** What measureLevel() fills in; made once and used again, so that nothing is allocated a frame. */
export interface Level {
  /** Mean of the squared samples of full scale, 0 to 1; the RMS is its root. */
  meanSquare: number;
  /** Largest magnitude, 0 to 32768. */
  peak: number;
}

/** What addSquares() keeps, in a Float64Array because numbers returned may be allocated. */
export const SQUARES = {
  /** Sum of the squares of the stretch at hand. */
  ENERGY: 0,
  /** The largest square of all stretches. */
  LARGEST: 1,
  SLOTS: 2,
} as const;

const squares = new Float64Array(SQUARES.SLOTS);

/**
 * Measures `count` samples from `pcm.samples[at]` on; zeros for no samples.
 *
 * The sum of squares is a whole number below 2^53 (for up to 8 million samples) and so exact in any order; it is
 * divided once, by count · 2^30. Hence the native path has the same bits.
 */
export function measureLevel(pcm: SampleMemory, at: number, count: number, into: Level): void {
  squares.fill(0);
  addSquares(pcm, at, at + count, squares);
  setLevel(into, squares[SQUARES.ENERGY] as number, squares[SQUARES.LARGEST] as number, count);
}

/** The level of `count` samples whose squares add up to `energy` and are at most `largest`. */
export function setLevel(into: Level, energy: number, largest: number, count: number): void {
  into.meanSquare = count > 0 ? energy / (count * FULL_SCALE_SQUARED) : 0;
  into.peak = Math.sqrt(largest);
}

/**
 * Looks at the samples `pcm.samples[at]` to `[end − 1]`: ENERGY becomes the sum of their squares, LARGEST goes up if
 * one of these is larger.
 *
 * A sign or a peak is a branch that no processor can foresee, and each miss costs as much as ten samples. So there is
 * none on the sign, and one in eight samples on the bits of their squares taken together: these exceed the largest
 * square whenever one of the eight does, and seldom else. Two squares are at most 2^31, which fits if the 32 bits are
 * read without a sign.
 */
export function addSquares(pcm: SampleMemory, at: number, end: number, into: Float64Array): void {
  const { samples, words } = pcm;
  let energy = 0;
  let largest = (into[SQUARES.LARGEST] as number) | 0;
  let next = at;
  if ((next & 1) === 0) {
    for (; next + 8 <= end; next += 8) {
      const word = next >> 1;
      const ab = words[word] as number;
      const cd = words[word + 1] as number;
      const ef = words[word + 2] as number;
      const gh = words[word + 3] as number;
      const a = squareOfLow(ab);
      const b = squareOfHigh(ab);
      const c = squareOfLow(cd);
      const d = squareOfHigh(cd);
      const e = squareOfLow(ef);
      const f = squareOfHigh(ef);
      const g = squareOfLow(gh);
      const h = squareOfHigh(gh);
      energy += ((a + b) >>> 0) + ((c + d) >>> 0) + ((e + f) >>> 0) + ((g + h) >>> 0);
      if ((a | b | c | d | e | f | g | h) > largest) largest = Math.max(largest, a, b, c, d, e, f, g, h);
    }
  }
  for (; next < end; next++) {
    const sample = samples[next] as number;
    const square = Math.imul(sample, sample);
    energy += square;
    largest = Math.max(largest, square);
  }
  into[SQUARES.ENERGY] = energy;
  into[SQUARES.LARGEST] = largest;
}

function squareOfLow(word: number): number {
  const sample = (word << 16) >> 16;
  return Math.imul(sample, sample);
}

function squareOfHigh(word: number): number {
  const sample = word >> 16;
  return Math.imul(sample, sample);
}
