import type { OrderedStreamIngest } from '../../../engine/input/ingest.js';
import type { Deinterleaver } from '../protocol/deinterleave.js';

/** Packets are published this much later than they came at most: a twentieth of what they hold, so that it hardly shows. */
const PART_OF_AUDIO = 1 / 20;
/** Frames are at least 20 ms long. Also for everything that is not audio. */
const LEAST_MS = 3;
const MOST_MS = 10;

/** A stream whose packets the engine has no capacity for at the moment. */
interface Retry {
  /** Tries again; true when nothing is waiting any more. */
  retry(): boolean;
}

/** Publishes the packets of all streams together, because waking a shard costs more than a frame; retries stalled streams. */
export class Publisher {
  readonly ingest: OrderedStreamIngest;
  readonly deinterleaver: Deinterleaver;
  /** In the order in which they stalled. */
  readonly #stalled = new Set<Retry>();
  readonly #whenFlowing: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #delayMs = 0;

  constructor(ingest: OrderedStreamIngest, deinterleaver: Deinterleaver) {
    this.ingest = ingest;
    this.deinterleaver = deinterleaver;
  }

  /** Packets were committed: publish them within a few milliseconds. @param audioMs how much audio they hold. */
  schedule(audioMs = 0): void {
    const delayMs = Math.min(MOST_MS, Math.max(LEAST_MS, audioMs * PART_OF_AUDIO));
    if (this.#timer !== undefined) {
      if (delayMs >= this.#delayMs) return;
      clearTimeout(this.#timer);
    }
    this.#delayMs = delayMs;
    this.#timer = setTimeout(this.#onTimer, delayMs);
  }

  /** The engine refused a packet of this stream: retry until it has been accepted. */
  stalled(stream: Retry): void {
    this.#stalled.add(stream);
    // Shards free capacity only by processing what has been published.
    this.ingest.ordered.publish();
    this.schedule();
  }

  /** Resolves when no stream is stalled. */
  flowing(): Promise<void> {
    if (this.#stalled.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenFlowing.push(resolve));
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    for (const stream of this.#stalled) if (stream.retry()) this.#stalled.delete(stream);
    this.ingest.ordered.publish();
    if (this.#stalled.size > 0) this.schedule();
    else for (const resolve of this.#whenFlowing.splice(0)) resolve();
  };
}
