import type { Channel, SpanState } from '../../core/events.js';

/** A stretch of one state, in samples of the stream's time line. */
export interface SampleSpan {
  readonly state: SpanState;
  readonly startSamples: number;
  readonly endSamples: number;
}

/** Kinds of note about a track, as they stand in the journal: two edges, then stretches, the stronger later. */
export const NOTE = { SPEECH: 1, SILENCE: 2, GAP: 3, PAUSED: 4, DISCARDED: 5, LOST: 6 } as const;

const STRETCHES = [
  { note: NOTE.LOST, state: 'lost' },
  { note: NOTE.DISCARDED, state: 'discarded' },
  { note: NOTE.PAUSED, state: 'paused' },
  { note: NOTE.GAP, state: 'silence' },
] as const;

/** Called with each note that a track takes, so that it can be kept outside the thread. */
export type NoteListener = (note: number, channel: Channel, start: number, length: number) => void;

/**
 * What one channel was, from the first sample of the stream on: in layers, the later hiding the earlier.
 *
 * 1. Speech and silence, from the edges; a channel begins silent. An edge follows the frame that showed it but is dated
 *    back to where the signal crossed the threshold, and takes back what was assumed from there on. Should edges be
 *    missing (the recorder's ring was full), the frames' own flags stand in for them.
 * 2. Gaps, stretches without frames: silence, for zeros are what the recording has there.
 * 3. Stretches without audio by somebody's decision: paused, discarded.
 * 4. Frames that stand for lost packets.
 *
 * Frames come in the order of their positions.
 */
export class SpanTrack {
  readonly channel: Channel;
  readonly #onNote: NoteListener | undefined;
  readonly #edgeAt: number[] = [];
  readonly #edgeSilent: boolean[] = [];
  /** By kind of note: start and end by turns. */
  readonly #stretches = new Map<number, number[]>(STRETCHES.map(({ note }) => [note, []]));
  #end = 0;
  // Start of the frame that was not silent, while the edge that ought to follow it may still come; −1 otherwise.
  #assumedSpeechAt = -1;

  constructor(channel: Channel, onNote?: NoteListener) {
    this.channel = channel;
    this.#onNote = onNote;
  }

  /** Notes held; grows with the number of spans. */
  get size(): number {
    let size = this.#edgeAt.length;
    for (const list of this.#stretches.values()) size += list.length >> 1;
    return size;
  }

  /** Whether a frame that follows on the last one is silent when it tells nothing new; undefined while any tells it. */
  get steadySilent(): boolean | undefined {
    return this.#assumedSpeechAt >= 0 ? undefined : this.#silent();
  }

  frame(position: number, count: number, silent: boolean, lost: boolean): void {
    if (position > this.#end) this.note(NOTE.GAP, this.#end, position - this.#end);
    this.#assumedSpeechAt = -1;
    if (lost) {
      this.note(NOTE.LOST, position, count);
    } else if (silent !== this.#silent()) {
      this.note(silent ? NOTE.SILENCE : NOTE.SPEECH, position, 0);
      if (!silent) this.#assumedSpeechAt = position;
    }
    this.extendTo(position + count);
  }

  edge(position: number, silent: boolean): void {
    if (this.#assumedSpeechAt >= 0) this.note(NOTE.SILENCE, this.#assumedSpeechAt, 0);
    this.#assumedSpeechAt = -1;
    this.note(silent ? NOTE.SILENCE : NOTE.SPEECH, position, 0);
  }

  /** A stretch without audio. */
  stretch(state: 'paused' | 'discarded', position: number, length: number): void {
    if (position > this.#end) this.note(NOTE.GAP, this.#end, position - this.#end);
    this.note(state === 'paused' ? NOTE.PAUSED : NOTE.DISCARDED, position, length);
    this.extendTo(position + length);
  }

  /** Takes one note, new or from a journal. Taking the same sequence of notes again changes nothing. */
  note(note: number, start: number, length: number): void {
    const list = this.#stretches.get(note);
    if (list !== undefined) {
      const covered = list.at(-1) ?? -1;
      if (start + length <= covered) return;
      if (start <= covered) list[list.length - 1] = start + length;
      else list.push(start, start + length);
    } else {
      const silent = note === NOTE.SILENCE;
      while (this.#edgeAt.length > 0 && (this.#edgeAt.at(-1) as number) >= start) {
        this.#edgeAt.pop();
        this.#edgeSilent.pop();
      }
      if (this.#silent() !== silent) {
        this.#edgeAt.push(start);
        this.#edgeSilent.push(silent);
      }
    }
    this.#onNote?.(note, this.channel, start, length);
  }

  /** Tells the newest edge to the listener again. */
  repeatLastEdge(): void {
    const at = this.#edgeAt.at(-1);
    if (at !== undefined) this.#onNote?.(this.#silent() ? NOTE.SILENCE : NOTE.SPEECH, this.channel, at, 0);
  }

  /** For a track made anew from its notes: where the last frame ended. */
  extendTo(endSamples: number): void {
    this.#end = Math.max(this.#end, endSamples);
  }

  /** Goes on from spans that were written down earlier. */
  load(spans: readonly SampleSpan[]): void {
    for (const { state, startSamples, endSamples } of spans) {
      const stretch = STRETCHES.find((kind) => kind.state === state && kind.note !== NOTE.GAP);
      if (stretch !== undefined) this.note(stretch.note, startSamples, endSamples - startSamples);
      else this.note(state === 'speech' ? NOTE.SPEECH : NOTE.SILENCE, startSamples, 0);
      this.extendTo(endSamples);
    }
  }

  /** The spans from 0 to `endSamples`, without holes or overlaps; what lies beyond the last frame is silence. */
  compose(endSamples: number): SampleSpan[] {
    const layers = STRETCHES.map(({ note, state }) => {
      const list = this.#stretches.get(note) ?? [];
      const intervals = note === NOTE.GAP && this.#end < endSamples ? [...list, this.#end, endSamples] : list;
      return { state, intervals, holds: membership(intervals) };
    });
    const cuts = [0, endSamples, ...this.#edgeAt, ...layers.flatMap(({ intervals }) => intervals)];
    cuts.sort((a, b) => a - b);
    const spans: SampleSpan[] = [];
    let nextEdge = 0;
    for (let i = 1; i < cuts.length; i++) {
      const start = cuts[i - 1] as number;
      const end = cuts[i] as number;
      if (start === end) continue;
      if (start >= endSamples) break;
      while (nextEdge < this.#edgeAt.length && (this.#edgeAt[nextEdge] as number) <= start) nextEdge++;
      const heard = nextEdge === 0 || this.#edgeSilent[nextEdge - 1] === true ? 'silence' : 'speech';
      appendSpan(spans, layers.find(({ holds }) => holds(start))?.state ?? heard, start, end);
    }
    return spans;
  }

  #silent(): boolean {
    return this.#edgeSilent.at(-1) ?? true;
  }
}

/** Adds a span, or lengthens the last one when the state stays the same. */
export function appendSpan(spans: SampleSpan[], state: SpanState, startSamples: number, endSamples: number): void {
  const last = spans.at(-1);
  if (last !== undefined && last.state === state && last.endSamples === startSamples) {
    spans[spans.length - 1] = { state, startSamples: last.startSamples, endSamples };
  } else {
    spans.push({ state, startSamples, endSamples });
  }
}

/** Whether a position lies in one of the intervals; positions must be asked in rising order. */
function membership(intervals: readonly number[]): (position: number) => boolean {
  let next = 0;
  return (position) => {
    while (next < intervals.length && (intervals[next + 1] as number) <= position) next += 2;
    return next < intervals.length && (intervals[next] as number) <= position;
  };
}
