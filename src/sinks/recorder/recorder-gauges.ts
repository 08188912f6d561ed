import { statfs } from 'node:fs/promises';
import { US_PER_SECOND } from '../../core/units.js';
import type { RingGauge } from '../../ring/ring.js';

/** Marks that are kept while the recorder stands still: at two a second, a quarter of an hour. */
const MAX_MARKS = 1_800;

/**
 * How far the recorder is behind: the age of the oldest mark on the rings that it has not reached. A mark is made at each
 * look, so that nothing has to be read of the records themselves.
 */
export class RecorderLag {
  readonly #marks: { readonly atUs: number; readonly tails: readonly number[] }[] = [];

  /** Call it about twice a second. */
  mark(rings: readonly RingGauge[], nowUs: number): void {
    this.#forget(rings);
    if (this.#marks.length < MAX_MARKS) this.#marks.push({ atUs: nowUs, tails: rings.map((ring) => ring.tail) });
  }

  seconds(rings: readonly RingGauge[], nowUs: number): number {
    this.#forget(rings);
    const [oldest] = this.#marks;
    return oldest === undefined ? 0 : Math.max(0, nowUs - oldest.atUs) / US_PER_SECOND;
  }

  #forget(rings: readonly RingGauge[]): void {
    const first = this.#marks.findIndex(({ tails }) => !rings.every((ring, i) => ring.hasReached(tails[i] ?? 0)));
    this.#marks.splice(0, first < 0 ? this.#marks.length : first);
  }
}

const ASK_EVERY_US = 5 * US_PER_SECOND;

/** Space on the disk of a folder, asked for every five seconds. A file system that does not answer is asked once. */
export class DiskSpace {
  readonly #directory: string;
  #askedUs = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  #known: { readonly freeBytes: number; readonly diskBytes: number } | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** `freeBytes` is what may be used without being root; empty as long as nothing is known. */
  get bytes(): { readonly freeBytes?: number; readonly diskBytes?: number } {
    return this.#known ?? {};
  }

  look(nowUs: number): void {
    if (this.#isAsking || nowUs - this.#askedUs < ASK_EVERY_US) return;
    this.#askedUs = nowUs;
    this.#isAsking = true;
    void this.#ask();
  }

  async #ask(): Promise<void> {
    try {
      const { bsize, bavail, blocks } = await statfs(this.#directory);
      this.#known = { freeBytes: bavail * bsize, diskBytes: blocks * bsize };
    } catch {
      this.#known = undefined;
    }
    this.#isAsking = false;
  }
}
