import { US_PER_MS } from '../../core/units.js';
import type { RingLink } from '../../ring/link.js';

/** Share of a ring that is kept free: what a packet takes along from before it in its lane must still find room. */
const MARGIN = 1 / 16;
/** How long one shard may hold up the streams of the others. */
const PATIENCE_US = 250 * US_PER_MS;

/**
 * How much may leave the jitter buffer, which can hold packets back when rings are full: behind a stall of the machine
 * or of a shard, what is due comes all at once, and more than a ring has room for.
 */
export class RingCapacity {
  readonly #links: readonly RingLink[];
  /** Since when each ring has had no room; infinity while it has. */
  readonly #fullSinceUs: Float64Array;
  #leftBytes = 0;

  constructor(links: readonly RingLink[]) {
    this.#links = links;
    this.#fullSinceUs = new Float64Array(links.length).fill(Number.POSITIVE_INFINITY);
  }

  /** Looks at the rings anew. The fullest one says how much may go, unless its shard has stood still for too long. */
  measure(nowUs: number): void {
    this.#leftBytes = Number.POSITIVE_INFINITY;
    for (let shard = 0; shard < this.#links.length; shard++) {
      const { ring, hasWaiting } = this.#links[shard] as RingLink;
      const freeBytes = hasWaiting ? 0 : ring.freeBytes() - ring.capacity * MARGIN;
      if (freeBytes > 0) this.#fullSinceUs[shard] = Number.POSITIVE_INFINITY;
      else if (this.#fullSinceUs[shard] === Number.POSITIVE_INFINITY) this.#fullSinceUs[shard] = nowUs;
      const isGivenUp = this.#links.length > 1 && nowUs - (this.#fullSinceUs[shard] as number) > PATIENCE_US;
      if (!isGivenUp) this.#leftBytes = Math.min(this.#leftBytes, freeBytes);
    }
  }

  get isLeft(): boolean {
    return this.#leftBytes > 0;
  }

  take(bytes: number): void {
    this.#leftBytes -= bytes;
  }
}
