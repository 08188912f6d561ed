import { TokenBucket } from '../../../core/token-bucket.js';

/** Addresses that are tracked at the same time; the one that failed longest ago is forgotten first. */
const MAX_ADDRESSES = 4_096;

/** Limits the failed requests of each remote address. Requests that succeed are never limited here. */
export class FailureLimiter {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Counts a failure; false when the address has used up its allowance. */
  failed(address: string | undefined, nowUs: number): boolean {
    const network = networkOf(address ?? '');
    const bucket = this.#buckets.get(network) ?? new TokenBucket(this.#perSecond, 4 * this.#perSecond, nowUs);
    this.#buckets.delete(network);
    this.#buckets.set(network, bucket);
    if (this.#buckets.size > MAX_ADDRESSES) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket.tryTake(1, nowUs);
  }
}

/** One host has a whole /64 of IPv6 addresses. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return plain.includes(':') ? plain.split(':').slice(0, 4).join(':') : plain;
}
