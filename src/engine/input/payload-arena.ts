import { Buffer } from 'node:buffer';

/**
 * The arena begins again at its start when the space there is three times what is in use, and a quarter of the
 * capacity: from then on this is all the space there is, also for the burst after a stall.
 */
const FRONT_TO_USED = 3;
const FRONT_TO_CAPACITY = 1 / 4;

/**
 * Payload memory used in the order of arrival: every packet leaves the jitter buffer within its hold time, so a ring
 * of bytes is enough and nothing is ever moved.
 *
 * The ring does not run to its end before it begins again, but only as far as what is in use needs with a reserve:
 * most of a capacity that is meant for the worst hour then costs neither memory nor cache in all the others.
 */
export class PayloadArena {
  readonly bytes: Buffer;
  readonly #start: number;
  readonly #capacity: number;
  // Indices from #start. In use is [head, tail), or [head, lapEnd) and [0, tail) when the tail has begun again.
  #tail = 0;
  #head = 0;
  #lapEnd = 0;
  #isWrapped = false;
  /** Claims that were refused. */
  refused = 0;

  constructor(memory: SharedArrayBuffer, offset: number, capacity: number) {
    this.bytes = Buffer.from(memory);
    this.#start = offset;
    this.#capacity = capacity;
  }

  /** Absolute offset of `maxBytes` contiguous bytes, or −1. Claiming again without commit is possible. */
  claim(maxBytes: number): number {
    const at = this.tryClaim(maxBytes);
    if (at < 0) this.refused++;
    return at;
  }

  /** As claim(), for a caller that can ask for less: a refusal is not counted. */
  tryClaim(maxBytes: number): number {
    if (this.#isWrapped) {
      // Never up to the head itself: equal indices mean an empty arena.
      if (this.#tail + maxBytes < this.#head) return this.#start + this.#tail;
    } else {
      const used = this.#tail - this.#head;
      const isEarly = this.#head > Math.max(used * FRONT_TO_USED, this.#capacity * FRONT_TO_CAPACITY);
      const fits = this.#tail + maxBytes <= this.#capacity;
      if (fits && !isEarly) return this.#start + this.#tail;
      if (maxBytes < this.#head) {
        this.#lapEnd = this.#tail;
        this.#tail = 0;
        this.#isWrapped = true;
        return this.#start;
      }
      if (fits) return this.#start + this.#tail;
    }
    return -1;
  }

  /** What the last claim gave is in use, `length` bytes of it. */
  commit(offset: number, length: number): void {
    this.#tail = offset - this.#start + length;
  }

  /** Everything before the payload at `offset` (the oldest still held) is free; −1: nothing is held. */
  releaseTo(offset: number): void {
    if (offset < 0) {
      this.#head = 0;
      this.#tail = 0;
      this.#isWrapped = false;
      return;
    }
    const index = offset - this.#start;
    if (this.#isWrapped && index < this.#head) this.#isWrapped = false;
    this.#head = index;
  }

  /** Bytes from the oldest payload held to the newest. */
  get usedBytes(): number {
    return this.#isWrapped ? this.#lapEnd - this.#head + this.#tail : this.#tail - this.#head;
  }
}
