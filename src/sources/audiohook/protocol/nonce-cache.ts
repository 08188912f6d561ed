import { US_PER_SECOND } from '../../../core/units.js';

/**
 * Remembers what must not be seen twice for a fixed time. Everything is remembered equally long, so the order of
 * insertion is the order of expiry and nothing has to be searched.
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

  /** Remembers `nonce`, or says why not. A full cache refuses: forgetting one early would let it be replayed. */
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
