import { LIMITS } from '../../core/limits.js';
import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';

/**
 * Audio of late packets that a channel may bring at once: twice what a packet may be late. Packets that come within 10 s
 * of their time never exceed it, in whatever order: what arrives in a time is no longer than that time and 10 s.
 */
const STORED_US = 2 * LIMITS.maxLateSeconds * US_PER_SECOND;
/** What a packet counts for at least, the shortest that Opus has: its cost is that of one write. */
const SHORTEST_US = 2.5 * US_PER_MS;

/**
 * How many late packets of a channel are recorded: a token bucket that fills as time goes by. Each one costs the recorder a
 * write into the file, and a sender that leaves gaps and fills them later, packet by packet, could keep the disk busy.
 */
export class LateBudget {
  /** By channel. */
  readonly #leftUs: Float64Array;
  readonly #sinceUs: Float64Array;
  /** Packets refused, of all channels. */
  refused = 0;

  constructor(channels: number) {
    this.#leftUs = new Float64Array(channels);
    this.#sinceUs = new Float64Array(channels);
  }

  openChannel(channel: number): void {
    this.#leftUs[channel] = STORED_US;
    this.#sinceUs[channel] = Number.POSITIVE_INFINITY;
  }

  /** Whether the channel may bring a late packet of `durationUs` that arrives at `nowUs`. */
  take(channel: number, durationUs: number, nowUs: number): boolean {
    const sinceUs = this.#sinceUs[channel] as number;
    const passedUs = Math.max(0, nowUs - sinceUs);
    const leftUs = Math.min(STORED_US, (this.#leftUs[channel] as number) + passedUs);
    const neededUs = Math.max(SHORTEST_US, durationUs);
    const isTaken = neededUs <= leftUs;
    this.#sinceUs[channel] = sinceUs === Number.POSITIVE_INFINITY ? nowUs : Math.max(sinceUs, nowUs);
    this.#leftUs[channel] = isTaken ? leftUs - neededUs : leftUs;
    if (!isTaken) this.refused++;
    return isTaken;
  }
}
