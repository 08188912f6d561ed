import { US_PER_MS } from '../../core/units.js';
import type { RingLink } from '../../ring/link.js';
import type { RingProducer } from '../../ring/ring.js';

/** Share of a ring that is kept free for the packets before a due one in its channel, which are released with it. */
const MARGIN = 1 / 16;
/** How long one shard may block the streams of the others. */
const BLOCKED_LIMIT_US = 250 * US_PER_MS;
/** More than a ring gets between two measurements; less than 2^31, the range of cursors. */
const NO_LIMIT = 2 ** 30;

/**
 * How much the jitter buffer may release. After a stall of the machine or of a shard everything is due at once, and more
 * than fits into a ring; the jitter buffer then keeps the rest until there is space. The limit of each ring is one of its
 * producer's cursors, so that all that is committed counts: what is released here, by the native path, and control records.
 */
export class RingCapacity {
  readonly #links: readonly RingLink[];
  readonly #rings: readonly RingProducer[];
  /** Since when each ring has been full; infinity while it is not. */
  readonly #fullSinceUs: Float64Array;

  constructor(links: readonly RingLink[]) {
    this.#links = links;
    this.#rings = links.map(({ ring }) => ring);
    this.#fullSinceUs = new Float64Array(links.length).fill(Number.POSITIVE_INFINITY);
  }

  /** Measures the rings again. The fullest one decides, unless its shard has been blocked for too long. */
  measure(nowUs: number): void {
    for (let shard = 0; shard < this.#links.length; shard++) {
      const { ring, hasWaiting } = this.#links[shard] as RingLink;
      const freeBytes = hasWaiting ? 0 : ring.freeBytes() - ring.capacity * MARGIN;
      if (freeBytes > 0) this.#fullSinceUs[shard] = Number.POSITIVE_INFINITY;
      else if (this.#fullSinceUs[shard] === Number.POSITIVE_INFINITY) this.#fullSinceUs[shard] = nowUs;
      const isIgnored = this.#links.length > 1 && nowUs - (this.#fullSinceUs[shard] as number) > BLOCKED_LIMIT_US;
      ring.limit(isIgnored ? NO_LIMIT : freeBytes);
    }
  }

  /** Whether no ring has reached its limit. */
  get isLeft(): boolean {
    for (let shard = 0; shard < this.#rings.length; shard++) {
      if (!(this.#rings[shard] as RingProducer).isBelowLimit) return false;
    }
    return true;
  }
}
