import type { DiskLowEvent } from '../../sink.js';

/** How far above the watermark the disk has space again, so that it does not go to and fro. */
const RECOVERED_FACTOR = 1.1;

/** Finds out when the space on the disk falls below a watermark, and when it is above it again. */
export class DiskWatermark {
  readonly #watermarkBytes: number;
  #isLow = false;

  /** @param watermarkBytes 0 for none. */
  constructor(watermarkBytes: number) {
    this.#watermarkBytes = watermarkBytes;
  }

  /** Undefined when nothing has changed, or nothing is known. */
  look(freeBytes: number | undefined): DiskLowEvent | undefined {
    if (freeBytes === undefined || this.#watermarkBytes === 0) return undefined;
    const isLow = freeBytes < this.#watermarkBytes * (this.#isLow ? RECOVERED_FACTOR : 1);
    if (isLow === this.#isLow) return undefined;
    this.#isLow = isLow;
    return { isLow, freeBytes, watermarkBytes: this.#watermarkBytes };
  }
}
