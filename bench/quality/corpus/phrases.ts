import { faded, RATE, rms, type Signal, scaled } from './signal.js';

/**
 * What is speech, by the level of an utterance before anything is mixed with it, within the band of the line:
 *
 * 1. The level is the RMS of frames of 10 ms.
 * 2. The active level is that of the frames that are not more than 15.9 dB below it (the margin of ITU-T P.56), found
 *    in a few rounds.
 * 3. A frame is speech when it is not more than 25 dB below the active level: this takes in fricatives and the ends
 *    of words, which lie 20 dB below vowels, but not breath and the noise of a recording.
 * 4. Gaps of less than 300 ms belong to the speech around them: closures before plosives and gaps between words are
 *    shorter, and no listener calls them silence. Speech of less than 40 ms is a click, and none.
 *
 * A gap of 300 ms or more cuts the utterance into phrases. The corpus puts pauses of known length between phrases, so
 * every pause in it is a pause that was made.
 */
const FRAME = RATE / 100;
const ACTIVE_MARGIN_DB = 15.9;
const SPEECH_MARGIN_DB = 25;
const LONGEST_GAP_FRAMES = 30;
const LEAST_SPEECH_FRAMES = 4;
const LEAST_PHRASE_FRAMES = 15;
const ROUNDS = 8;
/** Kept around a phrase, so that it does not begin with a step. */
const MARGIN = RATE / 50;

/** One phrase with an active level of 1. Speech begins and ends MARGIN within it. */
export interface Phrase {
  readonly signal: Signal;
  readonly speechStart: number;
  readonly speechEnd: number;
}

export function phrasesOf(utterance: Signal): Phrase[] {
  const powers = Array.from(
    { length: Math.floor(utterance.length / FRAME) },
    (_, i) => rms(utterance, i * FRAME, (i + 1) * FRAME) ** 2,
  );
  const active = activePower(powers);
  if (active === 0) return [];
  const threshold = active / 10 ** (SPEECH_MARGIN_DB / 10);
  return joined(runs(powers.map((power) => power >= threshold)))
    .filter(([start, end]) => end - start >= LEAST_PHRASE_FRAMES)
    .map(([start, end]) => {
      const from = Math.max(0, start * FRAME - MARGIN);
      const to = Math.min(utterance.length, end * FRAME + MARGIN);
      return {
        signal: scaled(faded(utterance.slice(from, to), MARGIN / 2), 1 / Math.sqrt(active)),
        speechStart: start * FRAME - from,
        speechEnd: end * FRAME - from,
      };
    });
}

function activePower(powers: readonly number[]): number {
  let active = mean(powers);
  for (let round = 0; round < ROUNDS; round++) {
    const threshold = active / 10 ** (ACTIVE_MARGIN_DB / 10);
    active = mean(powers.filter((power) => power > threshold));
  }
  return active;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** Runs of speech, in frames, without clicks. */
function runs(isSpeech: readonly boolean[]): [start: number, end: number][] {
  const found: [number, number][] = [];
  for (const [frame, speech] of isSpeech.entries()) {
    if (!speech) continue;
    const last = found.at(-1);
    if (last?.[1] === frame) last[1] = frame + 1;
    else found.push([frame, frame + 1]);
  }
  return found.filter(([start, end]) => end - start >= LEAST_SPEECH_FRAMES);
}

function joined(parts: readonly [start: number, end: number][]): [start: number, end: number][] {
  const found: [number, number][] = [];
  for (const [start, end] of parts) {
    const last = found.at(-1);
    if (last !== undefined && start - last[1] < LONGEST_GAP_FRAMES) last[1] = end;
    else found.push([start, end]);
  }
  return found;
}
