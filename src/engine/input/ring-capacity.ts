import { US_PER_MS } from '../../core/units.js';
import type { RingLink } from '../../ring/link.js';

/** Share of a ring that is kept free for the packets before a due one in its channel, which are released with it. */
const MARGIN = 1 / 16;
/** How long one shard may block the streams of the others. */
const BLOCKED_LIMIT_US = 250 * US_PER_MS;

/**
 * How much the jitter buffer may release. After a stall of the machine or of a shard everything is due at once, and more
 * than fits into a ring; the jitter buffer then keeps the rest until there is space.
 */
export class RingCapacity {
  readonly #links: readonly RingLink[];
  /** Since when each ring has been full; infinity while it is not. */
  readonly #fullSinceUs: Float64Array;
  /** One number: bytes that may still be released. The native path uses them up as well. */
  readonly left = new Float64Array(1);

  constructor(links: readonly RingLink[]) {
    this.#links = links;
    this.#fullSinceUs = new Float64Array(links.length).fill(Number.POSITIVE_INFINITY);
  }

  /** Measures the rings again. The fullest one decides, unless its shard has been blocked for too long. */
  measure(nowUs: number): void {
    let leftBytes = Number.POSITIVE_INFINITY;
    for (let shard = 0; shard < this.#links.length; shard++) {
      const { ring, hasWaiting } = this.#links[shard] as RingLink;
      const freeBytes = hasWaiting ? 0 : ring.freeBytes() - ring.capacity * MARGIN;
      if (freeBytes > 0) this.#fullSinceUs[shard] = Number.POSITIVE_INFINITY;
      else if (this.#fullSinceUs[shard] === Number.POSITIVE_INFINITY) this.#fullSinceUs[shard] = nowUs;
      const isIgnored = this.#links.length > 1 && nowUs - (this.#fullSinceUs[shard] as number) > BLOCKED_LIMIT_US;
      if (!isIgnored) leftBytes = Math.min(leftBytes, freeBytes);
    }
    this.left[0] = leftBytes;
  }

  get isLeft(): boolean {
    return (this.left[0] as number) > 0;
  }

  use(bytes: number): void {
    this.left[0] = (this.left[0] as number) - bytes;
  }
}
