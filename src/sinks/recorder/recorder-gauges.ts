import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { messageOf } from '../../core/errors.js';
import type { HealthCheck } from '../../core/health.js';
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

/**
 * The disk of a folder: its space, and whether a file can be made in the folder, looked at every five seconds. A file
 * system that does not answer is asked once.
 */
export class DiskSpace {
  readonly #directory: string;
  #askedUs = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  /** Why no file could be made; undefined when one could. */
  writeFault: string | undefined;
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
    const [space, writing] = await Promise.allSettled([
      statfs(this.#directory),
      access(this.#directory, constants.W_OK | constants.X_OK),
    ]);
    this.writeFault = writing.status === 'rejected' ? messageOf(writing.reason) : undefined;
    if (space.status === 'rejected') this.#known = undefined;
    else {
      const { bsize, bavail, blocks } = space.value;
      this.#known = { freeBytes: bavail * bsize, diskBytes: blocks * bsize };
    }
    this.#isAsking = false;
  }
}

const MEGABYTE = 1 << 20;
/** The watermark may be undercut by so much before recordings are in danger. */
export const FAILING_SHARE = 0.25;

/** What is known of a recorder's disk. */
interface DiskState {
  /** Undefined as long as it is not known, and when it cannot be found out. */
  readonly freeBytes: number | undefined;
  /** A file could not be made in the folder when that was last tried. */
  readonly writeFault: string | undefined;
}

/**
 * Whether recordings can be written. Below the watermark the disk is degraded, below a quarter of it failing: then there
 * is hardly space for the calls that run.
 */
export function diskCheck(name: string, { freeBytes, writeFault }: DiskState, minFreeBytes: number): HealthCheck {
  const check = { name: `${name}.disk`, affects: 'ready' } as const;
  if (writeFault !== undefined) {
    return { ...check, status: 'failing', reason: `The folder of the recordings cannot be written: ${writeFault}` };
  }
  if (freeBytes === undefined || freeBytes >= minFreeBytes) return { ...check, status: 'ok' };
  const status = freeBytes < minFreeBytes * FAILING_SHARE ? 'failing' : 'degraded';
  const megabytes = (bytes: number): number => Math.floor(bytes / MEGABYTE);
  const reason = `${megabytes(freeBytes)} MB are free on the disk of the recordings, less than ${megabytes(minFreeBytes)}.`;
  return { ...check, status, reason };
}
