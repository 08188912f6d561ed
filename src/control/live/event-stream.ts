import type { EventRing } from './event-ring.js';

/** Which events a client wants; all when absent. */
export interface EventFilter {
  readonly types?: ReadonlySet<string>;
  readonly interactionId?: string;
}

/** What a client is told that it has missed. */
export interface Missed {
  /** Of events of all types; null when it is not known. */
  readonly count: number | null;
  readonly reason: 'slow' | 'tooOld' | 'restarted' | 'notRecorded';
}

/** A client's response, such as a ServerResponse. */
export interface EventOutput {
  write(bytes: string | Buffer): boolean;
  end(): unknown;
  destroy(): unknown;
  on(event: 'close' | 'drain', listener: () => void): unknown;
}

/** Written at once; what is beyond it follows when the client has taken it. */
const WRITE_BYTES = 65_536;
const RETRY_MS = 2_000;

interface Batch {
  /** Empty when the filter passes none of the events. */
  readonly bytes: Buffer;
  /** Number of the event after them. */
  readonly next: number;
}

/** Events as they are written, some 64 kB at once: the same bytes for all clients at one position with one filter. */
export class EventBatches {
  readonly ring: EventRing;
  readonly #batches = new Map<string, Batch>();

  constructor(ring: EventRing) {
    this.ring = ring;
  }

  /** The events from number `from` on, as many as are written at once. */
  batch(from: number, filter: EventFilter): Batch {
    const key = `${from} ${filter.interactionId ?? ''} ${[...(filter.types ?? [])].join()}`;
    let batch = this.#batches.get(key);
    if (batch === undefined) {
      batch = this.#collect(from, filter);
      this.#batches.set(key, batch);
    }
    return batch;
  }

  /** To be called when no more clients are to be written to: other events may have taken their places since. */
  forget(): void {
    this.#batches.clear();
  }

  #collect(from: number, { types, interactionId }: EventFilter): Batch {
    const parts: string[] = [];
    let length = 0;
    let next = from;
    while (next < this.ring.end && length < WRITE_BYTES) {
      const event = this.ring.at(next++);
      const isWanted = types?.has(event.type) ?? true;
      if (!isWanted || (interactionId !== undefined && interactionId !== event.interactionId)) continue;
      parts.push(event.text);
      length += event.text.length;
    }
    return { bytes: Buffer.from(parts.join('')), next };
  }
}

/** One client of the event stream: its position in the ring, and whether its socket takes more. */
export class EventStream {
  readonly filter: EventFilter;
  /** Events that it was told to have missed because it was too slow. */
  missed = 0;
  readonly #output: EventOutput;
  readonly #batches: EventBatches;
  readonly #boot: string;
  /** Number of the next event. */
  #next: number;
  /** Since when the socket takes nothing more. */
  #blockedSinceUs: number | undefined;
  #isOver = false;

  constructor(output: EventOutput, batches: EventBatches, filter: EventFilter, start: { boot: string; from: number }) {
    this.#output = output;
    this.#batches = batches;
    this.filter = filter;
    this.#boot = start.boot;
    this.#next = start.from;
  }

  /** The first lines: where a client that loses its connection before the first event resumes. */
  begin(missed: Missed | undefined): void {
    this.#output.write(`retry: ${RETRY_MS}\nid: ${this.#boot}-${this.#next - 1}\n\n`);
    if (missed !== undefined) this.#output.write(missedText(missed));
  }

  /** Writes what the ring has for this client, unless its socket has not taken the last of it yet. */
  send(nowUs: number): void {
    if (this.#blockedSinceUs !== undefined || this.#isOver) return;
    this.#tellMissed();
    const { ring } = this.#batches;
    while (this.#next < ring.end) {
      const { bytes, next } = this.#batches.batch(this.#next, this.filter);
      this.#next = next;
      if (bytes.length === 0 || this.#output.write(bytes)) continue;
      this.#blockedSinceUs = nowUs;
      return;
    }
  }

  /** Its socket has taken everything. */
  drained(nowUs: number): void {
    this.#blockedSinceUs = undefined;
    this.send(nowUs);
  }

  /** Whether it has taken nothing for so long. */
  isStalled(nowUs: number, limitUs: number): boolean {
    return this.#blockedSinceUs !== undefined && nowUs >= this.#blockedSinceUs + limitUs;
  }

  heartbeat(): void {
    if (this.#blockedSinceUs === undefined && !this.#isOver) this.#output.write(':\n\n');
  }

  end(): void {
    this.#isOver = true;
    this.#output.end();
  }

  destroy(): void {
    this.#isOver = true;
    this.#output.destroy();
  }

  #tellMissed(): void {
    const count = this.#batches.ring.first - this.#next;
    if (count <= 0) return;
    this.missed += count;
    this.#next = this.#batches.ring.first;
    this.#output.write(missedText({ count, reason: 'slow' }));
  }
}

function missedText({ count, reason }: Missed): string {
  return `event: missed\ndata: ${JSON.stringify({ type: 'missed', missed: count, reason })}\n\n`;
}
