import type { SpeechSegment } from './labels.js';

/** Length of a frame that is scored. */
export const FRAME_MS = 20;

/** Shares of frames, in percent; null where there are none to take a share of. */
export interface HitRates {
  /** Frames decided as they are. */
  readonly accuracy: number;
  /** Of the frames that are speech, those found to be. */
  readonly speechHit: number | null;
  /** Of the frames that are no speech, those found not to be. */
  readonly nonSpeechHit: number | null;
}

/** How far detected onsets of speech are from the true ones, in milliseconds; null when none was found. */
export interface OnsetError {
  readonly p50: number | null;
  readonly p95: number | null;
  /** True onsets that have a detected one, and those that have none. */
  readonly found: number;
  readonly missed: number;
}

/** 1 for each whole frame of 20 ms that is speech for half of its length or more, else 0. */
export function speechFrames(segments: readonly SpeechSegment[], frames: number): Uint8Array {
  const covered = new Float64Array(frames);
  for (const [start, end] of segments) {
    const last = Math.min(frames - 1, Math.ceil(end / FRAME_MS) - 1);
    for (let frame = Math.floor(start / FRAME_MS); frame <= last; frame++) {
      const frameStart = frame * FRAME_MS;
      covered[frame] = (covered[frame] as number) + Math.min(end, frameStart + FRAME_MS) - Math.max(start, frameStart);
    }
  }
  return Uint8Array.from(covered, (ms) => (ms >= FRAME_MS / 2 ? 1 : 0));
}

/** @param truth, found 1 for each frame of speech, else 0. */
export function hitRates(truth: Uint8Array, found: Uint8Array): HitRates {
  const counts = [0, 0];
  const hits = [0, 0];
  for (const [frame, kind] of truth.entries()) {
    counts[kind] = (counts[kind] as number) + 1;
    if (found[frame] === kind) hits[kind] = (hits[kind] as number) + 1;
  }
  const [otherCount = 0, speechCount = 0] = counts;
  const [otherHits = 0, speechHits = 0] = hits;
  return {
    accuracy: percent(otherHits + speechHits, otherCount + speechCount) ?? 0,
    speechHit: percent(speechHits, speechCount),
    nonSpeechHit: percent(otherHits, otherCount),
  };
}

/**
 * For each true segment, the detected onset nearest to its start of those between the end of the segment before it and
 * its own end. There is none when the segment was missed, or when the pause before it was not found.
 */
export function onsetError(truth: readonly SpeechSegment[], detected: readonly SpeechSegment[]): OnsetError {
  const errors: number[] = [];
  let from = 0;
  for (const [start, end] of truth) {
    const distances = detected
      .filter(([onset]) => onset >= from && onset < end)
      .map(([onset]) => Math.abs(onset - start));
    if (distances.length > 0) errors.push(Math.min(...distances));
    from = end;
  }
  errors.sort((a, b) => a - b);
  return {
    p50: quantile(errors, 0.5),
    p95: quantile(errors, 0.95),
    found: errors.length,
    missed: truth.length - errors.length,
  };
}

/** The least value that at least the share `q` of the sorted values do not exceed. */
function quantile(sorted: readonly number[], q: number): number | null {
  const value = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  return value === undefined ? null : rounded(value);
}

function percent(part: number, of: number): number | null {
  return of === 0 ? null : rounded((100 * part) / of);
}

/** To hundredths. */
function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
