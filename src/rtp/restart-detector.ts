import type { PacketRing } from './packet-ring.js';
import { MAX_MISORDER, type Reception } from './reception.js';
import type { Unwrapper } from './unwrapper.js';

/** More candidates than this around one number are a restart, even if no two of them are consecutive. */
const MAX_CANDIDATES = 8;
/** So many packets of one numbering between those of another are a second numbering. */
const MIN_FOREIGN = 3;
/** Epoch of a packet that is a candidate for a restart. */
export const CANDIDATE = -1;

/** A second numbering that runs at the same time is taken for the sender's when the first has been silent for this long. */
const SILENT_US = 500_000;
/** The timestamp of the next packet of a numbering is at most this far ahead of its last one. */
const MAX_PAUSE_SECONDS = 10;

const NONE = -1;

/** What a packet whose number is out of range means for the candidates of its channel. */
export const CLASSIFICATION = {
  /** It is another candidate, to be added. */
  WAIT: 0,
  /** It is a copy of a candidate. */
  DUPLICATE: 1,
  /** Together with it, the candidates are a restart. */
  CONFIRMED: 2,
  /** As WAIT, but the earlier candidates are settled first. */
  REPLACE: 3,
  /** It belongs to a second numbering that runs at the same time, as do the candidates, if any. */
  FOREIGN: 4,
  /** It continues the numbering that was abandoned for a restart: that was no restart. */
  RETURN: 5,
} as const;
export type Classification = (typeof CLASSIFICATION)[keyof typeof CLASSIFICATION];

/**
 * Detects restarts of the sender (RFC 3550 A.1). One packet whose number is out of range decides nothing: it is kept as
 * a candidate. When another one arrives with the number before or after it, the candidates are the beginning of a new
 * numbering, and none of them is lost. They lie in the packet ring, linked in the order of arrival.
 *
 * Worked example: 1000, 1001, then 40000: a candidate. If 40001 follows, both begin a new epoch. If 1002 follows and
 * nothing near 40000, the candidate is removed after CANDIDATE_TIMEOUT_US and counted as a duplicate.
 *
 * A sender that has restarted does not go on with its old numbers. Two senders on one channel do: 1000, 40000, 1001,
 * 40001, 1002, 40002. The third candidate shows that its numbering is a second one. Its packets are counted as foreign
 * and not used while the first numbering continues. If two packets of the second one come in a row, it is taken for a
 * restart at first; the third packet of the first numbering since then, which has been received for longer, takes that back.
 */
export class RestartDetector {
  readonly #packets: PacketRing;
  readonly #sequences: Unwrapper;
  readonly #timestamps: Unwrapper;
  readonly #reception: Reception;
  readonly #maxPauseTicks: Float64Array;
  readonly #first: Int32Array;
  /** 1: number and timestamp of the candidates look like copies of packets released long ago. */
  readonly #copies: Uint8Array;
  /** Packets received when the first and when the last candidate arrived: if there are more now, the old numbering continues. */
  readonly #receivedAtFirst: Float64Array;
  readonly #receivedAtLast: Float64Array;
  /** Packets received before the current numbering began. */
  readonly #receivedBefore: Float64Array;
  /** The other numbering of the channel, abandoned or foreign: last number and timestamp on the wire, and packets received. */
  readonly #otherSequence: Float64Array;
  readonly #otherTimestamp: Float64Array;
  readonly #otherReceived: Float64Array;
  /** Packets of the other numbering since it is the other one. */
  readonly #otherSince: Int32Array;

  constructor(
    channels: number,
    packets: PacketRing,
    sequences: Unwrapper,
    timestamps: Unwrapper,
    reception: Reception,
  ) {
    this.#packets = packets;
    this.#sequences = sequences;
    this.#timestamps = timestamps;
    this.#reception = reception;
    this.#maxPauseTicks = new Float64Array(channels);
    this.#first = new Int32Array(channels).fill(NONE);
    this.#copies = new Uint8Array(channels);
    this.#receivedAtFirst = new Float64Array(channels);
    this.#receivedAtLast = new Float64Array(channels);
    this.#receivedBefore = new Float64Array(channels);
    this.#otherSequence = new Float64Array(channels).fill(Number.NaN);
    this.#otherTimestamp = new Float64Array(channels);
    this.#otherReceived = new Float64Array(channels);
    this.#otherSince = new Int32Array(channels);
  }

  /** @param clockRate RTP timestamp units a second. */
  open(channel: number, clockRate: number): void {
    this.#maxPauseTicks[channel] = clockRate * MAX_PAUSE_SECONDS;
    this.#receivedBefore[channel] = 0;
    this.#otherSequence[channel] = Number.NaN;
  }

  /** The channel's first candidate, or −1. */
  first(channel: number): number {
    return this.#first[channel] as number;
  }

  /** Compares a packet with the channel's other numbering and its candidates. */
  classify(channel: number, d: number): Classification {
    const packets = this.#packets;
    const sequence = packets.wireSequence[d] as number;
    const silentUs = (packets.arrivalUs[d] as number) - this.#reception.lastArrivalUs(channel);
    if (silentUs < SILENT_US && this.#isOther(channel, d)) return this.#classifyOther(channel, d);
    const first = this.#first[channel] as number;
    if (first === NONE) return CLASSIFICATION.WAIT;
    // Copies that arrive between the packets of a numbering that continues confirm nothing.
    if (this.#copies[channel] === 1 && this.#continues(channel)) return CLASSIFICATION.REPLACE;
    const away = this.#sequences.distance(channel, packets.wireSequence[first] as number, sequence);
    if (Math.abs(away) >= MAX_MISORDER) return CLASSIFICATION.REPLACE;
    let candidates = 1;
    let isNeighbour = false;
    for (let c = first; c !== NONE; c = packets.next[c] as number) {
      const step = this.#sequences.distance(channel, packets.wireSequence[c] as number, sequence);
      if (step === 0) return CLASSIFICATION.DUPLICATE;
      if (Math.abs(step) === 1) isNeighbour = true;
      candidates++;
    }
    if (!isNeighbour && candidates <= MAX_CANDIDATES) return CLASSIFICATION.WAIT;
    if (this.#reception.received(channel) === this.#receivedAtLast[channel]) return CLASSIFICATION.CONFIRMED;
    if (candidates < MIN_FOREIGN) return CLASSIFICATION.WAIT;
    this.#rememberOther(channel, sequence, packets.wireTimestamp[d] as number, 0);
    return CLASSIFICATION.FOREIGN;
  }

  /** Adds a packet, which the ring keeps already, to the channel's candidates. */
  add(channel: number, d: number): void {
    const packets = this.#packets;
    const received = this.#reception.received(channel);
    packets.epoch[d] = CANDIDATE;
    packets.next[d] = NONE;
    this.#receivedAtLast[channel] = received;
    let last = this.#first[channel] as number;
    if (last === NONE) {
      this.#first[channel] = d;
      this.#receivedAtFirst[channel] = received;
      this.#copies[channel] = this.#reception.fits(channel, d) ? 1 : 0;
      return;
    }
    while (packets.next[last] !== NONE) last = packets.next[last] as number;
    packets.next[last] = d;
  }

  /**
   * Whether unconfirmed candidates are taken for a restart: nothing has arrived in the old numbering since, and they are
   * not copies. The alternative would be to lose the first words after a pause.
   */
  isCredible(channel: number): boolean {
    return this.#copies[channel] === 0 && !this.#continues(channel);
  }

  /** Whether number and timestamp of the candidates look like copies of packets released long ago. */
  areCopies(channel: number): boolean {
    return this.#copies[channel] === 1;
  }

  /** Removes all candidates; returns the first, which links to the others. */
  clear(channel: number): number {
    const first = this.#first[channel] as number;
    this.#first[channel] = NONE;
    return first;
  }

  /** A new numbering is about to begin: the current one is the other one from now on. */
  abandon(channel: number): void {
    const received = this.#reception.received(channel);
    const ofCurrent = received - (this.#receivedBefore[channel] as number);
    this.#rememberOther(channel, this.#sequences.newestWire(channel), this.#timestamps.newestWire(channel), ofCurrent);
    this.#receivedBefore[channel] = received;
  }

  /** The other numbering is the current one again. */
  return(channel: number): void {
    const ofOther = this.#otherReceived[channel] as number;
    this.abandon(channel);
    this.#receivedBefore[channel] = this.#reception.received(channel) - ofOther;
  }

  #classifyOther(channel: number, d: number): Classification {
    const ofCurrent = this.#reception.received(channel) - (this.#receivedBefore[channel] as number);
    const since = (this.#otherSince[channel] as number) + 1;
    this.#otherSince[channel] = since;
    // A packet or two may just have been on their way when the sender restarted.
    if (since >= MIN_FOREIGN && (this.#otherReceived[channel] as number) >= ofCurrent) return CLASSIFICATION.RETURN;
    this.#otherSequence[channel] = this.#packets.wireSequence[d] as number;
    this.#otherTimestamp[channel] = this.#packets.wireTimestamp[d] as number;
    return CLASSIFICATION.FOREIGN;
  }

  /** Whether number and timestamp of a packet continue the channel's other numbering. */
  #isOther(channel: number, d: number): boolean {
    const other = this.#otherSequence[channel] as number;
    if (Number.isNaN(other)) return false;
    const step = this.#sequences.distance(channel, other, this.#packets.wireSequence[d] as number);
    if (step <= 0 || step >= MAX_MISORDER) return false;
    const wire = this.#packets.wireTimestamp[d] as number;
    const ticks = this.#timestamps.distance(channel, this.#otherTimestamp[channel] as number, wire);
    return ticks > 0 && ticks <= (this.#maxPauseTicks[channel] as number);
  }

  #rememberOther(channel: number, sequence: number, timestamp: number, received: number): void {
    this.#otherSequence[channel] = sequence;
    this.#otherTimestamp[channel] = timestamp;
    this.#otherReceived[channel] = received;
    this.#otherSince[channel] = 0;
  }

  #continues(channel: number): boolean {
    return this.#reception.received(channel) !== this.#receivedAtFirst[channel];
  }
}
