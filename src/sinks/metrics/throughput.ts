import type { ReceptionCounts } from '../../core/events.js';
import { US_PER_SECOND } from '../../core/units.js';

export interface Rates {
  readonly packetsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Packets lost of those that were due, 0 to 1. */
  readonly packetLossRate: number;
}

/** Since the first stream; `recent` since about five seconds ago. */
export interface Throughput extends Rates {
  readonly recent: Rates;
}

type Totals = Pick<ReceptionCounts, 'packetsReceived' | 'bytesReceived' | 'packetsLost'>;
interface Sample extends Totals {
  readonly atUs: number;
}

const RECENT_US = 5 * US_PER_SECOND;
/** Samples are not taken more often than this, so that a window holds few, however often it is read. */
const SAMPLE_US = US_PER_SECOND / 4;

const NOTHING: Totals = { packetsReceived: 0, bytesReceived: 0, packetsLost: 0 };

/** Rates from counts that only grow, given to it with each read. */
export class ThroughputMeter {
  readonly #samples: Sample[] = [];
  #startUs: number | undefined;

  /** When the first stream opened. */
  start(nowUs: number): void {
    if (this.#startUs !== undefined) return;
    this.#startUs = nowUs;
    this.#samples.push({ atUs: nowUs, ...NOTHING });
  }

  read(nowUs: number, totals: Totals): Throughput {
    const { packetsReceived, bytesReceived, packetsLost } = totals;
    const now: Sample = { atUs: nowUs, packetsReceived, bytesReceived, packetsLost };
    const since = { atUs: this.#startUs ?? nowUs, ...NOTHING };
    // The newest sample that is five seconds old; before there is one, the oldest. It may be a little younger: a reader that
    // comes every five seconds is sometimes early, and would otherwise get the rates of ten.
    const beginUs = nowUs - RECENT_US + SAMPLE_US;
    while (this.#samples.length > 1 && (this.#samples[1] as Sample).atUs <= beginUs) this.#samples.shift();
    const recent = rates(this.#samples[0] ?? now, now);
    const newest = this.#samples.at(-1);
    if (newest !== undefined && nowUs - newest.atUs >= SAMPLE_US) this.#samples.push(now);
    return { ...rates(since, now), recent };
  }
}

function rates(from: Sample, to: Sample): Rates {
  const seconds = (to.atUs - from.atUs) / US_PER_SECOND;
  const received = to.packetsReceived - from.packetsReceived;
  const lost = Math.max(0, to.packetsLost - from.packetsLost);
  return {
    packetsPerSecond: seconds > 0 ? received / seconds : 0,
    bytesPerSecond: seconds > 0 ? (to.bytesReceived - from.bytesReceived) / seconds : 0,
    packetLossRate: lost > 0 ? lost / Math.max(lost, received + lost) : 0,
  };
}
