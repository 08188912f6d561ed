import { readFileSync } from 'node:fs';
import { messageOf, TrunklineError } from '../../core/errors.js';

/** A stretch of speech: its start and end in milliseconds from the first sample. */
export type SpeechSegment = readonly [startMs: number, endMs: number];

/** Reads true speech: `[[startMs, endMs], …]` as JSON. @throws TrunklineError FILE_FAILED, FILE_INVALID */
export function readSpeech(file: string): SpeechSegment[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new TrunklineError('FILE_FAILED', `Cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return parseSpeech(JSON.parse(text));
  } catch (error) {
    throw new TrunklineError('FILE_INVALID', `${file}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * The segments in order, those that touch or overlap joined: the order in the file decides nothing.
 *
 * @throws TrunklineError FILE_INVALID for what is no list of pairs, and for a segment that ends before it begins.
 */
export function parseSpeech(value: unknown): SpeechSegment[] {
  if (!Array.isArray(value)) {
    throw new TrunklineError('FILE_INVALID', 'True speech must be a list, as in [[startMs, endMs], …].');
  }
  const segments = value.map((one: unknown, index): SpeechSegment => {
    const [start, end]: unknown[] = Array.isArray(one) && one.length === 2 ? one : [];
    if (typeof start === 'number' && typeof end === 'number' && start >= 0 && start < end && end < Infinity) {
      return [start, end];
    }
    throw new TrunklineError(
      'FILE_INVALID',
      `Segment ${index} is ${JSON.stringify(one)}; it must be [startMs, endMs] with 0 ≤ startMs < endMs.`,
    );
  });
  const joined: [number, number][] = [];
  for (const [start, end] of segments.toSorted((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end);
    else joined.push([start, end]);
  }
  return joined;
}

/**
 * The segments within audio of `lengthMs`. The last may end beyond it, by rounding.
 *
 * @throws TrunklineError FILE_INVALID for a segment that begins where there is no audio: it is of another file.
 */
export function segmentsWithin(speech: readonly SpeechSegment[], lengthMs: number): SpeechSegment[] {
  const beyond = speech.find(([start]) => start >= lengthMs);
  if (beyond !== undefined) {
    throw new TrunklineError(
      'FILE_INVALID',
      `Speech is said to begin at ${beyond[0]} ms, but the audio is ${Math.round(lengthMs)} ms long.`,
    );
  }
  return speech.map(([start, end]) => [start, Math.min(end, lengthMs)]);
}
