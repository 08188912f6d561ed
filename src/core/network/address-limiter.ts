import { TokenBucket } from './token-bucket.js';

/** Addresses that are tracked at the same time; the one that was used longest ago is forgotten first. */
const MAX_ADDRESSES = 4_096;

/** A rate limit for each remote address. */
export class AddressLimiter {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /** Counts an occurrence; false when the address has used up its allowance. */
  tryTake(address: string | undefined, nowUs: number): boolean {
    const network = networkOf(address ?? '');
    const bucket = this.#buckets.get(network) ?? new TokenBucket(this.#perSecond, this.#burst, nowUs);
    this.#buckets.delete(network);
    this.#buckets.set(network, bucket);
    if (this.#buckets.size > MAX_ADDRESSES) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket.tryTake(1, nowUs);
  }

  /** Whether the address has used up its allowance; counts nothing. */
  isExhausted(address: string | undefined, nowUs: number): boolean {
    return this.#buckets.get(networkOf(address ?? ''))?.has(1, nowUs) === false;
  }
}

/** One host has a whole /64 of IPv6 addresses. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  return plain.includes(':') ? expanded(plain).slice(0, 4).join(':') : plain;
}

/** The groups of an IPv6 address, with those that `::` stands for: 2001:db8::1 is in 2001:db8:0:0. */
function expanded(address: string): string[] {
  const [head = '', tail] = address.split('::');
  const before = head.split(':');
  if (tail === undefined) return before;
  const after = tail.split(':');
  return [...before, ...new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after];
}
