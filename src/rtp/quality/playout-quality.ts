import type { Codec } from '../../core/codec.js';
import type { LossQuality } from '../../core/statistics/quality.js';
import { MS_PER_SECOND, US_PER_SECOND } from '../../core/units.js';
import type { PacketColumns } from '../packet-columns.js';
import { DISCONTINUITY } from '../playout-queue.js';
import { BurstGap } from './burst-gap.js';
import { IMPAIRMENT, mosLq } from './mos.js';

/** MOS-LQ is taken over windows of this length; one with fewer packets goes on for another such time. */
const WINDOW_US = 10 * US_PER_SECOND;
const LEAST_PACKETS = 20;

const CODECS = Object.keys(IMPAIRMENT) as Codec[];

/** What every packet needs, side by side, and what a window adds up. */
const VALUE = {
  RECEIVED: 0,
  TIMESTAMP: 1,
  /** Arrival at which the current window ends; -Infinity before the first packet. */
  WINDOW_END_US: 2,
  /** RECEIVED at its beginning; packets lost in it, and in how many runs. */
  WINDOW_RECEIVED: 3,
  WINDOW_LOST: 4,
  WINDOW_RUNS: 5,
  /** Of the windows that have ended: the lowest MOS, the sum weighted by packets, and the packets. */
  MIN: 6,
  SUM: 7,
  WEIGHT: 8,
  LATEST: 9,
  TICKS_PER_MS: 10,
  CONCEALED_TICKS: 11,
  CODEC: 12,
} as const;
const VALUES = 16;

/**
 * How each channel sounds, by the packets that were there when they were due: loss in bursts and gaps, how much had to be
 * concealed, and the MOS that ITU-T G.107 expects of it. Packets are counted when the jitter buffer releases them, so one
 * that came too late counts as lost here, although reception statistics count it as received.
 */
export class PlayoutQuality {
  readonly #values: Float64Array;
  readonly #bursts: BurstGap;

  constructor(channels: number) {
    this.#values = new Float64Array(channels * VALUES);
    this.#bursts = new BurstGap(channels);
  }

  /** @param clockRate RTP timestamp units a second. */
  open(channel: number, clockRate: number, codec: Codec): void {
    const at = channel * VALUES;
    this.#values.fill(0, at, at + VALUES);
    this.#values[at + VALUE.WINDOW_END_US] = Number.NEGATIVE_INFINITY;
    this.#values[at + VALUE.MIN] = Number.POSITIVE_INFINITY;
    this.#values[at + VALUE.LATEST] = Number.NaN;
    this.#values[at + VALUE.TICKS_PER_MS] = clockRate / MS_PER_SECOND;
    this.#values[at + VALUE.CODEC] = CODECS.indexOf(codec);
    this.#bursts.open(channel);
  }

  /** A packet was released in time. */
  packet(packets: PacketColumns, row: number): void {
    const values = this.#values;
    const at = (packets.channel[row] as number) * VALUES;
    const arrivalUs = packets.arrivalUs[row] as number;
    if (((packets.flags[row] as number) & DISCONTINUITY) !== 0) this.#begin(packets, row);
    if (!(arrivalUs < (values[at + VALUE.WINDOW_END_US] as number))) this.#endWindow(packets, row);
    values[at + VALUE.RECEIVED] = (values[at + VALUE.RECEIVED] as number) + 1;
    values[at + VALUE.TIMESTAMP] = packets.timestamp[row] as number;
  }

  /** A packet was not there when it was due. */
  lost(channel: number, timestamp: number, durationTicks: number): void {
    const values = this.#values;
    const at = channel * VALUES;
    const isRun = this.#bursts.lost(channel, values[at + VALUE.RECEIVED] as number, timestamp, durationTicks);
    add(values, at + VALUE.WINDOW_LOST, 1);
    if (isRun) add(values, at + VALUE.WINDOW_RUNS, 1);
  }

  /** So much of the channel's audio was made up. */
  concealed(channel: number, ticks: number): void {
    add(this.#values, channel * VALUES + VALUE.CONCEALED_TICKS, ticks);
  }

  /** MOS-LQ of the latest window that has ended; NaN before that. */
  latestMosLq(channel: number): number {
    return this.#values[channel * VALUES + VALUE.LATEST] as number;
  }

  read(channel: number): LossQuality {
    const values = this.#values;
    const at = channel * VALUES;
    const ticksPerMs = values[at + VALUE.TICKS_PER_MS] as number;
    const received = values[at + VALUE.RECEIVED] as number;
    this.#bursts.reached(channel, values[at + VALUE.TIMESTAMP] as number);
    let minimum = values[at + VALUE.MIN] as number;
    let sum = values[at + VALUE.SUM] as number;
    let weight = values[at + VALUE.WEIGHT] as number;
    // The window that has not ended counts as far as it goes.
    const due = this.#dueInWindow(at);
    if (due >= LEAST_PACKETS || (due > 0 && weight === 0)) {
      const mos = this.#windowMos(at);
      minimum = Math.min(minimum, mos);
      sum += mos * due;
      weight += due;
    }
    return {
      ...this.#bursts.read(channel, received, ticksPerMs),
      concealedMs: (values[at + VALUE.CONCEALED_TICKS] as number) / ticksPerMs,
      mosLqMin: weight > 0 ? minimum : null,
      mosLqMean: weight > 0 ? sum / weight : null,
    };
  }

  #begin(packets: PacketColumns, row: number): void {
    const channel = packets.channel[row] as number;
    const values = this.#values;
    this.#bursts.reached(channel, values[channel * VALUES + VALUE.TIMESTAMP] as number);
    this.#bursts.begin(channel, packets.timestamp[row] as number, false);
  }

  #endWindow(packets: PacketColumns, row: number): void {
    const channel = packets.channel[row] as number;
    const values = this.#values;
    const at = channel * VALUES;
    const arrivalUs = packets.arrivalUs[row] as number;
    if (values[at + VALUE.RECEIVED] === 0) this.#bursts.begin(channel, packets.timestamp[row] as number, true);
    values[at + VALUE.WINDOW_END_US] = arrivalUs + WINDOW_US;
    const due = this.#dueInWindow(at);
    if (due < LEAST_PACKETS) return;
    const mos = this.#windowMos(at);
    values[at + VALUE.LATEST] = mos;
    if (mos < (values[at + VALUE.MIN] as number)) values[at + VALUE.MIN] = mos;
    add(values, at + VALUE.SUM, mos * due);
    add(values, at + VALUE.WEIGHT, due);
    values[at + VALUE.WINDOW_RECEIVED] = values[at + VALUE.RECEIVED] as number;
    values[at + VALUE.WINDOW_LOST] = 0;
    values[at + VALUE.WINDOW_RUNS] = 0;
  }

  #receivedInWindow(at: number): number {
    return (this.#values[at + VALUE.RECEIVED] as number) - (this.#values[at + VALUE.WINDOW_RECEIVED] as number);
  }

  #dueInWindow(at: number): number {
    return this.#receivedInWindow(at) + (this.#values[at + VALUE.WINDOW_LOST] as number);
  }

  #windowMos(at: number): number {
    const values = this.#values;
    const impairment = IMPAIRMENT[CODECS[values[at + VALUE.CODEC] as number] as Codec];
    // A run of losses that began before the window is one run in it, too.
    const lost = values[at + VALUE.WINDOW_LOST] as number;
    const runs = Math.max(lost > 0 ? 1 : 0, values[at + VALUE.WINDOW_RUNS] as number);
    return mosLq(impairment, this.#receivedInWindow(at), lost, runs);
  }
}

function add(values: Float64Array, at: number, amount: number): void {
  values[at] = (values[at] as number) + amount;
}
