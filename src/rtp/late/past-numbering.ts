import { LIMITS } from '../../core/limits.js';
import { US_PER_SECOND } from '../../core/units.js';
import type { PacketRing } from '../packet-ring.js';
import { MAX_PACKET_SECONDS, type Reception } from '../reception.js';
import type { Unwrapper } from '../unwrapper.js';
import { HISTORY_PACKETS, NumberHistory } from './number-history.js';

/**
 * The numbering that each channel had before its latest restart, with the numbers that are missing in it: a packet that
 * was on its way when the sender restarted can still be placed, in the recording at least.
 */
export class PastNumbering {
  readonly #packets: PacketRing;
  readonly #reception: Reception;
  readonly #sequences: Unwrapper;
  readonly #timestamps: Unwrapper;
  /** Its number; 0 while there is none. */
  readonly #epoch: Int32Array;
  readonly #clockRate: Float64Array;
  readonly #lowest: Float64Array;
  /** Of the packet with the highest number: unwrapped, and as on the wire. */
  readonly #highest: Float64Array;
  readonly #timestamp: Float64Array;
  readonly #wireSequence: Float64Array;
  readonly #wireTimestamp: Float64Array;
  readonly #lastArrivalUs: Float64Array;
  readonly #history: NumberHistory;

  constructor(
    channels: number,
    packets: PacketRing,
    reception: Reception,
    sequences: Unwrapper,
    timestamps: Unwrapper,
  ) {
    this.#packets = packets;
    this.#reception = reception;
    this.#sequences = sequences;
    this.#timestamps = timestamps;
    this.#epoch = new Int32Array(channels);
    this.#clockRate = new Float64Array(channels);
    this.#lowest = new Float64Array(channels);
    this.#highest = new Float64Array(channels);
    this.#timestamp = new Float64Array(channels);
    this.#wireSequence = new Float64Array(channels);
    this.#wireTimestamp = new Float64Array(channels);
    this.#lastArrivalUs = new Float64Array(channels);
    this.#history = new NumberHistory(channels);
  }

  /** @param clockRate RTP timestamp units a second. */
  open(channel: number, clockRate: number): void {
    this.#epoch[channel] = 0;
    this.#clockRate[channel] = clockRate;
  }

  /** Another numbering is about to begin; that of `epoch`, which the reception still has, is the past one from now on. */
  keep(channel: number, epoch: number): void {
    if (epoch === 0) return;
    this.#epoch[channel] = epoch;
    this.#lowest[channel] = this.#reception.lowestSequence(channel);
    this.#highest[channel] = this.#reception.newestSequence(channel);
    this.#timestamp[channel] = this.#reception.newestTimestamp(channel);
    this.#wireSequence[channel] = this.#sequences.newestWire(channel);
    this.#wireTimestamp[channel] = this.#timestamps.newestWire(channel);
    this.#lastArrivalUs[channel] = this.#reception.lastArrivalUs(channel);
    this.#history.copy(channel, this.#reception.history);
  }

  /**
   * The number that packet `d`, whose number is out of range, has in the past numbering if it is missing there; NaN if it
   * is not.
   */
  missing(channel: number, d: number): number {
    const sinceUs = (this.#packets.arrivalUs[d] as number) - (this.#lastArrivalUs[channel] as number);
    if (this.#epoch[channel] === 0 || sinceUs > LIMITS.maxLateSeconds * US_PER_SECOND) return Number.NaN;
    const wire = this.#packets.wireSequence[d] as number;
    const back = -this.#sequences.distance(channel, this.#wireSequence[channel] as number, wire);
    const ticksBack = -this.#ticks(channel, d);
    const mostTicks = (this.#clockRate[channel] as number) * (back * MAX_PACKET_SECONDS + LIMITS.maxGapSeconds);
    if (back <= 0 || back >= HISTORY_PACKETS || ticksBack < 0 || ticksBack > mostTicks) return Number.NaN;
    const sequence = (this.#highest[channel] as number) - back;
    const isMissing = sequence >= (this.#lowest[channel] as number) && !this.#history.has(channel, sequence);
    return isMissing ? sequence : Number.NaN;
  }

  /** Gives the row of packet `d` what it has in the past numbering, where `sequence` is no longer missing then. */
  take(channel: number, d: number, sequence: number): void {
    const packets = this.#packets;
    this.#history.add(channel, sequence);
    packets.sequence[d] = sequence;
    packets.timestamp[d] = (this.#timestamp[channel] as number) + this.#ticks(channel, d);
    packets.epoch[d] = this.#epoch[channel] as number;
  }

  /** The past numbering; 0 while there is none. */
  epoch(channel: number): number {
    return this.#epoch[channel] as number;
  }

  /** From the packet with its highest number to packet `d`. */
  #ticks(channel: number, d: number): number {
    const newest = this.#wireTimestamp[channel] as number;
    return this.#timestamps.distance(channel, newest, this.#packets.wireTimestamp[d] as number);
  }
}
