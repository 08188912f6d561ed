import { SILENCE_STATE } from './silence.js';

/**
 * What kind of silence a channel has: digital silence, where every sample of a frame is the same, or comfort noise, where
 * the sender suppresses silence (discontinuous transmission): Opus packets of at most 2 bytes, or a time line that goes on
 * without packets (RFC 3551, 4.1). A kind is reported when it has lasted 1 s within a silence, dated back to its
 * beginning, and reported again when it ends; all other silence is background noise. During comfort noise a sender
 * describes the noise again every 400 ms in a packet of usual length, which does not end it.
 *
 * Its state lies behind that of the detector, in the same slice of shared memory (silence-detector.ts), and the native
 * path has the same in native/dsp/src/audio/silence_kind.rs.
 */
export const SILENCE_KIND = { BACKGROUND: 0, DIGITAL: 1, COMFORT_NOISE: 2 } as const;

export const KIND_STATE = {
  /** SILENCE_KIND that has been reported of the silence at hand, and where it began. */
  KIND: 170,
  KIND_FROM: 171,
  /** SILENCE_KIND of the latest frames, and where that began. */
  RUN: 172,
  RUN_FROM: 173,
  /** Where frames of another kind began that have not ended the run so far; −1 for none. */
  OTHER_FROM: 174,
  /** Samples after which a kind is reported: 1 s. */
  LEAST: 175,
} as const;

/** In parts of LEAST: an interruption of comfort noise up to this does not end it; a shorter gap is no silence. */
const BRIDGED = 0.1;
/** Opus packets up to this length have no audio. */
const MOST_DTX_BYTES = 2;

export function initKind(state: Float64Array, base: number, sampleRate: number): void {
  state[base + KIND_STATE.OTHER_FROM] = -1;
  state[base + KIND_STATE.LEAST] = sampleRate;
}

/** Whether an Opus packet of `length` bytes stands for silence that was not sent. */
export function isDtxPacket(length: number): boolean {
  return length <= MOST_DTX_BYTES;
}

/** The SILENCE_KIND of the frame of `count` samples from `samples[at]` on. */
export function kindOfFrame(samples: Int16Array, at: number, count: number): number {
  const first = samples[at];
  for (let i = at + 1; i < at + count; i++) if (samples[i] !== first) return SILENCE_KIND.BACKGROUND;
  return SILENCE_KIND.DIGITAL;
}

/**
 * A frame begins at `position`, and the time line was known up to `from` (−1 before the first frame). `isBroken`: what
 * came before says nothing of the time between. Edges are appended to `edges`; returns how many there are then.
 */
export function takeKindOfGap(
  state: Float64Array,
  base: number,
  from: number,
  position: number,
  isBroken: boolean,
  edges: Float64Array,
  found: number,
): number {
  if (from < 0 || position === from) return found;
  if (isBroken || position < from) {
    return takeKind(state, base, SILENCE_KIND.BACKGROUND, Math.min(from, position), Infinity, edges, found);
  }
  if (position - from < (state[base + KIND_STATE.LEAST] as number) * BRIDGED) return found;
  return takeKind(state, base, SILENCE_KIND.COMFORT_NOISE, from, position, edges, found);
}

/**
 * The time line from `from` to `to` is of one SILENCE_KIND, if it is silence, which the detector has said before. Edges
 * are appended to `edges`, with 1 + SILENCE_KIND as the state; returns how many there are then.
 */
export function takeKind(
  state: Float64Array,
  base: number,
  kind: number,
  from: number,
  to: number,
  edges: Float64Array,
  found: number,
): number {
  const least = state[base + KIND_STATE.LEAST] as number;
  const isSilent = state[base + SILENCE_STATE.SILENT] === 1;
  const since = state[base + SILENCE_STATE.SINCE] as number;
  // Another silence has begun, or speech: the edge of that has ended the kind as well.
  if (!isSilent || since > (state[base + KIND_STATE.KIND_FROM] as number)) state[base + KIND_STATE.KIND] = 0;
  let count = found;
  const run = state[base + KIND_STATE.RUN] as number;
  if (kind === run) {
    state[base + KIND_STATE.OTHER_FROM] = -1;
  } else {
    if ((state[base + KIND_STATE.OTHER_FROM] as number) < 0) state[base + KIND_STATE.OTHER_FROM] = from;
    const otherFrom = state[base + KIND_STATE.OTHER_FROM] as number;
    if (to - otherFrom > (run === SILENCE_KIND.COMFORT_NOISE ? least * BRIDGED : 0)) {
      if (state[base + KIND_STATE.KIND] !== 0) count = addEdge(edges, count, otherFrom, SILENCE_KIND.BACKGROUND);
      state[base + KIND_STATE.KIND] = 0;
      state[base + KIND_STATE.RUN] = kind;
      state[base + KIND_STATE.RUN_FROM] = from;
      state[base + KIND_STATE.OTHER_FROM] = -1;
    }
  }
  const current = state[base + KIND_STATE.RUN] as number;
  if (current === SILENCE_KIND.BACKGROUND || !isSilent || state[base + KIND_STATE.KIND] !== 0) return count;
  const begin = Math.max(state[base + KIND_STATE.RUN_FROM] as number, since);
  if (to - begin < least) return count;
  state[base + KIND_STATE.KIND] = current;
  state[base + KIND_STATE.KIND_FROM] = begin;
  return addEdge(edges, count, begin, current);
}

function addEdge(edges: Float64Array, count: number, position: number, kind: number): number {
  if (count * 2 >= edges.length) return count;
  edges[2 * count] = position;
  edges[2 * count + 1] = 1 + kind;
  return count + 1;
}
