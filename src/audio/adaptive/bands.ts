import type { SampleMemory } from '../sample-memory.js';
import { ADAPTIVE_STATE, BLOCK_SAMPLES } from './state.js';

/** Declared here, for the compiler: what a module imports, or exports by its declaration, is looked up each time. */
const A = ADAPTIVE_STATE;

/**
 * The filter bank: a Walsh-Hadamard transform of blocks of 8 samples. It takes 24 additions a block, and its
 * coefficients stand, by the number of their changes of sign, for bands of 500 Hz each at 8 kHz (Beauchamp, "Walsh
 * Functions and Their Applications", 1975). The first coefficient, the sum, is no band: DC offset and hum are in it, and
 * have no part in the other seven. It is kept apart, for the fundamental of a voice, which is what a word ends with. Wide
 * bands with weak edges are enough, because only their SNRs are used, of which several must agree.
 *
 * Two blocks make a pair of 2 ms, of which the loudest of a hop is kept: a voice has pulses, 2.5 to 12 ms apart, which
 * music and tones have not.
 *
 * Samples are taken with 13 bits (divided by 8), which lose nothing of silent G.711 and let every coefficient fit into
 * 16 bits. All sums are whole numbers below 2^53, so that their order does not matter and the native path has the same.
 */

/** Adds `blocks` blocks of 8 samples from `pcm.samples[at]` on, which is at a whole word, to the band energies. */
export function addBlocks(state: Float64Array, base: number, pcm: SampleMemory, at: number, blocks: number): void {
  const { words } = pcm;
  let energy1 = 0;
  let energy2 = 0;
  let energy3 = 0;
  let energy4 = 0;
  let energy5 = 0;
  let energy6 = 0;
  let energy7 = 0;
  let lowEnergy = 0;
  let lowSum = 0;
  let pair = (state[base + A.PAIR] as number) | 0;
  let loudest = (state[base + A.LOUDEST_PAIR] as number) | 0;
  const end = (at >> 1) + blocks * 4;
  for (let word = at >> 1; word < end; word += 4) {
    const ab = words[word] as number;
    const cd = words[word + 1] as number;
    const ef = words[word + 2] as number;
    const gh = words[word + 3] as number;
    const a = (ab << 16) >> 19;
    const b = ab >> 19;
    const c = (cd << 16) >> 19;
    const d = cd >> 19;
    const e = (ef << 16) >> 19;
    const f = ef >> 19;
    const g = (gh << 16) >> 19;
    const h = gh >> 19;
    // Sums and differences of neighbours, of pairs, and of halves.
    const ab1 = (a + b) | 0;
    const ab0 = (a - b) | 0;
    const cd1 = (c + d) | 0;
    const cd0 = (c - d) | 0;
    const ef1 = (e + f) | 0;
    const ef0 = (e - f) | 0;
    const gh1 = (g + h) | 0;
    const gh0 = (g - h) | 0;
    const first11 = (ab1 + cd1) | 0;
    const first10 = (ab1 - cd1) | 0;
    const first01 = (ab0 + cd0) | 0;
    const first00 = (ab0 - cd0) | 0;
    const second11 = (ef1 + gh1) | 0;
    const second10 = (ef1 - gh1) | 0;
    const second01 = (ef0 + gh0) | 0;
    const second00 = (ef0 - gh0) | 0;
    const c0 = (first11 + second11) | 0;
    const c1 = (first11 - second11) | 0;
    const c2 = (first10 - second10) | 0;
    const c3 = (first10 + second10) | 0;
    const c4 = (first00 + second00) | 0;
    const c5 = (first00 - second00) | 0;
    const c6 = (first01 - second01) | 0;
    const c7 = (first01 + second01) | 0;
    const square1 = Math.imul(c1, c1);
    const square2 = Math.imul(c2, c2);
    const square3 = Math.imul(c3, c3);
    const square4 = Math.imul(c4, c4);
    const square5 = Math.imul(c5, c5);
    const square6 = Math.imul(c6, c6);
    const square7 = Math.imul(c7, c7);
    energy1 += square1;
    energy2 += square2;
    energy3 += square3;
    energy4 += square4;
    energy5 += square5;
    energy6 += square6;
    energy7 += square7;
    lowEnergy += Math.imul(c0, c0);
    lowSum = (lowSum + c0) | 0;
    // The squares of all eight are eight times those of the samples: at most 2^30 together, and less without that of the
    // sum, so that two blocks stay below 2^31.
    const block = (square1 + square2 + square3 + square4 + square5 + square6 + square7) | 0;
    if (pair < 0) {
      pair = block;
    } else {
      const both = (pair + block) | 0;
      if (both > loudest) loudest = both;
      pair = -1;
    }
  }
  const to = base + A.ENERGY;
  state[to] = (state[to] as number) + energy1;
  state[to + 1] = (state[to + 1] as number) + energy2;
  state[to + 2] = (state[to + 2] as number) + energy3;
  state[to + 3] = (state[to + 3] as number) + energy4;
  state[to + 4] = (state[to + 4] as number) + energy5;
  state[to + 5] = (state[to + 5] as number) + energy6;
  state[to + 6] = (state[to + 6] as number) + energy7;
  state[base + A.LOW_ENERGY] = (state[base + A.LOW_ENERGY] as number) + lowEnergy;
  state[base + A.LOW_SUM] = (state[base + A.LOW_SUM] as number) + lowSum;
  state[base + A.PAIR] = pair;
  state[base + A.LOUDEST_PAIR] = loudest;
}

/** One block, for samples that cannot be taken eight at a time. */
const single = new Int16Array(BLOCK_SAMPLES);
const singleBlock = {
  bytes: new Uint8Array(single.buffer),
  samples: single,
  words: new Int32Array(single.buffer),
} satisfies SampleMemory;

/** Adds one sample. True when that completes a block, which has been added to the band energies then. */
export function addSample(state: Float64Array, base: number, sample: number): boolean {
  const decimation = state[base + A.DECIMATION] as number;
  const sum = (state[base + A.SAMPLE_SUM] as number) + sample;
  const taken = (state[base + A.SAMPLE_FILL] as number) + 1;
  if (taken < decimation) {
    state[base + A.SAMPLE_FILL] = taken;
    state[base + A.SAMPLE_SUM] = sum;
    return false;
  }
  state[base + A.SAMPLE_FILL] = 0;
  state[base + A.SAMPLE_SUM] = 0;
  const fill = state[base + A.BLOCK_FILL] as number;
  state[base + A.BLOCK + fill] = Math.trunc(sum / decimation);
  if (fill + 1 < BLOCK_SAMPLES) {
    state[base + A.BLOCK_FILL] = fill + 1;
    return false;
  }
  state[base + A.BLOCK_FILL] = 0;
  for (let i = 0; i < BLOCK_SAMPLES; i++) single[i] = state[base + A.BLOCK + i] as number;
  addBlocks(state, base, singleBlock, 0, 1);
  return true;
}

/** Adds a block of 8 · `decimation` samples from `pcm.samples[at]` on. */
export function addWideBlock(
  state: Float64Array,
  base: number,
  pcm: SampleMemory,
  at: number,
  decimation: number,
): void {
  const { samples } = pcm;
  for (let i = 0, next = at; i < BLOCK_SAMPLES; i++) {
    let sum = 0;
    for (const end = next + decimation; next < end; next++) sum += samples[next] as number;
    single[i] = Math.trunc(sum / decimation);
  }
  addBlocks(state, base, singleBlock, 0, 1);
}
