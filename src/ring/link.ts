import { type RingPlace, RingProducer } from './ring.js';

/**
 * A producer that is never waited for. Data that finds no room is refused, and its caller counts it; control records
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

  /** Takes over a whole record. It is committed at once or as soon as retry() finds room. */
  control(record: Uint8Array): void {
    this.#waiting.push(record);
    this.retry();
  }

  /** Commits what had to wait, as far as there is room. Publishing is the caller's. */
  retry(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const at = this.ring.tryClaim(first.length);
      if (at < 0) return;
      this.ring.bytes.set(first, at);
      this.ring.commit(first.length);
      this.#waiting.shift();
    }
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }
}
