import type { Codec } from '../../core/codec.js';
import type { LossQuality } from '../../core/statistics/quality.js';
import { MS_PER_SECOND, US_PER_SECOND } from '../../core/units.js';
import { CHANNEL_FIELDS, channelStates, FIELD } from '../channel-state.js';
import type { PacketColumns } from '../packet-columns.js';
import { DISCONTINUITY } from '../playout-queue.js';
import { BurstGap } from './burst-gap.js';
import { IMPAIRMENT, mosLq } from './mos.js';

/** MOS-LQ is taken over windows of this length; one with fewer packets goes on for another such time. */
const WINDOW_US = 10 * US_PER_SECOND;
const LEAST_PACKETS = 20;

const CODECS = Object.keys(IMPAIRMENT) as Codec[];

/** What a window adds up, and what has been added up of all. Every packet needs only its fields of channel-state.ts. */
const VALUE = {
  /** PLAYED when the current window began; packets lost in it, and in how many runs. */
  WINDOW_RECEIVED: 0,
  WINDOW_LOST: 1,
  WINDOW_RUNS: 2,
  /** Of the windows that have ended: the lowest MOS, the sum weighted by packets, and the packets. */
  MIN: 3,
  SUM: 4,
  WEIGHT: 5,
  LATEST: 6,
  TICKS_PER_MS: 7,
  CONCEALED_TICKS: 8,
  CODEC: 9,
} as const;
const VALUES = 10;

/**
 * How each channel sounds, by the packets that were there when they were due: loss in bursts and gaps, how much had to be
 * concealed, and the MOS that ITU-T G.107 expects of it. Packets are counted when the jitter buffer releases them, so one
 * that came too late counts as lost here, although reception statistics count it as received.
 */
export class PlayoutQuality {
  readonly #states: Float64Array;
  readonly #values: Float64Array;
  readonly #bursts: BurstGap;

  constructor(channels: number, states = channelStates(channels)) {
    this.#states = states;
    this.#values = new Float64Array(channels * VALUES);
    this.#bursts = new BurstGap(channels);
  }

  /** @param clockRate RTP timestamp units a second. */
  open(channel: number, clockRate: number, codec: Codec): void {
    const at = channel * VALUES;
    this.#values.fill(0, at, at + VALUES);
    const state = channel * CHANNEL_FIELDS;
    this.#states[state + FIELD.PLAYED] = 0;
    this.#states[state + FIELD.PLAYED_TIMESTAMP] = 0;
    // -Infinity before the first packet.
    this.#states[state + FIELD.QUALITY_WINDOW_END_US] = Number.NEGATIVE_INFINITY;
    this.#values[at + VALUE.MIN] = Number.POSITIVE_INFINITY;
    this.#values[at + VALUE.LATEST] = Number.NaN;
    this.#values[at + VALUE.TICKS_PER_MS] = clockRate / MS_PER_SECOND;
    this.#values[at + VALUE.CODEC] = CODECS.indexOf(codec);
    this.#bursts.open(channel);
  }

  /** A packet was released in time. */
  packet(packets: PacketColumns, row: number): void {
    const states = this.#states;
    const at = (packets.channel[row] as number) * CHANNEL_FIELDS;
    const arrivalUs = packets.arrivalUs[row] as number;
    if (((packets.flags[row] as number) & DISCONTINUITY) !== 0) this.#begin(packets, row);
    if (!(arrivalUs < (states[at + FIELD.QUALITY_WINDOW_END_US] as number))) this.#endWindow(packets, row);
    states[at + FIELD.PLAYED] = (states[at + FIELD.PLAYED] as number) + 1;
    states[at + FIELD.PLAYED_TIMESTAMP] = packets.timestamp[row] as number;
  }

  /** A packet was not there when it was due. */
  lost(channel: number, timestamp: number, durationTicks: number): void {
    const values = this.#values;
    const at = channel * VALUES;
    const isRun = this.#bursts.lost(channel, this.#playedOf(channel), timestamp, durationTicks);
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
    const received = this.#playedOf(channel);
    this.#bursts.reached(channel, this.#states[channel * CHANNEL_FIELDS + FIELD.PLAYED_TIMESTAMP] as number);
    let minimum = values[at + VALUE.MIN] as number;
    let sum = values[at + VALUE.SUM] as number;
    let weight = values[at + VALUE.WEIGHT] as number;
    // The window that has not ended counts as far as it goes.
    const due = this.#dueInWindow(channel);
    if (due >= LEAST_PACKETS || (due > 0 && weight === 0)) {
      const mos = this.#windowMos(channel);
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
    this.#bursts.reached(channel, this.#states[channel * CHANNEL_FIELDS + FIELD.PLAYED_TIMESTAMP] as number);
    this.#bursts.begin(channel, packets.timestamp[row] as number, false);
  }

  #endWindow(packets: PacketColumns, row: number): void {
    const channel = packets.channel[row] as number;
    const values = this.#values;
    const at = channel * VALUES;
    const arrivalUs = packets.arrivalUs[row] as number;
    if (this.#playedOf(channel) === 0) this.#bursts.begin(channel, packets.timestamp[row] as number, true);
    this.#states[channel * CHANNEL_FIELDS + FIELD.QUALITY_WINDOW_END_US] = arrivalUs + WINDOW_US;
    const due = this.#dueInWindow(channel);
    if (due < LEAST_PACKETS) return;
    const mos = this.#windowMos(channel);
    values[at + VALUE.LATEST] = mos;
    if (mos < (values[at + VALUE.MIN] as number)) values[at + VALUE.MIN] = mos;
    add(values, at + VALUE.SUM, mos * due);
    add(values, at + VALUE.WEIGHT, due);
    values[at + VALUE.WINDOW_RECEIVED] = this.#playedOf(channel);
    values[at + VALUE.WINDOW_LOST] = 0;
    values[at + VALUE.WINDOW_RUNS] = 0;
  }

  /** Packets that were there when they were due. */
  #playedOf(channel: number): number {
    return this.#states[channel * CHANNEL_FIELDS + FIELD.PLAYED] as number;
  }

  #receivedInWindow(channel: number): number {
    return this.#playedOf(channel) - (this.#values[channel * VALUES + VALUE.WINDOW_RECEIVED] as number);
  }

  #dueInWindow(channel: number): number {
    return this.#receivedInWindow(channel) + (this.#values[channel * VALUES + VALUE.WINDOW_LOST] as number);
  }

  #windowMos(channel: number): number {
    const values = this.#values;
    const at = channel * VALUES;
    const impairment = IMPAIRMENT[CODECS[values[at + VALUE.CODEC] as number] as Codec];
    // A run of losses that began before the window is one run in it, too.
    const lost = values[at + VALUE.WINDOW_LOST] as number;
    const runs = Math.max(lost > 0 ? 1 : 0, values[at + VALUE.WINDOW_RUNS] as number);
    return mosLq(impairment, this.#receivedInWindow(channel), lost, runs);
  }
}

function add(values: Float64Array, at: number, amount: number): void {
  values[at] = (values[at] as number) + amount;
}
