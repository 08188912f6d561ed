import { TrunklineError } from '../core/errors.js';
import type { FrameEnergy } from './frame-energy.js';

/**
 * Silence detection by true RMS (the root of the mean square, of full scale) over a sliding window.
 *
 * Sound is taken in hops of 5 ms, counted from the first sample, whatever frames it comes in: the same audio cut
 * differently has the same edges. After each hop the RMS of the window, the last `windowMs`, decides:
 *
 * - Silence ends when it reaches the threshold. Speech began with the first hop of that window that reaches the
 *   threshold by itself (there is one, or the mean would not).
 * - Speech ends when it has been below half the threshold for `minSilenceMs`. Silence began after the last hop at
 *   which it was not.
 *
 * Hops without audio, before the first or in a gap, count as nothing in the window. Both edges are dated back
 * to where they happened.
 *
 * Why these values: 20 ms hold at least one period of the lowest voice, so that the RMS does not ripple with its
 * pitch, and place an edge within a syllable; 500 ms are longer than the stops and breaths within a phrase (seldom
 * above 300 ms), so that silence is a pause of the speaker. Half the threshold (−6 dB) keeps the soft end of a word,
 * which fades below the level that its beginning had to reach.
 *
 * All state is one slice of a Float64Array, so that it lies in shared memory, outlives a worker and can be carried on
 * by the native path: positions in samples, energies as sums of squared samples. These sums are whole numbers below
 * 2^53, and a threshold is multiplied by a whole number once, so both paths decide alike to the bit.
 */
export const SILENCE_STATE = {
  /** Samples in a hop. */
  HOP: 0,
  /** Hops in the window, at most MAX_WINDOW_HOPS. */
  WINDOW_HOPS: 1,
  /** Energy of a hop at the threshold: threshold² · 2^30 · HOP. */
  ON_ENERGY: 2,
  /** Energy of a hop at half the threshold. */
  OFF_ENERGY: 3,
  /** Shortest silence, in samples. */
  MIN_SILENCE: 4,
  /** Hops in a row whose window must reach the threshold before it is speech. */
  MIN_SPEECH_HOPS: 5,
  /** Position of the next sample; −1 before the first. */
  POSITION: 6,
  /** Samples taken into the hop at hand, and their energy. */
  HOP_FILL: 7,
  HOP_SUM: 8,
  /** Energy of the hops in the ring. */
  WINDOW_SUM: 9,
  /** Where in the ring the next hop goes, and how many are there. */
  RING_NEXT: 10,
  RING_FILLED: 11,
  /** 1 silence, 0 speech. */
  SILENT: 12,
  /** Position at which that began. */
  SINCE: 13,
  /** In speech: position after the last hop whose window was not quiet. */
  QUIET_FROM: 14,
  /** In silence: hops in a row whose window reached the threshold, and where the first of them says speech began. */
  LOUD_HOPS: 15,
  ONSET: 16,
  /** Position after the last sample; POSITION also advances over gaps. */
  AUDIO_TO: 17,
  /** 1 when the frame fed last was silence as a whole. */
  FRAME_SILENT: 18,
  /** Energies of the latest hops. */
  RING: 24,
} as const;

/** Length of one channel's state in a Float64Array. */
export const SILENCE_STATE_SLOTS = 64;

const MAX_WINDOW_HOPS = SILENCE_STATE_SLOTS - SILENCE_STATE.RING;
const HOPS_A_SECOND = 200;
const MS_A_HOP = 1000 / HOPS_A_SECOND;
const MIN_SILENCE_MS = 50;
const RELEASE = 0.5;

/**
 * Edges that one call of feedHops() can find: two every 55 ms with the shortest silence allowed, so enough for 3 s.
 * A frame is at most 2 s (LIMITS.maxPayloadBytes of G.711).
 */
export const SILENCE_MAX_EDGES = 128;
/** Length of the array of edges: position in samples and state (1 silent, 0 not) of each. */
export const SILENCE_EDGE_SLOTS = 2 * SILENCE_MAX_EDGES;

export const SILENCE_DEFAULTS = { threshold: 0.01, windowMs: 20, minSilenceMs: 500, minSpeechMs: 0 } as const;

export interface SilenceOptions {
  readonly sampleRate: number;
  /** RMS of full scale, above 0 and at most 1; default 0.01 (−40 dBFS). */
  readonly threshold?: number;
  /** Length of the sliding window: 5 to 200 ms in steps of 5; default 20. */
  readonly windowMs?: number;
  /** Quiet shorter than this belongs to the speech around it: at least 50 and `windowMs`; default 500. */
  readonly minSilenceMs?: number;
  /** Sound shorter than this, a click, belongs to the silence around it; default 0. It holds up every onset. */
  readonly minSpeechMs?: number;
}

/**
 * A channel begins silent; that is not reported as an edge.
 * @throws TrunklineError CONFIG_INVALID
 */
export function initSilence(state: Float64Array, base: number, options: SilenceOptions): void {
  const { sampleRate, threshold, windowMs, minSilenceMs, minSpeechMs } = { ...SILENCE_DEFAULTS, ...options };
  const windowHops = windowMs / MS_A_HOP;
  if (!(threshold > 0 && threshold <= 1)) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `The silence threshold must be above 0 and at most 1, as a part of full scale; got ${threshold}.`,
    );
  }
  if (!Number.isInteger(windowHops) || windowHops < 1 || windowHops > MAX_WINDOW_HOPS) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `The window of silence detection must be 5 to 200 ms in steps of 5; got ${windowMs}.`,
    );
  }
  if (
    !(
      minSilenceMs >= Math.max(MIN_SILENCE_MS, windowMs) &&
      minSilenceMs < Infinity &&
      minSpeechMs >= 0 &&
      minSpeechMs < Infinity
    )
  ) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `The shortest silence must be at least ${MIN_SILENCE_MS} ms and the window, the shortest speech at least 0; got ${minSilenceMs} and ${minSpeechMs}.`,
    );
  }
  state.fill(0, base, base + SILENCE_STATE_SLOTS);
  const hop = sampleRate / HOPS_A_SECOND;
  const energy = threshold * threshold * 32768 * 32768 * hop;
  state[base + SILENCE_STATE.HOP] = hop;
  state[base + SILENCE_STATE.WINDOW_HOPS] = windowHops;
  state[base + SILENCE_STATE.ON_ENERGY] = energy;
  state[base + SILENCE_STATE.OFF_ENERGY] = energy * RELEASE * RELEASE;
  state[base + SILENCE_STATE.MIN_SILENCE] = (minSilenceMs * sampleRate) / 1000;
  state[base + SILENCE_STATE.MIN_SPEECH_HOPS] = Math.max(1, Math.ceil(minSpeechMs / MS_A_HOP));
  state[base + SILENCE_STATE.POSITION] = -1;
  state[base + SILENCE_STATE.SILENT] = 1;
}

/**
 * Says how the next frame, which begins at `position` of the stream's time line, is to be cut for feedHops(). A jump is
 * skipped over as by skipSilence().
 */
export function cutFrame(state: Float64Array, base: number, position: number, energy: FrameEnergy): boolean {
  let isEdge = false;
  if (position !== state[base + SILENCE_STATE.POSITION]) {
    isEdge = endSpeechByGap(state, base, position);
    skipSilence(state, base, position);
  }
  // As integers, since offsets are reckoned with them.
  energy.hop = (state[base + SILENCE_STATE.HOP] as number) | 0;
  energy.toCut = energy.hop - ((state[base + SILENCE_STATE.HOP_FILL] as number) | 0);
  return isEdge;
}

/**
 * Takes in the frame of `count` samples that cutFrame() was called for, whose energy has been measured since. Returns
 * how many edges were found and leaves them in `edges` (SILENCE_EDGE_SLOTS long), in order: position and state of one
 * after another.
 */
export function feedHops(
  state: Float64Array,
  base: number,
  energy: FrameEnergy,
  count: number,
  edges: Float64Array,
  alreadyFound = 0,
): number {
  const { hop, parts } = energy;
  const position = state[base + SILENCE_STATE.POSITION] as number;
  let sum = state[base + SILENCE_STATE.HOP_SUM] as number;
  let found = alreadyFound;
  let part = 0;
  let cut = energy.toCut;
  for (; cut <= count; cut += hop) {
    sum += parts[part++] as number;
    if (closeHop(state, base, sum, position + cut) && found < SILENCE_MAX_EDGES) {
      edges[2 * found] = state[base + SILENCE_STATE.SINCE] as number;
      edges[2 * found + 1] = state[base + SILENCE_STATE.SILENT] as number;
      found++;
    }
    sum = 0;
  }
  const fill = count - (cut - hop);
  if (part < energy.count) sum += parts[part] as number;
  state[base + SILENCE_STATE.HOP_FILL] = fill;
  state[base + SILENCE_STATE.HOP_SUM] = sum;
  state[base + SILENCE_STATE.POSITION] = position + count;
  state[base + SILENCE_STATE.AUDIO_TO] = position + count;
  const isSilent =
    state[base + SILENCE_STATE.SILENT] === 1 &&
    state[base + SILENCE_STATE.LOUD_HOPS] === 0 &&
    (state[base + SILENCE_STATE.SINCE] as number) <= position;
  state[base + SILENCE_STATE.FRAME_SILENT] = isSilent ? 1 : 0;
  return found;
}

/**
 * Whether the frame fed last is silence as a whole, as far as can be told by now: no part of it is speech, nor within
 * `minSilenceMs` of speech that may yet go on. After skipSilence(), whether the channel is silent.
 */
export function isFrameSilent(state: Float64Array, base: number): boolean {
  return state[base + SILENCE_STATE.FRAME_SILENT] === 1;
}

/** Whether a stretch of that mean square, apart from what was fed, is below the level at which speech begins. */
export function isBelowThreshold(state: Float64Array, base: number, meanSquare: number): boolean {
  const hopEnergy = meanSquare * 32768 * 32768 * (state[base + SILENCE_STATE.HOP] as number);
  return hopEnergy < (state[base + SILENCE_STATE.ON_ENERGY] as number);
}

/**
 * There is no audio up to `position`. True when that ends speech: the gap is as long as the shortest silence, so silence
 * began with it, or earlier if it was quiet already. SILENT and SINCE then describe the edge. The position
 * stays, so that this can be called while the gap lasts.
 */
export function endSpeechByGap(state: Float64Array, base: number, position: number): boolean {
  const audioTo = state[base + SILENCE_STATE.AUDIO_TO] as number;
  if (state[base + SILENCE_STATE.SILENT] === 1 || (state[base + SILENCE_STATE.POSITION] as number) < 0) return false;
  if (position - audioTo < (state[base + SILENCE_STATE.MIN_SILENCE] as number)) return false;
  turn(state, base, 1, Math.min(state[base + SILENCE_STATE.QUIET_FROM] as number, audioTo));
  clearWindow(state, base);
  return true;
}

/**
 * Goes on at `position`, over a stretch without audio. The state stays; the hop and the window start again. A
 * gap no longer than the shortest silence passes for quiet if there is quiet on both sides, so that neither a lost
 * packet nor the gaps of discontinuous transmission hold up the end of speech; after a longer gap, or a step back,
 * the quiet must last its time again.
 */
export function skipSilence(state: Float64Array, base: number, position: number): void {
  const last = state[base + SILENCE_STATE.POSITION] as number;
  const gap = position - (state[base + SILENCE_STATE.AUDIO_TO] as number);
  if (position < last || gap > (state[base + SILENCE_STATE.MIN_SILENCE] as number)) {
    state[base + SILENCE_STATE.QUIET_FROM] = position;
  }
  if (position < last || last < 0) {
    state[base + SILENCE_STATE.SINCE] = position;
    state[base + SILENCE_STATE.AUDIO_TO] = position;
  }
  state[base + SILENCE_STATE.POSITION] = position;
  state[base + SILENCE_STATE.FRAME_SILENT] = state[base + SILENCE_STATE.SILENT] as number;
  state[base + SILENCE_STATE.HOP_FILL] = 0;
  state[base + SILENCE_STATE.HOP_SUM] = 0;
  clearWindow(state, base);
  state[base + SILENCE_STATE.LOUD_HOPS] = 0;
}

/** A hop of energy `sum` ends at `position`. True when this shows an edge: SILENT and SINCE then describe it. */
function closeHop(state: Float64Array, base: number, sum: number, position: number): boolean {
  const level = pushHop(state, base, sum);
  const windowHops = state[base + SILENCE_STATE.WINDOW_HOPS] as number;
  if (state[base + SILENCE_STATE.SILENT] === 1) {
    if (level < (state[base + SILENCE_STATE.ON_ENERGY] as number) * windowHops) {
      state[base + SILENCE_STATE.LOUD_HOPS] = 0;
      return false;
    }
    const loud = (state[base + SILENCE_STATE.LOUD_HOPS] as number) + 1;
    if (loud === 1) state[base + SILENCE_STATE.ONSET] = onsetInWindow(state, base, position);
    state[base + SILENCE_STATE.LOUD_HOPS] = loud;
    if (loud < (state[base + SILENCE_STATE.MIN_SPEECH_HOPS] as number)) return false;
    state[base + SILENCE_STATE.QUIET_FROM] = position;
    turn(state, base, 0, state[base + SILENCE_STATE.ONSET] as number);
    return true;
  }
  const quietFrom = state[base + SILENCE_STATE.QUIET_FROM] as number;
  if (level >= (state[base + SILENCE_STATE.OFF_ENERGY] as number) * windowHops) {
    state[base + SILENCE_STATE.QUIET_FROM] = position;
    return false;
  }
  if (position - quietFrom < (state[base + SILENCE_STATE.MIN_SILENCE] as number)) return false;
  turn(state, base, 1, quietFrom);
  return true;
}

/** Puts a hop into the ring; the energy of the window that it ends. */
function pushHop(state: Float64Array, base: number, sum: number): number {
  const windowHops = state[base + SILENCE_STATE.WINDOW_HOPS] as number;
  const filled = state[base + SILENCE_STATE.RING_FILLED] as number;
  const next = state[base + SILENCE_STATE.RING_NEXT] as number;
  const slot = base + SILENCE_STATE.RING + next;
  let level = (state[base + SILENCE_STATE.WINDOW_SUM] as number) + sum;
  if (filled === windowHops) level -= state[slot] as number;
  else state[base + SILENCE_STATE.RING_FILLED] = filled + 1;
  state[slot] = sum;
  state[base + SILENCE_STATE.RING_NEXT] = next + 1 === windowHops ? 0 : next + 1;
  state[base + SILENCE_STATE.WINDOW_SUM] = level;
  return level;
}

/** Where the first hop begins, of the window that ends at `position`, that reaches the threshold by itself. */
function onsetInWindow(state: Float64Array, base: number, position: number): number {
  const hop = state[base + SILENCE_STATE.HOP] as number;
  const windowHops = state[base + SILENCE_STATE.WINDOW_HOPS] as number;
  const filled = state[base + SILENCE_STATE.RING_FILLED] as number;
  const next = state[base + SILENCE_STATE.RING_NEXT] as number;
  let back = filled;
  while (back > 1) {
    const energy = state[base + SILENCE_STATE.RING + ((next - back + windowHops) % windowHops)] as number;
    if (energy >= (state[base + SILENCE_STATE.ON_ENERGY] as number)) break;
    back--;
  }
  return position - back * hop;
}

function clearWindow(state: Float64Array, base: number): void {
  state[base + SILENCE_STATE.WINDOW_SUM] = 0;
  state[base + SILENCE_STATE.RING_NEXT] = 0;
  state[base + SILENCE_STATE.RING_FILLED] = 0;
}

function turn(state: Float64Array, base: number, silent: number, since: number): void {
  state[base + SILENCE_STATE.SILENT] = silent;
  state[base + SILENCE_STATE.SINCE] = since;
  state[base + SILENCE_STATE.LOUD_HOPS] = 0;
}
