import type { Channel, MarkedState, SilenceKind, SpanState } from '../../core/events.js';
import { addInterval, addOverlap, cutInterval, type Intervals, membership } from './corrections/intervals.js';

/** A span of one state, in samples of the stream's time line. */
export interface SampleSpan {
  readonly state: SpanState;
  readonly startSamples: number;
  readonly endSamples: number;
  /** Of a lost span: the audio arrived and could not be written. */
  readonly notRecorded?: true;
  /** Of a silence that is not background noise. */
  readonly kind?: SilenceKind;
}

/**
 * Kinds of note about a track, as they are kept in the journal (recorder-memory.ts): two edges, then intervals, then
 * intervals that take back LOST, GAP and NOT_RECORDED; then edges to silence of another kind than background noise; then
 * intervals that were taken for lost although nothing was sent there.
 */
export const NOTE = {
  SPEECH: 1,
  SILENCE: 2,
  GAP: 3,
  PAUSED: 4,
  DISCARDED: 5,
  LOST: 6,
  NOT_RECORDED: 7,
  REPAIRED_QUIET: 8,
  REPAIRED_SPEECH: 9,
  DIGITAL_SILENCE: 10,
  COMFORT_NOISE: 11,
  NOT_SENT: 12,
} as const;

/** The kinds of interval, each hiding those after it and the edges. */
const INTERVALS: readonly { readonly note: number; readonly state: SpanState; readonly notRecorded?: true }[] = [
  { note: NOTE.DISCARDED, state: 'discarded' },
  { note: NOTE.PAUSED, state: 'paused' },
  { note: NOTE.LOST, state: 'lost' },
  { note: NOTE.GAP, state: 'silence' },
  { note: NOTE.NOT_RECORDED, state: 'lost', notRecorded: true },
];

/** Of edges to silence. */
const SILENCES: Readonly<Record<number, SilenceKind>> = {
  [NOTE.DIGITAL_SILENCE]: 'digital',
  [NOTE.COMFORT_NOISE]: 'comfortNoise',
};

/** Of the gaps that a late packet may still fill; the journal has space for 200 notes. */
const REPEATED_GAPS = 16;

/** Called with each note that a track takes, so that it can be kept outside the thread. */
export type NoteListener = (note: number, channel: Channel, start: number, length: number) => void;

/**
 * A gap of this part of the shortest silence, 25 ms, is no silence of its own: it keeps the two channels aligned
 * (rtp/clock/clock-alignment.ts), and belongs to the speech or silence around it.
 */
const ALIGNMENT = 1 / 20;

/**
 * The states of one channel from the first sample of the stream on, in layers:
 *
 * 1. Speech and silence, by the edges; a channel begins silent. An edge follows the frame that showed it but is dated
 *    back to where the signal crossed the threshold, and replaces what was assumed from there on. When edges are
 *    missing, because the recorder's ring was full, the flags of the frames are used instead.
 * 2. Audio that arrived and could not be written: lost.
 * 3. Gaps, where the time line has no frames: silence, for the recording has zeros there.
 * 4. Frames of lost packets.
 * 5. Spans without audio by decision: paused, discarded.
 *
 * The audio of a late packet takes away what layers 2 to 4 say of its stretch. It is speech where the edges around say so,
 * as in a short gap within speech, or by its own level; between speech, repaired quiet that is shorter than the shortest
 * silence is speech too, as it would have been in time.
 *
 * Frames come in the order of their positions; intervals may come in any order.
 */
export class SpanTrack {
  readonly channel: Channel;
  readonly #onNote: NoteListener | undefined;
  readonly #edgeAt: number[] = [];
  /** NOTE of each edge. */
  readonly #edgeNotes: number[] = [];
  /** By kind of note: start and end of each interval, in order. */
  readonly #intervals = new Map<number, Intervals>(INTERVALS.map(({ note }) => [note, []]));
  readonly #repairedQuiet: Intervals = [];
  readonly #repairedSpeech: Intervals = [];
  readonly #shortestSilence: number;
  #end = 0;
  // Start of the frame that was not silent, while the edge that ought to follow it may still come; −1 otherwise.
  #assumedSpeechAt = -1;

  /** @param shortestSilence in samples: repaired quiet that is shorter belongs to the speech around it. */
  constructor(channel: Channel, onNote?: NoteListener, shortestSilence = 0) {
    this.#shortestSilence = shortestSilence;
    this.channel = channel;
    this.#onNote = onNote;
  }

  /** Notes held; grows with the number of spans. */
  get size(): number {
    let size = this.#edgeAt.length;
    for (const list of this.#intervals.values()) size += list.length >> 1;
    return size + ((this.#repairedQuiet.length + this.#repairedSpeech.length) >> 1);
  }

  /** Where what is known ends. */
  get end(): number {
    return this.#end;
  }

  /** The state of a frame that follows the last one without news: silent or not; undefined while any frame is news. */
  get steadySilent(): boolean | undefined {
    return this.#assumedSpeechAt >= 0 ? undefined : this.#silent();
  }

  /** Whether there has been no speech from `position` on, as far as is known. */
  isSilentSince(position: number): boolean {
    return this.#silent() && (this.#edgeAt.at(-1) ?? 0) <= position;
  }

  frame(position: number, count: number, silent: boolean, lost: boolean): void {
    if (position - this.#end > this.#shortestSilence * ALIGNMENT) this.note(NOTE.GAP, this.#end, position - this.#end);
    this.#assumedSpeechAt = -1;
    if (lost) {
      this.note(NOTE.LOST, position, count);
    } else if (silent !== this.#silent()) {
      this.note(silent ? NOTE.SILENCE : NOTE.SPEECH, position, 0);
      if (!silent) this.#assumedSpeechAt = position;
    }
    this.extendTo(position + count);
  }

  edge(position: number, silent: boolean, kind?: SilenceKind): void {
    if (this.#assumedSpeechAt >= 0) this.note(NOTE.SILENCE, this.#assumedSpeechAt, 0);
    this.#assumedSpeechAt = -1;
    this.note(silent ? noteOfSilence(kind) : NOTE.SPEECH, position, 0);
  }

  /** A span without audio, by decision or because frames never reached the recorder. */
  withoutAudio(state: MarkedState | 'notRecorded', position: number, length: number): void {
    if (position > this.#end) this.note(NOTE.GAP, this.#end, position - this.#end);
    if (state === 'notRecorded') this.notRecorded(position, length);
    else this.note(state === 'paused' ? NOTE.PAUSED : NOTE.DISCARDED, position, length);
    this.extendTo(position + length);
  }

  /** Samples that came here and could not be written. */
  notRecorded(position: number, length: number): void {
    if (length > 0) this.note(NOTE.NOT_RECORDED, position, length);
  }

  /** The parts of a stretch, up to the last frame, for which audio is missing, and that no decision has kept out: starts and ends. */
  missing(start: number, end: number): Intervals {
    const missing: Intervals = [];
    for (const note of [NOTE.NOT_RECORDED, NOTE.GAP, NOTE.LOST]) addOverlap(this.#listOf(note), start, end, missing);
    return this.#withoutDecided(missing);
  }

  /** The parts of a stretch that are called lost, and that no decision has kept out: starts and ends. */
  lost(start: number, end: number): Intervals {
    const lost: Intervals = [];
    for (const note of [NOTE.NOT_RECORDED, NOTE.LOST]) addOverlap(this.#listOf(note), start, end, lost);
    return this.#withoutDecided(lost);
  }

  /** The parts of a stretch that the recording has, and that no decision has kept out: starts and ends. */
  recorded(start: number, end: number): Intervals {
    const recorded: Intervals = [];
    addInterval(recorded, start, Math.min(end, this.#end));
    return this.#withoutDecided(recorded);
  }

  /** The audio of a late packet stands in a stretch that was missing. */
  repaired(position: number, length: number, silent: boolean): void {
    this.note(silent ? NOTE.REPAIRED_QUIET : NOTE.REPAIRED_SPEECH, position, length);
  }

  /** No packet is missing in a stretch that was taken for lost: the time line has a gap there. */
  notSent(position: number, length: number): void {
    this.note(NOTE.NOT_SENT, position, length);
  }

  /** Takes one note, new or from a journal. Taking the same sequence of notes again changes nothing. */
  note(note: number, start: number, length: number): void {
    const list = this.#intervals.get(note);
    if (list !== undefined) addInterval(list, start, start + length);
    else if (note === NOTE.REPAIRED_QUIET) this.#repair(this.#repairedQuiet, start, start + length);
    else if (note === NOTE.REPAIRED_SPEECH) this.#repair(this.#repairedSpeech, start, start + length);
    else if (note === NOTE.NOT_SENT) this.#takeNotSent(start, start + length);
    else this.#takeEdge(note, start);
    this.#onNote?.(note, this.channel, start, length);
  }

  /**
   * Gives the listener again what spans do not say: the newest edge, and the latest gaps within `length` of the end, which
   * spans call silence and a late packet may still fill.
   */
  repeatNotes(length: number): void {
    const at = this.#edgeAt.at(-1);
    if (at !== undefined) this.#onNote?.(this.#lastEdge(), this.channel, at, 0);
    const gaps = this.#listOf(NOTE.GAP);
    for (let i = Math.max(0, gaps.length - 2 * REPEATED_GAPS); i < gaps.length; i += 2) {
      const [start, end] = [gaps[i] as number, gaps[i + 1] as number];
      if (end > this.#end - length) this.#onNote?.(NOTE.GAP, this.channel, start, end - start);
    }
  }

  /** The last frame, which brought nothing but samples, ended here. */
  extendTo(endSamples: number): void {
    this.#end = Math.max(this.#end, endSamples);
  }

  /** Continues from spans that were written down earlier. */
  load(spans: readonly SampleSpan[]): void {
    for (const { state, startSamples, endSamples, notRecorded, kind: silence } of spans) {
      const kind = INTERVALS.find((one) => one.state === state && one.notRecorded === notRecorded);
      if (kind !== undefined && kind.note !== NOTE.GAP) this.note(kind.note, startSamples, endSamples - startSamples);
      else this.note(state === 'speech' ? NOTE.SPEECH : noteOfSilence(silence), startSamples, 0);
      this.extendTo(endSamples);
    }
  }

  /** The spans from 0 to `endSamples`, without gaps or overlaps; beyond the last frame is silence. */
  compose(endSamples: number): SampleSpan[] {
    const layers = INTERVALS.map(({ note, ...kind }) => {
      const list = this.#intervals.get(note) ?? [];
      const intervals = note === NOTE.GAP && this.#end < endSamples ? [...list, this.#end, endSamples] : list;
      return { kind, intervals, contains: membership(intervals) };
    });
    const repaired = [...this.#repairedSpeech, ...this.#repairedQuiet];
    const cuts = [0, endSamples, ...this.#edgeAt, ...repaired, ...layers.flatMap(({ intervals }) => intervals)];
    cuts.sort((a, b) => a - b);
    const spans: SampleSpan[] = [];
    const isRepairedSpeech = membership(this.#repairedSpeech);
    let nextEdge = 0;
    for (let i = 1; i < cuts.length; i++) {
      const startSamples = cuts[i - 1] as number;
      const end = cuts[i] as number;
      if (startSamples === end) continue;
      if (startSamples >= endSamples) break;
      while (nextEdge < this.#edgeAt.length && (this.#edgeAt[nextEdge] as number) <= startSamples) nextEdge++;
      const edge = this.#edgeNotes[nextEdge - 1] ?? NOTE.SILENCE;
      const isSilent = edge !== NOTE.SPEECH && !isRepairedSpeech(startSamples);
      const signal = isSilent ? 'silence' : 'speech';
      const layer = layers.find(({ contains }) => contains(startSamples))?.kind ?? { state: signal as SpanState };
      const kind = layer.state === 'silence' && startSamples < this.#end ? SILENCES[edge] : undefined;
      appendSpan(spans, { ...layer, startSamples, endSamples: end, ...(kind && { kind }) });
    }
    return this.#repairedQuiet.length === 0 ? spans : this.#joinSpeech(spans);
  }

  /** Repaired quiet between speech is speech while it is too short for a silence. */
  #joinSpeech(spans: readonly SampleSpan[]): SampleSpan[] {
    const isRepaired = membership(this.#repairedQuiet);
    const joined: SampleSpan[] = [];
    for (const [i, span] of spans.entries()) {
      const { state, startSamples, endSamples } = span;
      const isWithin = joined.at(-1)?.state === 'speech' && spans[i + 1]?.state === 'speech';
      const isShort = state === 'silence' && endSamples - startSamples < this.#shortestSilence;
      const isPart = isWithin && isShort && isRepaired(startSamples);
      appendSpan(joined, isPart ? { state: 'speech', startSamples, endSamples } : span);
    }
    return joined;
  }

  #repair(list: Intervals, start: number, end: number): void {
    for (const note of [NOTE.NOT_RECORDED, NOTE.GAP, NOTE.LOST]) cutInterval(this.#listOf(note), start, end);
    addInterval(list, start, end);
  }

  #takeNotSent(start: number, end: number): void {
    for (const note of [NOTE.NOT_RECORDED, NOTE.LOST]) cutInterval(this.#listOf(note), start, end);
    if (end - start > this.#shortestSilence * ALIGNMENT) addInterval(this.#listOf(NOTE.GAP), start, end);
  }

  #withoutDecided(list: Intervals): Intervals {
    const [start, end] = [list[0] ?? 0, list.at(-1) ?? 0];
    const decided: Intervals = [];
    for (const note of [NOTE.PAUSED, NOTE.DISCARDED]) addOverlap(this.#listOf(note), start, end, decided);
    for (let i = 0; i < decided.length; i += 2) cutInterval(list, decided[i] as number, decided[i + 1] as number);
    return list;
  }

  #listOf(note: number): Intervals {
    return this.#intervals.get(note) ?? [];
  }

  #takeEdge(note: number, start: number): void {
    while (this.#edgeAt.length > 0 && (this.#edgeAt.at(-1) as number) >= start) {
      this.#edgeAt.pop();
      this.#edgeNotes.pop();
    }
    if (this.#lastEdge() === note) return;
    this.#edgeAt.push(start);
    this.#edgeNotes.push(note);
  }

  #silent(): boolean {
    return this.#lastEdge() !== NOTE.SPEECH;
  }

  #lastEdge(): number {
    return this.#edgeNotes.at(-1) ?? NOTE.SILENCE;
  }
}

function noteOfSilence(kind: SilenceKind | undefined): number {
  if (kind === undefined) return NOTE.SILENCE;
  return kind === 'digital' ? NOTE.DIGITAL_SILENCE : NOTE.COMFORT_NOISE;
}

/** Adds a span, or extends the last one when the state stays the same. */
export function appendSpan(spans: SampleSpan[], span: SampleSpan): void {
  const last = spans.at(-1);
  const goesOn =
    last?.endSamples === span.startSamples &&
    last.state === span.state &&
    last.notRecorded === span.notRecorded &&
    last.kind === span.kind;
  if (goesOn) spans[spans.length - 1] = { ...last, endSamples: span.endSamples };
  else spans.push(span);
}
