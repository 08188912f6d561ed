import { DETECTOR_ID } from '../core/events.js';
import { endAdaptiveSpeechByGap, feedAdaptive, initAdaptive, skipAdaptive } from './adaptive/detector.js';
import { isNearFloor } from './adaptive/features.js';
import { ADAPTIVE_STATE, ADAPTIVE_STATE_SLOTS } from './adaptive/state.js';
import { FrameEnergy } from './frame-energy.js';
import type { SampleMemory } from './sample-memory.js';
import {
  cutFrame,
  endSpeechByGap,
  feedHops,
  initSilence,
  isBelowThreshold,
  isFrameSilent,
  skipSilence,
} from './silence.js';
import { initKind, kindOfFrame, SILENCE_KIND, takeKind, takeKindOfGap } from './silence-kind.js';

/**
 * The silence detection of a channel, whichever detector it has. Detectors share the slice of shared memory that their
 * state lies in, of which the first slots mean the same in each (adaptive/state.ts).
 */

/** Length of one channel's state in a Float64Array. */
export const DETECTOR_STATE_SLOTS = ADAPTIVE_STATE_SLOTS;

export interface DetectorOptions {
  /** DETECTOR_ID. */
  readonly detector: number;
  readonly sampleRate: number;
  /** Of the fixed detector: RMS of full scale, and the length of its window in milliseconds. */
  readonly threshold: number;
  readonly windowMs: number;
}

/** A channel begins silent. @throws TrunklineError CONFIG_INVALID */
export function initDetector(state: Float64Array, base: number, options: DetectorOptions): void {
  state.fill(0, base, base + DETECTOR_STATE_SLOTS);
  if (options.detector !== DETECTOR_ID.fixed) initAdaptive(state, base, options.sampleRate);
  else initSilence(state, base, options);
  state[base + ADAPTIVE_STATE.DETECTOR] = options.detector;
  initKind(state, base, options.sampleRate);
}

/** The neural detector is the adaptive one with more to go by. */
function isAdaptive(state: Float64Array, base: number): boolean {
  return state[base + ADAPTIVE_STATE.DETECTOR] !== DETECTOR_ID.fixed;
}

/**
 * Says how the energy of the next frame, which begins at `position` of the stream's time line, is to be measured. True
 * when there is a jump before it, and that ended speech.
 */
export function beginFrame(state: Float64Array, base: number, position: number, energy: FrameEnergy): boolean {
  if (!isAdaptive(state, base)) return cutFrame(state, base, position, energy);
  energy.hop = FrameEnergy.WHOLE;
  energy.toCut = FrameEnergy.WHOLE;
  if (position === state[base + ADAPTIVE_STATE.POSITION]) return false;
  const isEdge = endAdaptiveSpeechByGap(state, base, position);
  skipAdaptive(state, base, position);
  return isEdge;
}

/**
 * Takes in the frame that beginFrame() was called for: its samples are at `pcm.samples[at]`, its energy has been
 * measured. Edges are appended to `edges`, of which `found` are there already; returns how many there are then.
 */
export function feedFrame(
  state: Float64Array,
  base: number,
  energy: FrameEnergy,
  pcm: SampleMemory,
  at: number,
  count: number,
  edges: Float64Array,
  found: number,
): number {
  if (!isAdaptive(state, base)) return feedHops(state, base, energy, count, edges, found);
  const position = state[base + ADAPTIVE_STATE.POSITION] as number;
  return feedAdaptive(state, base, pcm, at, count, position, edges, found);
}

/**
 * As beginFrame(), and has the kind of silence of a gap followed. `isBroken`: what came before says nothing of the time
 * between. Returns how many edges were found, which lie in `edges`.
 */
export function beginFrameOfKind(
  state: Float64Array,
  base: number,
  position: number,
  isBroken: boolean,
  energy: FrameEnergy,
  edges: Float64Array,
): number {
  const knownTo = state[base + ADAPTIVE_STATE.POSITION] as number;
  let found = 0;
  if (beginFrame(state, base, position, energy)) {
    edges[0] = state[base + ADAPTIVE_STATE.SINCE] as number;
    edges[1] = 1;
    found = 1;
  }
  return takeKindOfGap(state, base, knownTo, position, isBroken, edges, found);
}

/** As feedFrame(), and has the kind of silence followed. `isDtx`: the frame stands for silence that was not sent. */
export function feedFrameOfKind(
  state: Float64Array,
  base: number,
  energy: FrameEnergy,
  pcm: SampleMemory,
  at: number,
  count: number,
  isDtx: boolean,
  edges: Float64Array,
  found: number,
): number {
  const position = state[base + ADAPTIVE_STATE.POSITION] as number;
  const all = feedFrame(state, base, energy, pcm, at, count, edges, found);
  const kind = isDtx ? SILENCE_KIND.COMFORT_NOISE : kindOfFrame(pcm.samples, at, count);
  return takeKind(state, base, kind, position, position + count, edges, all);
}

/** As feedFrame(), for samples made up in place of a packet that could not be decoded. */
export function feedConcealed(
  state: Float64Array,
  base: number,
  energy: FrameEnergy,
  count: number,
  edges: Float64Array,
  found: number,
): number {
  if (!isAdaptive(state, base)) return feedHops(state, base, energy, count, edges, found);
  // Noise floors must not learn concealment.
  skipAdaptive(state, base, (state[base + ADAPTIVE_STATE.POSITION] as number) + count);
  return found;
}

/** There is no audio up to `position`. True when that ends speech; the state then describes the edge. */
export function endByGap(state: Float64Array, base: number, position: number): boolean {
  return isAdaptive(state, base)
    ? endAdaptiveSpeechByGap(state, base, position)
    : endSpeechByGap(state, base, position);
}

/** Goes on at `position`, over a stretch without audio. */
export function skipTo(state: Float64Array, base: number, position: number): void {
  if (isAdaptive(state, base)) skipAdaptive(state, base, position);
  else skipSilence(state, base, position);
}

/** Whether listeners get the frame fed last as silent. */
export { isFrameSilent };

/** Whether the frame fed last lies in a silence, as far as the edges have said; what recordings go by. */
export function isFrameInSilence(state: Float64Array, base: number): boolean {
  return isAdaptive(state, base) ? state[base + ADAPTIVE_STATE.FRAME_IN_SILENCE] === 1 : isFrameSilent(state, base);
}

/**
 * Whether a stretch of that mean square of full scale passes for quiet on this channel: that of a late packet, which the
 * detector is not fed with because it comes out of its order.
 */
export function isQuiet(state: Float64Array, base: number, meanSquare: number): boolean {
  return isAdaptive(state, base) ? isNearFloor(state, base, meanSquare) : isBelowThreshold(state, base, meanSquare);
}
