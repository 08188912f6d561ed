import type { Channel, SpanState } from '../core/events.js';

/** A stretch of one state, in samples of the stream's time line. */
export interface SampleSpan {
  readonly state: SpanState;
  readonly startSamples: number;
  readonly endSamples: number;
}

/** Kinds of mark, as they stand in the journal. */
export const MARK = { SPEECH: 1, SILENCE: 2, LOST: 3, GAP: 4 } as const;

/** Called with each mark that a track takes in, so that it can be kept outside the thread. */
export type MarkListener = (kind: number, channel: Channel, start: number, length: number) => void;

/**
 * What one channel was, from the first sample of the stream on. Three layers, the later hiding the earlier:
 *
 * 1. speech and silence, from the edges. An edge lies where the signal crossed the threshold and is noticed later, so it
 *    may lie before frames already seen and takes back what was assumed from there on. Before the first edge stands
 *    the first frame's own flag. A frame whose flag differs from the state without an edge (the ring was full, or the
 *    detector started anew) counts as an edge at its start.
 * 2. gaps: a stretch without frames is silence, for zeros are what the recording has there.
 * 3. lost: the frames that stand for lost packets.
 *
 * Frames come in the order of their positions.
 */
export class SpanTrack {
  readonly channel: Channel;
  readonly #onMark: MarkListener | undefined;
  readonly #edgeAt: number[] = [];
  readonly #edgeSilent: boolean[] = [];
  // Start and end by turns.
  readonly #gaps: number[] = [];
  readonly #lost: number[] = [];
  #end = 0;

  constructor(channel: Channel, onMark?: MarkListener) {
    this.channel = channel;
    this.#onMark = onMark;
  }

  /** End of the last frame. */
  get endSamples(): number {
    return this.#end;
  }

  /** Marks held; grows with the number of spans. */
  get size(): number {
    return this.#edgeAt.length + ((this.#gaps.length + this.#lost.length) >> 1);
  }

  frame(position: number, count: number, silent: boolean, lost: boolean): void {
    if (position > this.#end) this.mark(MARK.GAP, this.#end, position - this.#end);
    if (this.#edgeAt.length === 0) this.edge(0, silent);
    else if (this.#edgeSilent.at(-1) !== silent) this.edge(position, silent);
    if (lost) this.mark(MARK.LOST, position, count);
    if (position + count > this.#end) this.#end = position + count;
  }

  edge(position: number, silent: boolean): void {
    if (this.#edgeAt.length === 0 && position > 0) this.mark(silent ? MARK.SPEECH : MARK.SILENCE, 0, 0);
    this.mark(silent ? MARK.SILENCE : MARK.SPEECH, position, 0);
  }

  /** Takes in one mark, new or from a journal. Taking in the same sequence of marks again changes nothing. */
  mark(kind: number, start: number, length: number): void {
    if (kind === MARK.GAP || kind === MARK.LOST) {
      const list = kind === MARK.GAP ? this.#gaps : this.#lost;
      const covered = list.at(-1) ?? -1;
      if (start + length <= covered) return;
      if (start <= covered) list[list.length - 1] = start + length;
      else list.push(start, start + length);
    } else {
      const silent = kind === MARK.SILENCE;
      while (this.#edgeAt.length > 0 && (this.#edgeAt.at(-1) as number) >= start) {
        this.#edgeAt.pop();
        this.#edgeSilent.pop();
      }
      if (this.#edgeSilent.at(-1) !== silent) {
        this.#edgeAt.push(start);
        this.#edgeSilent.push(silent);
      }
    }
    this.#onMark?.(kind, this.channel, start, length);
  }

  /** Tells the newest edge to the listener again. */
  repeatLastEdge(): void {
    const at = this.#edgeAt.at(-1);
    if (at !== undefined)
      this.#onMark?.(this.#edgeSilent.at(-1) === true ? MARK.SILENCE : MARK.SPEECH, this.channel, at, 0);
  }

  /** For a track made anew from its marks: where the last frame ended. */
  extendTo(endSamples: number): void {
    this.#end = Math.max(this.#end, endSamples);
  }

  /** Goes on from spans that were written down earlier. */
  load(spans: readonly SampleSpan[]): void {
    for (const { state, startSamples, endSamples } of spans) {
      if (state === 'lost') this.mark(MARK.LOST, startSamples, endSamples - startSamples);
      else this.mark(state === 'speech' ? MARK.SPEECH : MARK.SILENCE, startSamples, 0);
      this.extendTo(endSamples);
    }
  }

  /** The spans from 0 to `endSamples`, without holes or overlaps; what lies beyond the last frame is silence. */
  compose(endSamples: number): SampleSpan[] {
    const gaps = this.#end < endSamples ? [...this.#gaps, this.#end, endSamples] : this.#gaps;
    const cuts = [0, endSamples, ...this.#edgeAt, ...gaps, ...this.#lost].filter((at) => at <= endSamples);
    const spans: SampleSpan[] = [];
    const edges = { next: 0, silent: true };
    const inGap = membership(gaps);
    const inLost = membership(this.#lost);
    cuts.sort((a, b) => a - b);
    for (let i = 1; i < cuts.length; i++) {
      const start = cuts[i - 1] as number;
      const end = cuts[i] as number;
      if (start === end) continue;
      while (edges.next < this.#edgeAt.length && (this.#edgeAt[edges.next] as number) <= start) {
        edges.silent = this.#edgeSilent[edges.next] === true;
        edges.next++;
      }
      const silent = inGap(start) || edges.silent;
      appendSpan(spans, inLost(start) ? 'lost' : silent ? 'silence' : 'speech', start, end);
    }
    return spans;
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
