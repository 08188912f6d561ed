import type { SilenceKind, SpanState } from '../../core/events.js';

/** What the edges say of a channel's signal. */
export const SIGNALS = ['silence', 'speech', 'digital', 'comfortNoise'] as const;
/** What hides the signal, each hiding those before it; `gap`: the time line has no frames, so it is silence. */
export const LAYERS = ['signal', 'gap', 'lost', 'paused', 'discarded'] as const;
export type Signal = (typeof SIGNALS)[number];
export type Layer = (typeof LAYERS)[number];

/** A span of an interaction's time line, which begins with its first stream. */
export interface LiveSpan {
  readonly state: SpanState;
  /** Of a silence that is not background noise. */
  readonly kind?: SilenceKind;
  readonly startMs: number;
  readonly endMs: number;
}

/** A shorter gap belongs to what is around it, as in a recording. */
export const LEAST_GAP_MS = 25;
const CAPACITY = 128;

/**
 * The newest spans of one channel, by the same rules as in a recording (sinks/recorder/spans.ts): speech and silence by
 * the edges, which are dated back, and over them what hides the signal. A part of the time line ends where the next one
 * begins, so only the beginnings are kept.
 */
export class SpanLog {
  readonly #startMs = new Float64Array(CAPACITY + 1);
  readonly #signals = new Uint8Array(CAPACITY + 1);
  readonly #layers = new Uint8Array(CAPACITY + 1);
  #count = 0;
  #isCut = false;

  /** True when spans before those that read() returns are no longer known. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** An edge: what was assumed of the signal from there on is replaced. */
  edge(signal: Signal, startMs: number): void {
    const from = this.#boundary(startMs);
    this.#signals.fill(SIGNALS.indexOf(signal), from, this.#count);
    this.#join(from, this.#count);
  }

  /** From `startMs` on, where nothing is known yet, the time line is this. */
  begin(layer: Layer, startMs: number): void {
    const from = this.#boundary(startMs);
    this.#layers.fill(LAYERS.indexOf(layer), from, this.#count);
    this.#join(from, this.#count);
  }

  /** A stretch that may lie anywhere. */
  hide(layer: Layer, startMs: number, endMs: number): void {
    if (endMs <= startMs) return;
    // The end first: a boundary before it may push the oldest out.
    this.#boundary(endMs);
    const from = this.#boundary(startMs);
    let to = from;
    for (; to < this.#count && (this.#startMs[to] as number) < endMs; to++) {
      this.#layers[to] = Math.max(this.#layers[to] as number, LAYERS.indexOf(layer));
    }
    this.#join(from, to);
  }

  /** The spans in order; the last one ends at `endMs`. */
  read(endMs: number): LiveSpan[] {
    const spans: LiveSpan[] = [];
    for (let n = 0; n < this.#count; n++) {
      const startMs = this.#startMs[n] as number;
      const nextMs = n + 1 < this.#count ? Math.min(this.#startMs[n + 1] as number, endMs) : endMs;
      if (nextMs <= startMs) continue;
      const span = { ...this.#stateAt(n), startMs: rounded(startMs), endMs: rounded(nextMs) };
      const last = spans.at(-1);
      const goesOn = last?.state === span.state && last.kind === span.kind;
      if (goesOn) spans[spans.length - 1] = { ...last, endMs: span.endMs };
      else spans.push(span);
    }
    return spans;
  }

  /** What the channel's signal is at the end of what is known, whatever hides it. */
  get signal(): Signal {
    return SIGNALS[this.#signals[this.#count - 1] ?? 0] ?? 'silence';
  }

  #stateAt(n: number): Pick<LiveSpan, 'state' | 'kind'> {
    const layer = LAYERS[this.#layers[n] as number] ?? 'signal';
    if (layer !== 'signal' && layer !== 'gap') return { state: layer };
    const signal = SIGNALS[this.#signals[n] as number] ?? 'silence';
    if (signal === 'digital' || signal === 'comfortNoise') return { state: 'silence', kind: signal };
    return { state: layer === 'gap' ? 'silence' : signal };
  }

  /** The part that begins at `startMs`; what it is part of is split where none does. */
  #boundary(startMs: number): number {
    let at = this.#count;
    while (at > 0 && (this.#startMs[at - 1] as number) > startMs) at--;
    if (at > 0 && (this.#startMs[at - 1] as number) === startMs) return at - 1;
    // Before the oldest that is known.
    if (at === 0 && this.#isCut) return 0;
    for (const list of [this.#startMs, this.#signals, this.#layers]) list.copyWithin(at + 1, at, this.#count);
    this.#startMs[at] = startMs;
    this.#signals[at] = at > 0 ? (this.#signals[at - 1] as number) : 0;
    this.#layers[at] = at > 0 ? (this.#layers[at - 1] as number) : 0;
    this.#count++;
    if (this.#count <= CAPACITY) return at;
    this.#remove(0);
    this.#isCut = true;
    return Math.max(0, at - 1);
  }

  /** Takes back boundaries, from that of `from` to that of `to`, with the same on both sides. */
  #join(from: number, to: number): void {
    for (let n = Math.min(to, this.#count - 1); n >= Math.max(1, from); n--) {
      const isSame = this.#signals[n] === this.#signals[n - 1] && this.#layers[n] === this.#layers[n - 1];
      if (isSame) this.#remove(n);
    }
  }

  #remove(at: number): void {
    for (const list of [this.#startMs, this.#signals, this.#layers]) list.copyWithin(at, at + 1, this.#count);
    this.#count--;
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
