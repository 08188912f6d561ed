import type { FrameView } from '../events.js';

const MIN_SAMPLES = 8_192;

/** Bytes that the tapes of one reader may have together. */
export class TapeBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** False when it would be exceeded. A negative number gives bytes back. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }
}

/** The latest samples of one channel, contiguous on its time line. It grows while somebody speaks. */
export class UtteranceTape {
  readonly #budget: TapeBudget;
  #samples = new Int16Array(0);
  #length = 0;
  /** Position of the first sample. */
  start = 0;

  constructor(budget: TapeBudget) {
    this.#budget = budget;
  }

  get end(): number {
    return this.start + this.#length;
  }

  /** Appends a frame; silence in place of what is missing before it. False when there is no memory for it. */
  append(frame: FrameView, maxGap: number): boolean {
    const { positionSamples, sampleCount } = frame;
    let gap = positionSamples - this.end;
    if (gap < 0 || gap > maxGap || this.#length === 0) {
      this.start = positionSamples;
      this.#length = 0;
      gap = 0;
    }
    if (!this.#reserve(this.#length + gap + sampleCount)) return false;
    this.#samples.fill(0, this.#length, this.#length + gap + sampleCount);
    frame.copyPcmTo(this.#samples, this.#length + gap);
    this.#length += gap + sampleCount;
    return true;
  }

  /** Forgets all but the last `count` samples, once there are twice as many. */
  keepLast(count: number): void {
    if (this.#length < 2 * count || this.#length < MIN_SAMPLES) return;
    const from = this.#length - count;
    if (this.#samples.length > 8 * Math.max(count, MIN_SAMPLES)) {
      const smaller = this.#samples.slice(from, this.#length);
      this.#budget.take(2 * (smaller.length - this.#samples.length));
      this.#samples = smaller;
    } else {
      this.#samples.copyWithin(0, from, this.#length);
    }
    this.start += from;
    this.#length = count;
  }

  /** A copy of the samples from one position to another, as far as they are there, as little-endian bytes. */
  copy(from: number, to: number): Buffer {
    const first = Math.max(0, from - this.start);
    const last = Math.max(first, Math.min(this.#length, to - this.start));
    return Buffer.from(this.#samples.slice(first, last).buffer);
  }

  /** Gives its memory back. */
  release(): void {
    this.#budget.take(-2 * this.#samples.length);
    this.#samples = new Int16Array(0);
    this.#length = 0;
  }

  #reserve(length: number): boolean {
    if (length <= this.#samples.length) return true;
    const size = Math.max(MIN_SAMPLES, length, 2 * this.#samples.length);
    if (!this.#budget.take(2 * (size - this.#samples.length))) return false;
    const larger = new Int16Array(size);
    larger.set(this.#samples.subarray(0, this.#length));
    this.#samples = larger;
    return true;
  }
}
