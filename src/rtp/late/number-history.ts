/**
 * How many numbers back a late packet can be told from a duplicate: 10 s of the shortest packets, 2.5 ms. A power of two.
 */
export const HISTORY_PACKETS = 4096;

const WORDS = HISTORY_PACKETS / 32;

/**
 * Which of the latest numbers of each channel have been received: one bit each, used again every HISTORY_PACKETS numbers.
 *
 * Bitwise operators take a double modulo 2^32, so that the low bits are right for any unwrapped number, negative ones
 * included.
 */
export class NumberHistory {
  /** One bit a number, WORDS a channel. */
  readonly bits: Int32Array;

  constructor(channels: number) {
    this.bits = new Int32Array(channels * WORDS);
  }

  has(channel: number, sequence: number): boolean {
    const bit = sequence & (HISTORY_PACKETS - 1);
    return ((this.bits[channel * WORDS + (bit >> 5)] as number) & (1 << (bit & 31))) !== 0;
  }

  add(channel: number, sequence: number): void {
    const bit = sequence & (HISTORY_PACKETS - 1);
    const word = channel * WORDS + (bit >> 5);
    this.bits[word] = (this.bits[word] as number) | (1 << (bit & 31));
  }

  /** Removes the numbers from `from` up to, not including, `to`. */
  remove(channel: number, from: number, to: number): void {
    if (to - from >= HISTORY_PACKETS) this.clear(channel);
    else {
      for (let sequence = from; sequence < to; sequence++) {
        const bit = sequence & (HISTORY_PACKETS - 1);
        const word = channel * WORDS + (bit >> 5);
        this.bits[word] = (this.bits[word] as number) & ~(1 << (bit & 31));
      }
    }
  }

  clear(channel: number): void {
    this.bits.fill(0, channel * WORDS, (channel + 1) * WORDS);
  }

  /** Takes over what another one has of a channel. */
  copy(channel: number, from: NumberHistory): void {
    this.bits.set(from.bits.subarray(channel * WORDS, (channel + 1) * WORDS), channel * WORDS);
  }
}
