import type { SpeechSegment } from '../../../src/evaluation/silence/labels.js';
import type { SeededRandom } from '../../../src/simulator/network/random.js';
import type { Phrase } from './phrases.js';
import { addTo, RATE, type Signal } from './signal.js';

/** A talker's speech with pauses of known length: active level 1. */
export interface Timeline {
  readonly signal: Signal;
  /** In milliseconds. */
  readonly speech: readonly SpeechSegment[];
}

/** Seconds of a pause for a random number from 0 to 1. */
export type PauseLengths = (unit: number) => number;

/** 0.6 to 6 s, the short ones more often: 2.6 s in the mean, so that about half of a call is speech. */
export const usualPauses: PauseLengths = (unit) => 0.6 + 5.4 * unit ** 1.7;
/** 4 to 8 s, for what sounds in pauses. */
export const longPauses: PauseLengths = (unit) => 4 + 4 * unit;

/** How often the talker goes on without a pause, and after how many seconds: a gap that counts as speech. */
const GO_ON = 0.4;
const GO_ON_SECONDS = [0.08, 0.25] as const;

export function timeline(
  phrases: readonly Phrase[],
  lengthSeconds: number,
  pauses: PauseLengths,
  random: SeededRandom,
): Timeline {
  const signal = new Float64Array(lengthSeconds * RATE);
  const speech: SpeechSegment[] = [];
  const order = shuffled(phrases, random);
  let at = Math.round((0.5 + random.unit()) * RATE);
  let goesOn = false;
  for (let next = 0; order.length > 0; next++) {
    const { signal: samples, speechStart, speechEnd } = order[next % order.length] as Phrase;
    if (at + samples.length > signal.length) break;
    addTo(signal, samples, at);
    const start = goesOn ? (speech.pop()?.[0] ?? 0) : toMs(at + speechStart);
    speech.push([start, toMs(at + speechEnd)]);
    goesOn = random.unit() < GO_ON;
    const [least, most] = GO_ON_SECONDS;
    const seconds = goesOn ? least + (most - least) * random.unit() : pauses(random.unit());
    at += speechEnd + Math.round(seconds * RATE) - speechStart;
  }
  return { signal, speech };
}

/** The pauses, in samples. */
export function pausesOf({ signal, speech }: Timeline): [start: number, end: number][] {
  const edges = [0, ...speech.flat().map((ms) => (ms * RATE) / 1000), signal.length];
  return Array.from({ length: edges.length / 2 }, (_, i) => [edges[2 * i] as number, edges[2 * i + 1] as number]);
}

export function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.below(left.length), 1)[0] as T);
}

function toMs(samples: number): number {
  return (samples * 1000) / RATE;
}
