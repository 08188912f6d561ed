import { US_PER_SECOND } from '../../../core/units.js';

/**
 * Remembers nonces for a fixed time, so that none is accepted twice. All have the same lifetime, so that the order of
 * insertion is the order of expiry.
 */
export class NonceCache {
  readonly #lifeUs: number;
  readonly #capacity: number;
  readonly #expiryUs = new Map<string, number>();

  constructor(lifeSeconds: number, capacity: number) {
    this.#lifeUs = lifeSeconds * US_PER_SECOND;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#expiryUs.size;
  }

  /** The nonces and when each expires, oldest first. */
  entries(): IterableIterator<[nonce: string, expiryUs: number]> {
    return this.#expiryUs.entries();
  }

  /** Takes over the nonces of an earlier process, oldest first; before any other. */
  restore(entries: Iterable<readonly [nonce: string, expiryUs: number]>): void {
    for (const [nonce, expiryUs] of entries) this.#expiryUs.set(nonce, expiryUs);
  }

  /** Adds `nonce`. A full cache refuses it: forgetting another one early would allow that to be replayed. */
  add(nonce: string, nowUs: number): 'added' | 'replayed' | 'full' {
    for (const [oldest, expiryUs] of this.#expiryUs) {
      if (expiryUs > nowUs) break;
      this.#expiryUs.delete(oldest);
    }
    if (this.#expiryUs.has(nonce)) return 'replayed';
    if (this.#expiryUs.size >= this.#capacity) return 'full';
    this.#expiryUs.set(nonce, nowUs + this.#lifeUs);
    return 'added';
  }
}
