import { DETECTOR_ID } from '../../core/events.js';
import { forgetVerdict, fuseOdds } from '../neural/fusion.js';
import type { SampleMemory } from '../sample-memory.js';
import { addBlocks, addSample, addWideBlock } from './bands.js';
import { classify } from './classifier.js';
import { FEATURE, FEATURES, measureHop, measureLow } from './features.js';
import { initBandFloors, initMinimum } from './minimum.js';
import { ADAPTIVE_STATE, ADAPTIVE_STATE_SLOTS, BANDS, BLOCK_SAMPLES } from './state.js';

/** Declared here, for the compiler: what a module imports, or exports by its declaration, is looked up each time. */
const A = ADAPTIVE_STATE;

/**
 * The adaptive silence detector. Sound is taken in hops of 20 ms, counted from the first sample, whatever frames it
 * comes in. Each hop gives the energies of seven bands (bands.ts), these their SNRs over a floor by minimum statistics
 * (minimum.ts), these the features (features.ts), and these the odds of speech (classifier.ts), which are smoothed to
 * the evidence. Then:
 *
 * - Speech begins when the evidence reaches ONSET. It is dated back over hops that were above the background.
 * - Where the background is steady and the level far above its floor, there is no doubt, whatever the classifier says: it
 *   takes what is far below the speech of the channel for babble.
 * - Frames are speech until the evidence has been below RELEASE for the hang-over: 40 ms where speech stands far above
 *   the background, up to 160 ms where it does not and a soft syllable may be missed. The features have memories of their
 *   own, so that the evidence outlasts the sounds of a word by 100 to 200 ms.
 * - For spans, and for all who follow the edges, silence begins when it has lasted 0.46 to 0.68 s, so that a short pause
 *   stays within its phrase, and is dated back to the last hop above the background.
 */

/** Evidence at which speech begins, and below which it ends. */
const ONSET = 0.75;
const RELEASE = 0.42;
/** Share of a hop in the evidence. */
const EVIDENCE_SMOOTHING = 0.82;
/** A hop is above an unsteady background if its SNR is by this, and by this share of the distance to speech. */
const ABOVE_LEAST = 0.22;
const ABOVE_SHARE = 0.24;
/** Most hops that an onset is dated back. */
const MOST_ONSET_HOPS = 3;
/** Distance of speech from the background at which hang-overs are longest, and shortest. */
const NARROW = 0.75;
const WIDE = 5.3;
/** Hang-over of frames, in hops, where the distance is wide; and what is added where it is narrow. */
const HANG_OVER = 2.4;
const HANG_OVER_ADDED = 5.7;
/** The same for edges: the shortest silence. */
const LEAST_SILENCE = 21;
const LEAST_SILENCE_ADDED = 11;
/** The evidence goes on after speech, since features are smoothed; most hops by which silence begins earlier. */
const MOST_TAIL_HOPS = 12;
/**
 * Background that is steady. Levels above its floor that are speech then, that count as above the background, and that
 * keep a span of speech from ending.
 */
const STEADY = 0.1;
const CLEAR = 4.5;
const SOUNDING = 3;
const AUDIBLE = 2;
/** Level below the bands, above its floor, that the end of a word still has; and for how many hops at most. */
const LOW_SOUNDING = 4;
const MOST_LOW_HOPS = 5;

const features = new Float64Array(FEATURES);

/** A channel begins silent; that is not reported as an edge. */
export function initAdaptive(state: Float64Array, base: number, sampleRate: number): void {
  state.fill(0, base, base + ADAPTIVE_STATE_SLOTS);
  const decimation = Math.max(1, Math.floor(sampleRate / 8000));
  const blocks = Math.round(sampleRate / (decimation * BLOCK_SAMPLES * 50));
  state[base + A.DECIMATION] = decimation;
  state[base + A.HOP_BLOCKS] = blocks;
  state[base + A.HOP] = blocks * BLOCK_SAMPLES * decimation;
  state[base + A.MIN_SILENCE] = LEAST_SILENCE * (state[base + A.HOP] as number);
  state[base + A.POSITION] = -1;
  state[base + A.PAIR] = -1;
  state[base + A.SILENT] = 1;
  state[base + A.FRAME_SILENT] = 1;
  state[base + A.FRAME_IN_SILENCE] = 1;
  initBandFloors(state, base);
  initMinimum(state, base + A.BACKGROUND);
  initMinimum(state, base + A.LEVEL_FLOOR);
}

/**
 * Takes in the frame of `count` samples from `pcm.samples[at]` on, which begins at `position` of the stream's time line.
 * Edges are appended to `edges`, of which `found` are there already; returns how many there are then.
 */
export function feedAdaptive(
  state: Float64Array,
  base: number,
  pcm: SampleMemory,
  at: number,
  count: number,
  position: number,
  edges: Float64Array,
  found: number,
): number {
  const end = at + count;
  const hopBlocks = state[base + A.HOP_BLOCKS] as number;
  let blocks = state[base + A.BLOCKS] as number;
  let wasLive = false;
  let hasHop = false;
  let next = at;
  let edgeCount = found;
  while (next < end) {
    const taken = takeBlocks(state, base, pcm, next, end, hopBlocks - blocks);
    blocks += addedBlocks;
    next += taken;
    if (blocks < hopBlocks) continue;
    blocks = 0;
    hasHop = true;
    if (closeHop(state, base, position + (next - at)) && edgeCount * 2 < edges.length) {
      edges[2 * edgeCount] = state[base + A.SINCE] as number;
      edges[2 * edgeCount + 1] = state[base + A.SILENT] as number;
      edgeCount++;
    }
    if (state[base + A.LIVE] === 1) wasLive = true;
  }
  state[base + A.BLOCKS] = blocks;
  state[base + A.POSITION] = position + count;
  state[base + A.AUDIO_TO] = position + count;
  const isLive = hasHop ? wasLive : state[base + A.LIVE] === 1;
  state[base + A.FRAME_SILENT] = isLive ? 0 : 1;
  const isInSilence = state[base + A.SILENT] === 1 && (state[base + A.SINCE] as number) <= position;
  state[base + A.FRAME_IN_SILENCE] = isInSilence ? 1 : 0;
  return edgeCount;
}

/** Blocks that takeBlocks() has completed. */
let addedBlocks = 0;

/** Takes samples up to `end` and up to the end of a block; returns how many. As many blocks as possible, where it can. */
function takeBlocks(
  state: Float64Array,
  base: number,
  pcm: SampleMemory,
  at: number,
  end: number,
  most: number,
): number {
  const decimation = state[base + A.DECIMATION] as number;
  const isAtBlock = state[base + A.BLOCK_FILL] === 0 && state[base + A.SAMPLE_FILL] === 0;
  if (isAtBlock && decimation === 1 && (at & 1) === 0 && end - at >= BLOCK_SAMPLES) {
    addedBlocks = Math.min((end - at) >> 3, most);
    addBlocks(state, base, pcm, at, addedBlocks);
    return addedBlocks * BLOCK_SAMPLES;
  }
  const span = BLOCK_SAMPLES * decimation;
  if (isAtBlock && end - at >= span) {
    addedBlocks = 1;
    addWideBlock(state, base, pcm, at, decimation);
    return span;
  }
  addedBlocks = 0;
  for (let next = at; next < end; next++) {
    if (!addSample(state, base, pcm.samples[next] as number)) continue;
    addedBlocks = 1;
    return next + 1 - at;
  }
  return end - at;
}

/**
 * There is no audio up to `position`. True when that ends speech: the gap is as long as the shortest silence. SILENT and
 * SINCE then describe the edge. The position stays, so that this can be called while the gap lasts.
 */
export function endAdaptiveSpeechByGap(state: Float64Array, base: number, position: number): boolean {
  const audioTo = state[base + A.AUDIO_TO] as number;
  if ((state[base + A.POSITION] as number) < 0) return false;
  if (position - audioTo < (state[base + A.MIN_SILENCE] as number)) return false;
  state[base + A.LIVE] = 0;
  state[base + A.EVIDENCE] = 0;
  forgetVerdict(state, base);
  if (state[base + A.SILENT] === 1) return false;
  const activeTo = state[base + A.ACTIVE_TO] as number;
  turn(state, base, 1, Math.min(activeTo, audioTo));
  return true;
}

/**
 * Goes on at `position`, over a stretch without audio. Floors and what has been learnt of the channel stay, for neither a
 * gap nor concealment says anything of its noise; the hop at hand starts again.
 */
export function skipAdaptive(state: Float64Array, base: number, position: number): void {
  const last = state[base + A.POSITION] as number;
  if (position < last || last < 0) {
    state[base + A.SINCE] = position;
    state[base + A.AUDIO_TO] = position;
    state[base + A.ACTIVE_TO] = position;
    state[base + A.ABOVE_TO] = position;
  }
  state[base + A.POSITION] = position;
  state[base + A.BLOCK_FILL] = 0;
  state[base + A.SAMPLE_FILL] = 0;
  state[base + A.SAMPLE_SUM] = 0;
  state[base + A.BLOCKS] = 0;
  for (let band = 0; band < BANDS; band++) state[base + A.ENERGY + band] = 0;
  state[base + A.PAIR] = -1;
  state[base + A.LOUDEST_PAIR] = 0;
  state[base + A.LOW_ENERGY] = 0;
  state[base + A.LOW_SUM] = 0;
  state[base + A.ABOVE_HOPS] = 0;
  state[base + A.FRAME_SILENT] = state[base + A.LIVE] === 1 ? 0 : 1;
  state[base + A.FRAME_IN_SILENCE] = state[base + A.SILENT] as number;
}

/** A hop ends at `position`. True when this shows an edge: SILENT and SINCE then describe it. */
function closeHop(state: Float64Array, base: number, position: number): boolean {
  const isFirst = state[base + A.HOPS] === 0;
  measureHop(state, base, features);
  const bands = classify(features);
  const background = features[FEATURE.BACKGROUND] as number;
  const distance = (features[FEATURE.SPEECH_SNR] as number) - background;
  const isNeural = state[base + A.DETECTOR] === DETECTOR_ID.neural;
  const odds = isNeural ? fuseOdds(state, base, bands, distance) : bands;
  const last = state[base + A.EVIDENCE] as number;
  const evidence = isFirst ? odds : last + (odds - last) * EVIDENCE_SMOOTHING;
  state[base + A.EVIDENCE] = evidence;

  const aboveFloor = background < STEADY ? (features[FEATURE.ABOVE_FLOOR] as number) : 0;
  const isAbove =
    background < STEADY
      ? aboveFloor >= SOUNDING
      : (features[FEATURE.SNR] as number) > background + Math.max(distance * ABOVE_SHARE, ABOVE_LEAST);
  const aboveHops = isAbove ? (state[base + A.ABOVE_HOPS] as number) + 1 : 0;
  state[base + A.ABOVE_HOPS] = aboveHops;
  followTail(state, base, position, isAbove, measureLow(state, base));

  // One hop alone may be a click.
  const isClear = aboveFloor >= CLEAR && aboveHops > 1;
  if (isClear || evidence >= (state[base + A.LIVE] === 1 ? RELEASE : ONSET)) {
    return speak(state, base, position, aboveHops);
  }
  if (state[base + A.SILENT] === 0 && aboveFloor >= AUDIBLE) state[base + A.ACTIVE_TO] = position;
  const narrowness = narrow(distance);
  if (state[base + A.LIVE] === 1) {
    const quiet = (state[base + A.QUIET_HOPS] as number) + 1;
    state[base + A.QUIET_HOPS] = quiet;
    if (quiet > HANG_OVER + HANG_OVER_ADDED * narrowness) state[base + A.LIVE] = 0;
  }
  const hop = state[base + A.HOP] as number;
  const activeTo = state[base + A.ACTIVE_TO] as number;
  if (state[base + A.SILENT] === 1 || state[base + A.LIVE] === 1) return false;
  if (position - activeTo < (LEAST_SILENCE + LEAST_SILENCE_ADDED * narrowness) * hop) return false;
  const aboveTo = state[base + A.ABOVE_TO] as number;
  const since = Math.min(activeTo, Math.max(aboveTo, activeTo - MOST_TAIL_HOPS * hop));
  turn(state, base, 1, since > (state[base + A.SINCE] as number) ? since : activeTo);
  return true;
}

/**
 * Notes the end of the last hop above the background. A word ends with the fundamental of the voice, below the bands; hum
 * is there as well, so that this alone neither begins speech nor keeps it for long.
 */
function followTail(state: Float64Array, base: number, position: number, isAbove: boolean, low: number): void {
  if (isAbove) {
    state[base + A.ABOVE_TO] = position;
    state[base + A.LOW_HOPS] = 0;
    return;
  }
  const hops = state[base + A.LOW_HOPS] as number;
  const goesOn = state[base + A.ABOVE_TO] === position - (state[base + A.HOP] as number);
  if (low < LOW_SOUNDING || hops === MOST_LOW_HOPS || !goesOn) return;
  state[base + A.ABOVE_TO] = position;
  state[base + A.LOW_HOPS] = hops + 1;
}

/** The hop that ends at `position` is speech. */
function speak(state: Float64Array, base: number, position: number, aboveHops: number): boolean {
  const hop = state[base + A.HOP] as number;
  const activeTo = state[base + A.ACTIVE_TO] as number;
  state[base + A.LIVE] = 1;
  state[base + A.QUIET_HOPS] = 0;
  state[base + A.ACTIVE_TO] = position;
  if (state[base + A.SILENT] === 0) return false;
  const back = 1 + Math.min(aboveHops > 0 ? aboveHops - 1 : 0, MOST_ONSET_HOPS);
  const onset = position - back * hop;
  turn(state, base, 0, Math.max(onset, activeTo));
  return true;
}

/** 0 where speech stands far above the background, 1 where it hardly does. */
function narrow(distance: number): number {
  if (distance >= WIDE) return 0;
  return distance <= NARROW ? 1 : (WIDE - distance) / (WIDE - NARROW);
}

function turn(state: Float64Array, base: number, silent: number, since: number): void {
  state[base + A.SILENT] = silent;
  state[base + A.SINCE] = since;
}
