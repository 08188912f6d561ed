import type { OrderedStreamIngest } from '../../../engine/input/ingest.js';
import type { Deinterleaver } from '../protocol/deinterleave.js';

/** Frames are at least 20 ms long, so that this adds little latency. */
const PUBLISH_MS = 3;

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
  #scheduled = false;

  constructor(ingest: OrderedStreamIngest, deinterleaver: Deinterleaver) {
    this.ingest = ingest;
    this.deinterleaver = deinterleaver;
  }

  /** Packets were committed: publish them within a few milliseconds. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setTimeout(this.#onTimer, PUBLISH_MS);
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
    this.#scheduled = false;
    for (const stream of this.#stalled) if (stream.retry()) this.#stalled.delete(stream);
    this.ingest.ordered.publish();
    if (this.#stalled.size > 0) this.schedule();
    else for (const resolve of this.#whenFlowing.splice(0)) resolve();
  };
}
