/** RFC 3611 section 4.7.2: so many packets received in a row end a burst. */
export const GMIN = 16;

/** Loss by bursts and gaps, RFC 3611 section 4.7.2; of one channel so far. */
export interface BurstGapLoss {
  readonly bursts: number;
  /** Share of the packets within bursts that were lost, 0 to 1. */
  readonly burstDensity: number;
  /** Share of the packets outside of bursts that were lost, 0 to 1. */
  readonly gapDensity: number;
  /** Mean length of a burst in milliseconds; 0 while there was none. */
  readonly burstDurationMs: number;
  /** Mean length of the gaps between bursts, before the first and after the last one, in milliseconds. */
  readonly gapDurationMs: number;
}

const VALUE = {
  /** Packets received when the latest one was lost, and when the current run of losses began. */
  RECEIVED_AT_LOSS: 0,
  /** Losses that less than GMIN received packets separate: a burst, if they are two or more. */
  LOST: 1,
  /** Packets received between them. */
  RECEIVED: 2,
  /** Timestamps: where they begin and end. */
  START: 3,
  END: 4,
  /** Timestamp from which the current gap lasts. */
  GAP_START: 5,
  BURSTS: 6,
  BURST_LOST: 7,
  BURST_RECEIVED: 8,
  BURST_TICKS: 9,
  GAP_LOST: 10,
  GAP_TICKS: 11,
  GAPS: 12,
  LATEST: 13,
} as const;
const VALUES = 16;

/**
 * Divides the packets of every channel into bursts, which begin and end with a lost packet and never have GMIN received
 * packets in a row, and gaps in between, in which each loss stands alone. A packet that arrived too late to be played is
 * lost here (RFC 3611: discarded).
 *
 * Worked example, L lost and numbers of packets received: 40 L 3 L L 20 L 30. The first three losses are a burst of six
 * packets: burst density 0.5. The last one stands alone: gap density 1 / 91.
 *
 * Nothing is done for a packet that is received: the caller counts those anyway.
 */
export class BurstGap {
  readonly #values: Float64Array;

  constructor(channels: number) {
    this.#values = new Float64Array(channels * VALUES);
  }

  open(channel: number): void {
    this.#values.fill(0, channel * VALUES, (channel + 1) * VALUES);
  }

  /** The channel's first packet, or one before which the time line jumps: no burst goes on across it. */
  begin(channel: number, timestamp: number, isFirst: boolean): void {
    const values = this.#values;
    const at = channel * VALUES;
    if (!isFirst) {
      this.#endLosses(at);
      this.#endGap(at, values[at + VALUE.LATEST] as number);
    }
    values[at + VALUE.GAP_START] = timestamp;
    values[at + VALUE.LATEST] = timestamp;
  }

  /** Timestamp of a packet received; called from time to time, so that the last gap has a length. */
  reached(channel: number, timestamp: number): void {
    this.#values[channel * VALUES + VALUE.LATEST] = timestamp;
  }

  /** One packet was lost after `received` packets of the channel. True when it begins a run of losses. */
  lost(channel: number, received: number, timestamp: number, durationTicks: number): boolean {
    const values = this.#values;
    const at = channel * VALUES;
    const since = received - (values[at + VALUE.RECEIVED_AT_LOSS] as number);
    if (values[at + VALUE.LOST] !== 0 && since < GMIN) {
      add(values, at + VALUE.LOST, 1);
      add(values, at + VALUE.RECEIVED, since);
    } else {
      this.#endLosses(at);
      values[at + VALUE.LOST] = 1;
      values[at + VALUE.START] = timestamp;
    }
    const isRun = since > 0 || values[at + VALUE.LOST] === 1;
    values[at + VALUE.RECEIVED_AT_LOSS] = received;
    values[at + VALUE.END] = timestamp + durationTicks;
    values[at + VALUE.LATEST] = timestamp + durationTicks;
    return isRun;
  }

  /** The figures after `received` packets. As RFC 3611 demands, the report is taken to be followed by GMIN packets. */
  read(channel: number, received: number, ticksPerMs: number): BurstGapLoss {
    const copy = this.#values.slice(channel * VALUES, (channel + 1) * VALUES);
    endLosses(copy, 0);
    endGap(copy, 0, copy[VALUE.LATEST] as number);
    const [bursts, lost, between] = [copy[VALUE.BURSTS], copy[VALUE.BURST_LOST], copy[VALUE.BURST_RECEIVED]] as [
      number,
      number,
      number,
    ];
    const gapLost = copy[VALUE.GAP_LOST] as number;
    return {
      bursts,
      burstDensity: share(lost, lost + between),
      gapDensity: share(gapLost, gapLost + received - between),
      burstDurationMs: share(copy[VALUE.BURST_TICKS] as number, bursts * ticksPerMs),
      gapDurationMs: share(copy[VALUE.GAP_TICKS] as number, (copy[VALUE.GAPS] as number) * ticksPerMs),
    };
  }

  #endLosses(at: number): void {
    endLosses(this.#values, at);
  }

  #endGap(at: number, timestamp: number): void {
    endGap(this.#values, at, timestamp);
  }
}

/** The losses so far are followed by GMIN received packets: they were a burst, or one loss in a gap. */
function endLosses(values: Float64Array, at: number): void {
  const lost = values[at + VALUE.LOST] as number;
  if (lost === 1) add(values, at + VALUE.GAP_LOST, 1);
  if (lost > 1) {
    const start = values[at + VALUE.START] as number;
    const end = values[at + VALUE.END] as number;
    endGap(values, at, start);
    add(values, at + VALUE.BURSTS, 1);
    add(values, at + VALUE.BURST_LOST, lost);
    add(values, at + VALUE.BURST_RECEIVED, values[at + VALUE.RECEIVED] as number);
    add(values, at + VALUE.BURST_TICKS, end - start);
    values[at + VALUE.GAP_START] = end;
  }
  values[at + VALUE.LOST] = 0;
  values[at + VALUE.RECEIVED] = 0;
}

function endGap(values: Float64Array, at: number, timestamp: number): void {
  const ticks = timestamp - (values[at + VALUE.GAP_START] as number);
  if (ticks <= 0) return;
  add(values, at + VALUE.GAP_TICKS, ticks);
  add(values, at + VALUE.GAPS, 1);
}

function add(values: Float64Array, at: number, amount: number): void {
  values[at] = (values[at] as number) + amount;
}

function share(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
