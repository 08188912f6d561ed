import type { SilenceKind, SpanState } from '../../core/events.js';

/** States of a channel by number; 0 before its first frame. The last two are kinds of silence. */
export const CHANNEL_STATES = [
  'none',
  'speech',
  'silence',
  'lost',
  'paused',
  'discarded',
  'digital',
  'comfortNoise',
] as const;
export const CHANNEL_STATE = {
  ...{ NONE: 0, SPEECH: 1, SILENCE: 2, LOST: 3, PAUSED: 4, DISCARDED: 5 },
  ...{ DIGITAL: 6, COMFORT_NOISE: 7 },
} as const;
export type ChannelState = (typeof CHANNEL_STATE)[keyof typeof CHANNEL_STATE];

/** A span of an interaction's time line, which begins with its first stream. */
export interface LiveSpan {
  readonly state: SpanState;
  /** Of a silence that is not background noise. */
  readonly kind?: SilenceKind;
  readonly startMs: number;
  readonly endMs: number;
}

/** A power of two. */
const CAPACITY = 128;

/** The newest spans of one channel. A span ends where the next one begins, so only the beginnings are kept. */
export class SpanLog {
  readonly #startMs = new Float64Array(CAPACITY);
  readonly #states = new Uint8Array(CAPACITY);
  #begun = 0;
  #oldest = 0;

  /** True when spans before those that read() returns are no longer known. */
  get isCut(): boolean {
    return this.#oldest > 0;
  }

  /** A span begins. What was known of the time after `startMs` is replaced. */
  begin(state: ChannelState, startMs: number): void {
    while (this.#begun > this.#oldest && (this.#startMs[(this.#begun - 1) & (CAPACITY - 1)] as number) >= startMs) {
      this.#begun--;
    }
    const at = this.#begun & (CAPACITY - 1);
    this.#startMs[at] = startMs;
    this.#states[at] = state;
    this.#begun++;
    if (this.#begun - this.#oldest > CAPACITY) this.#oldest = this.#begun - CAPACITY;
  }

  /** The spans in order; the last one ends at `endMs`. */
  read(endMs: number): LiveSpan[] {
    const spans: LiveSpan[] = [];
    for (let n = this.#oldest; n < this.#begun; n++) {
      const state = CHANNEL_STATES[this.#states[n & (CAPACITY - 1)] as number];
      const startMs = this.#startMs[n & (CAPACITY - 1)] as number;
      const nextMs = n + 1 < this.#begun ? (this.#startMs[(n + 1) & (CAPACITY - 1)] as number) : endMs;
      const isEmpty = nextMs <= startMs || state === undefined || state === 'none';
      if (isEmpty) continue;
      const kind = state === 'digital' || state === 'comfortNoise' ? state : undefined;
      const span = { startMs: rounded(startMs), endMs: rounded(nextMs) };
      spans.push(kind === undefined ? { state: state as SpanState, ...span } : { state: 'silence', kind, ...span });
    }
    return spans;
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
