import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../../core/clock.js';
import { TokenBucket } from '../../core/network/token-bucket.js';
import { US_PER_MS } from '../../core/units.js';

const CHUNK_BYTES = 64 << 10;
/** Bytes of a megabit per second. */
const BYTES_PER_MEGABIT = 125_000;

/** The bandwidth that all uploads share. */
export class Pace {
  readonly #bucket: TokenBucket | undefined;
  readonly #clock: Clock;

  /** @param maxMegabits per second; 0 for no limit. */
  constructor(maxMegabits: number, clock: Clock) {
    const bytesPerSecond = maxMegabits * BYTES_PER_MEGABIT;
    this.#clock = clock;
    // A twentieth of a second at once, so that a line that is shared with calls has no bursts.
    const burst = Math.max(CHUNK_BYTES, bytesPerSecond / 20);
    this.#bucket = maxMegabits === 0 ? undefined : new TokenBucket(bytesPerSecond, burst, clock.nowUs());
  }

  /** The bytes as a stream that gives them no faster than the limit allows. */
  stream(bytes: Buffer): Readable {
    return Readable.from(this.#chunks(bytes), { objectMode: false, highWaterMark: CHUNK_BYTES });
  }

  async *#chunks(bytes: Buffer): AsyncGenerator<Buffer> {
    for (let from = 0; from < bytes.length; from += CHUNK_BYTES) {
      const chunk = bytes.subarray(from, from + CHUNK_BYTES);
      const waitUs = this.#bucket?.spend(chunk.length, this.#clock.nowUs()) ?? 0;
      if (waitUs > 0) await wait(waitUs / US_PER_MS);
      yield chunk;
    }
  }
}
