import { PRODUCER_CURSOR, type RingPlace, RingProducer } from './ring.js';

/**
 * A producer that never blocks. Data is refused when the ring is full, and its caller counts it; control records
 * (OPEN, CLOSE) must arrive, so they wait here, and data is refused until they are through: the order always stands.
 */
export class RingLink {
  readonly ring: RingProducer;
  readonly #waiting: Uint8Array[] = [];

  constructor(place: RingPlace) {
    this.ring = new RingProducer(place);
  }

  /** As RingProducer.tryClaim, but −1 also while a control record waits. */
  tryClaim(length: number): number {
    return this.#waiting.length > 0 ? -1 : this.ring.tryClaim(length);
  }

  /** Takes over a whole record. It is committed at once or as soon as retry() finds space. */
  control(record: Uint8Array): void {
    this.#waiting.push(record);
    this.retry();
  }

  /** Commits what had to wait, as far as it fits. The caller publishes. */
  retry(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const at = this.ring.tryClaim(first.length);
      if (at < 0) break;
      this.ring.bytes.set(first, at);
      this.ring.commit(first.length);
      this.#waiting.shift();
    }
    this.ring.cursors[PRODUCER_CURSOR.WAITING] = this.#waiting.length > 0 ? 1 : 0;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }
}
