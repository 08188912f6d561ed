import type { ReceptionCounts } from '../core/events.js';
import { LIMITS } from '../core/limits.js';
import { US_PER_SECOND } from '../core/units.js';
import type { PacketRing } from './packet-ring.js';

/** RFC 3550 A.1: a step forward of this many numbers or more is no mere gap. */
export const MAX_DROPOUT = 3000;
/** RFC 3550 A.1: a step back of this many numbers or more is no mere misorder. */
export const MAX_MISORDER = 100;
/** How many numbers back the history of a channel tells a late packet from a duplicate. A power of two. */
export const HISTORY_PACKETS = 2048;
/** The longest packet that any codec makes (RFC 6716: 120 ms); what is longer is a pause between packets. */
export const MAX_PACKET_SECONDS = 0.12;

/** What a packet is to its channel, by its number. */
export const SEQUENCE_CLASS = {
  /** Higher than all before it. */
  AHEAD: 0,
  /** Lower than the highest, and not seen before. */
  BEHIND: 1,
  DUPLICATE: 2,
  /** Out of all order: a restart if the next packet confirms it, else nothing. */
  OUT_OF_RANGE: 3,
  /** The numbering begins here, without need of a confirmation. */
  FIRST: 4,
} as const;
export type SequenceClass = (typeof SEQUENCE_CLASS)[keyof typeof SEQUENCE_CLASS];

const PHASE = { NEW: 0, RUNNING: 1, RESUMING: 2 } as const;

const HISTORY_WORDS = HISTORY_PACKETS / 32;

/**
 * Reception statistics of every channel: validity of sequence numbers and restarts (RFC 3550 A.1), loss (A.3),
 * interarrival jitter (A.8), all over unwrapped numbers.
 *
 * An *epoch* is a run of one numbering; a sender that restarts begins another. What is due is, of each epoch, every
 * number from the lowest to the highest received. Each is counted as received once, however late it comes, so that
 * lost = due − received is at any moment what never arrived.
 *
 * Beyond A.1, timestamps bear witness: a number far back, but missing in the history and with a timestamp that fits,
 * is a very late packet and no restart; a number just behind with a timestamp that does not fit is no duplicate.
 * A packet whose number can be neither placed nor confirmed as a restart counts as a duplicate, the one reading that
 * leaves received + lost = due: that includes a packet later than the history reaches.
 */
export class Reception {
  readonly #packets: PacketRing;
  readonly #phase: Uint8Array;
  readonly #clockRate: Float64Array;
  readonly #usPerTick: Float64Array;
  readonly #highest: Float64Array;
  readonly #lowest: Float64Array;
  /** Of the packet with the highest number. */
  readonly #highestTimestamp: Float64Array;
  /** Ticks between the two latest packets with consecutive numbers; 0 while unknown. */
  readonly #packetTicks: Float64Array;
  /** Arrival less timestamp, in microseconds; NaN when the next packet has none to be compared with. */
  readonly #transitUs: Float64Array;
  readonly #lastArrivalUs: Float64Array;
  readonly #jitterUs: Float64Array;
  /** Due in the epochs before this one. */
  readonly #duePast: Float64Array;
  readonly #received: Float64Array;
  readonly #bytes: Float64Array;
  readonly #late: Float64Array;
  readonly #duplicate: Float64Array;
  readonly #reordered: Float64Array;
  readonly #dropped: Float64Array;
  /** Of those dropped, the ones of no known numbering: each was due and received by itself. */
  readonly #refused: Float64Array;
  /** One bit a number, HISTORY_PACKETS a channel: received, of the numbers up to the highest. */
  readonly #history: Int32Array;

  /** Packets are given to the methods by their place in `packets`, numbers and timestamps unwrapped. */
  constructor(channels: number, packets: PacketRing) {
    this.#packets = packets;
    this.#phase = new Uint8Array(channels);
    this.#clockRate = new Float64Array(channels);
    this.#usPerTick = new Float64Array(channels);
    this.#highest = new Float64Array(channels);
    this.#lowest = new Float64Array(channels);
    this.#highestTimestamp = new Float64Array(channels);
    this.#packetTicks = new Float64Array(channels);
    this.#transitUs = new Float64Array(channels);
    this.#lastArrivalUs = new Float64Array(channels);
    this.#jitterUs = new Float64Array(channels);
    this.#duePast = new Float64Array(channels);
    this.#received = new Float64Array(channels);
    this.#bytes = new Float64Array(channels);
    this.#late = new Float64Array(channels);
    this.#duplicate = new Float64Array(channels);
    this.#reordered = new Float64Array(channels);
    this.#dropped = new Float64Array(channels);
    this.#refused = new Float64Array(channels);
    this.#history = new Int32Array(channels * HISTORY_WORDS);
  }

  /** @param clockRate RTP timestamp units a second. */
  open(channel: number, clockRate: number): void {
    this.#phase[channel] = PHASE.NEW;
    this.#clockRate[channel] = clockRate;
    this.#usPerTick[channel] = US_PER_SECOND / clockRate;
    this.#packetTicks[channel] = 0;
    this.#jitterUs[channel] = 0;
    this.#duePast[channel] = 0;
    this.#received[channel] = 0;
    this.#bytes[channel] = 0;
    this.#late[channel] = 0;
    this.#duplicate[channel] = 0;
    this.#reordered[channel] = 0;
    this.#dropped[channel] = 0;
    this.#refused[channel] = 0;
  }

  /** The connection broke: what comes next goes on, is sent once more, or begins anew at once, without probation. */
  interrupted(channel: number): void {
    if (this.#phase[channel] === PHASE.RUNNING) this.#phase[channel] = PHASE.RESUMING;
  }

  /** What a packet is; counts nothing. */
  classify(channel: number, d: number): SequenceClass {
    const sequence = this.#packets.sequence[d] as number;
    const ahead = sequence - (this.#highest[channel] as number);
    if (this.#phase[channel] === PHASE.NEW) return SEQUENCE_CLASS.FIRST;
    if (this.#phase[channel] === PHASE.RESUMING) {
      if (this.#goesOn(channel, d, true)) return SEQUENCE_CLASS.AHEAD;
      // A server that has the connection back may send once more what it had sent last.
      const isAgain =
        -ahead < HISTORY_PACKETS && sequence >= (this.#lowest[channel] as number) && this.fits(channel, d);
      if (!isAgain) return SEQUENCE_CLASS.FIRST;
      return this.#seen(channel, sequence) ? SEQUENCE_CLASS.DUPLICATE : SEQUENCE_CLASS.BEHIND;
    }
    if (ahead > 0) {
      if (ahead < MAX_DROPOUT || this.#goesOn(channel, d, false)) return SEQUENCE_CLASS.AHEAD;
      return SEQUENCE_CLASS.OUT_OF_RANGE;
    }
    if (-ahead >= HISTORY_PACKETS || !this.fits(channel, d)) return SEQUENCE_CLASS.OUT_OF_RANGE;
    const seen = this.#seen(channel, sequence);
    if (-ahead < MAX_MISORDER) return seen ? SEQUENCE_CLASS.DUPLICATE : SEQUENCE_CLASS.BEHIND;
    // Farther back only what is known to be missing is late. All else is a copy, or a sender that has begun again, and
    // perhaps at the same numbers and timestamps as before.
    return seen || sequence < (this.#lowest[channel] as number) ? SEQUENCE_CLASS.OUT_OF_RANGE : SEQUENCE_CLASS.BEHIND;
  }

  /** Whether a number behind the highest has a timestamp that it could have had in this epoch, pauses allowed for. */
  fits(channel: number, d: number): boolean {
    const back = (this.#highest[channel] as number) - (this.#packets.sequence[d] as number);
    const ticksBack = (this.#highestTimestamp[channel] as number) - (this.#packets.timestamp[d] as number);
    const rate = this.#clockRate[channel] as number;
    return back >= 0 && ticksBack >= 0 && ticksBack <= rate * (back * MAX_PACKET_SECONDS + LIMITS.maxGapSeconds);
  }

  /** Counts the first packet of an epoch. */
  begin(channel: number, d: number): void {
    const sequence = this.#packets.sequence[d] as number;
    const timestamp = this.#packets.timestamp[d] as number;
    if (this.#phase[channel] !== PHASE.NEW) {
      this.#duePast[channel] = (this.#duePast[channel] as number) + this.#dueNow(channel);
    }
    this.#phase[channel] = PHASE.RUNNING;
    this.#lowest[channel] = sequence;
    this.#highest[channel] = sequence;
    this.#highestTimestamp[channel] = timestamp;
    this.#transitUs[channel] = Number.NaN;
    this.#history.fill(0, channel * HISTORY_WORDS, (channel + 1) * HISTORY_WORDS);
    this.#mark(channel, sequence);
    this.#count(channel, d);
  }

  /** Counts a packet that was judged AHEAD. */
  ahead(channel: number, d: number): void {
    const sequence = this.#packets.sequence[d] as number;
    const timestamp = this.#packets.timestamp[d] as number;
    const highest = this.#highest[channel] as number;
    if (sequence === highest + 1) {
      const ticks = timestamp - (this.#highestTimestamp[channel] as number);
      if (ticks > 0 && ticks <= (this.#clockRate[channel] as number) * MAX_PACKET_SECONDS)
        this.#packetTicks[channel] = ticks;
    } else {
      this.#forget(channel, highest + 1, sequence);
    }
    if (this.#phase[channel] === PHASE.RESUMING) {
      this.#phase[channel] = PHASE.RUNNING;
      this.#transitUs[channel] = Number.NaN;
    }
    this.#highest[channel] = sequence;
    this.#highestTimestamp[channel] = timestamp;
    this.#mark(channel, sequence);
    this.#count(channel, d);
  }

  /** Counts a packet that was judged BEHIND. */
  behind(channel: number, d: number): void {
    const sequence = this.#packets.sequence[d] as number;
    // One that comes before the first: the epoch began earlier than it seemed.
    if (sequence < (this.#lowest[channel] as number)) this.#lowest[channel] = sequence;
    this.#reordered[channel] = (this.#reordered[channel] as number) + 1;
    this.#mark(channel, sequence);
    this.#count(channel, d);
  }

  duplicate(channel: number): void {
    this.#duplicate[channel] = (this.#duplicate[channel] as number) + 1;
  }

  /** A packet that was counted as received came after its place had been given up. */
  late(channel: number): void {
    this.#late[channel] = (this.#late[channel] as number) + 1;
  }

  dropped(channel: number): void {
    this.#dropped[channel] = (this.#dropped[channel] as number) + 1;
  }

  /**
   * Counts a packet on trial that there was no room for: received and dropped, like any other, and due in a numbering
   * of its own, for want of one that it is known to belong to.
   */
  refused(channel: number, d: number): void {
    this.#refused[channel] = (this.#refused[channel] as number) + 1;
    this.#bytes[channel] = (this.#bytes[channel] as number) + (this.#packets.payloadLength[d] as number);
    this.dropped(channel);
  }

  /** Packets that have found their place in a numbering. */
  received(channel: number): number {
    return this.#received[channel] as number;
  }

  /** Adds the channel's counts up, as core/counts.ts does: of thousands of channels without an object for each. */
  addCounts(channel: number, sum: ReceptionCounts): void {
    const received = this.#received[channel] as number;
    const due = (this.#duePast[channel] as number) + (this.#phase[channel] === PHASE.NEW ? 0 : this.#dueNow(channel));
    sum.packetsReceived += received + (this.#refused[channel] as number);
    sum.bytesReceived += this.#bytes[channel] as number;
    sum.packetsLost += due - received;
    sum.packetsLate += this.#late[channel] as number;
    sum.packetsDuplicate += this.#duplicate[channel] as number;
    sum.packetsReordered += this.#reordered[channel] as number;
    sum.packetsDropped += this.#dropped[channel] as number;
    sum.jitterUs = Math.max(sum.jitterUs, this.#jitterUs[channel] as number);
  }

  #dueNow(channel: number): number {
    return (this.#highest[channel] as number) - (this.#lowest[channel] as number) + 1;
  }

  /**
   * Whether a jump forward is the same numbering after an outage: the timestamp has gone on for as long as nothing
   * was heard and leaves room for the packets between. After an interruption the source may also have stood still
   * meanwhile; then timestamp and number must have gone on alike.
   */
  #goesOn(channel: number, d: number, resuming: boolean): boolean {
    const ahead = (this.#packets.sequence[d] as number) - (this.#highest[channel] as number);
    const ticks = (this.#packets.timestamp[d] as number) - (this.#highestTimestamp[channel] as number);
    const rate = this.#clockRate[channel] as number;
    const packetTicks = this.#packetTicks[channel] as number;
    if (ahead <= 0 || ticks <= 0 || ticks < (ahead * packetTicks) / 4) return false;
    const elapsedUs = (this.#packets.arrivalUs[d] as number) - (this.#lastArrivalUs[channel] as number);
    const elapsedTicks = elapsedUs / (this.#usPerTick[channel] as number);
    if (Math.abs(ticks - elapsedTicks) <= Math.max(rate, elapsedTicks / 4)) return true;
    return resuming && ahead < MAX_DROPOUT && ticks <= ahead * rate * MAX_PACKET_SECONDS;
  }

  // RFC 3550 A.8 over every packet received, in the order of arrival. A step beyond the longest hole is a sender
  // that has set its clock; it is no jitter.
  #count(channel: number, d: number): void {
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    this.#received[channel] = (this.#received[channel] as number) + 1;
    this.#bytes[channel] = (this.#bytes[channel] as number) + (this.#packets.payloadLength[d] as number);
    this.#lastArrivalUs[channel] = arrivalUs;
    const transitUs = arrivalUs - (this.#packets.timestamp[d] as number) * (this.#usPerTick[channel] as number);
    const stepUs = Math.abs(transitUs - (this.#transitUs[channel] as number));
    this.#transitUs[channel] = transitUs;
    if (stepUs <= LIMITS.maxGapSeconds * US_PER_SECOND) {
      const jitterUs = this.#jitterUs[channel] as number;
      this.#jitterUs[channel] = jitterUs + (stepUs - jitterUs) / 16;
    }
  }

  // Bitwise operators take a double modulo 2^32, so that the low bits are right for any unwrapped number, negative
  // ones included.
  #seen(channel: number, sequence: number): boolean {
    const bit = sequence & (HISTORY_PACKETS - 1);
    return ((this.#history[channel * HISTORY_WORDS + (bit >> 5)] as number) & (1 << (bit & 31))) !== 0;
  }

  #mark(channel: number, sequence: number): void {
    const bit = sequence & (HISTORY_PACKETS - 1);
    const word = channel * HISTORY_WORDS + (bit >> 5);
    // The places of a history are used again every HISTORY_PACKETS numbers; forget() has cleared what was passed over.
    this.#history[word] = (this.#history[word] as number) | (1 << (bit & 31));
  }

  /** Clears the numbers from `from` up to, not including, `to`. */
  #forget(channel: number, from: number, to: number): void {
    if (to - from >= HISTORY_PACKETS) {
      this.#history.fill(0, channel * HISTORY_WORDS, (channel + 1) * HISTORY_WORDS);
      return;
    }
    for (let sequence = from; sequence < to; sequence++) {
      const bit = sequence & (HISTORY_PACKETS - 1);
      const word = channel * HISTORY_WORDS + (bit >> 5);
      this.#history[word] = (this.#history[word] as number) & ~(1 << (bit & 31));
    }
  }
}
