import type { ReceptionCounts } from '../core/events.js';
import { LIMITS } from '../core/limits.js';
import { US_PER_SECOND } from '../core/units.js';
import type { PacketRing } from './packet-ring.js';

/** RFC 3550 A.1: a step forward of this many numbers or more is no mere gap. */
export const MAX_DROPOUT = 3000;
/** RFC 3550 A.1: a step back of this many numbers or more is no mere misorder. */
export const MAX_MISORDER = 100;
/** How many numbers back the history of a lane tells a late packet from a duplicate. A power of two. */
export const HISTORY_PACKETS = 2048;
/** The longest packet that any codec makes (RFC 6716: 120 ms); what is longer is a pause between packets. */
export const MAX_PACKET_SECONDS = 0.12;

/** What a packet is to its lane, by its number. */
export const VERDICT = {
  /** Higher than all before it. */
  AHEAD: 0,
  /** Lower than the highest, and not seen before. */
  BEHIND: 1,
  DUPLICATE: 2,
  /** Out of all order: a restart if the next packet confirms it, else nothing. */
  STRANGE: 3,
  /** The numbering begins here, without need of a confirmation. */
  BEGIN: 4,
} as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

const PHASE = { NEW: 0, RUNNING: 1, RESUMING: 2 } as const;

const HISTORY_WORDS = HISTORY_PACKETS / 32;

/**
 * Reception statistics of every lane: validity of sequence numbers and restarts (RFC 3550 A.1), loss (A.3),
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
  /** One bit a number, HISTORY_PACKETS a lane: received, of the numbers up to the highest. */
  readonly #history: Int32Array;

  /** Packets are given to the methods by their place in `packets`, numbers and timestamps unwrapped. */
  constructor(lanes: number, packets: PacketRing) {
    this.#packets = packets;
    this.#phase = new Uint8Array(lanes);
    this.#clockRate = new Float64Array(lanes);
    this.#usPerTick = new Float64Array(lanes);
    this.#highest = new Float64Array(lanes);
    this.#lowest = new Float64Array(lanes);
    this.#highestTimestamp = new Float64Array(lanes);
    this.#packetTicks = new Float64Array(lanes);
    this.#transitUs = new Float64Array(lanes);
    this.#lastArrivalUs = new Float64Array(lanes);
    this.#jitterUs = new Float64Array(lanes);
    this.#duePast = new Float64Array(lanes);
    this.#received = new Float64Array(lanes);
    this.#bytes = new Float64Array(lanes);
    this.#late = new Float64Array(lanes);
    this.#duplicate = new Float64Array(lanes);
    this.#reordered = new Float64Array(lanes);
    this.#dropped = new Float64Array(lanes);
    this.#refused = new Float64Array(lanes);
    this.#history = new Int32Array(lanes * HISTORY_WORDS);
  }

  /** @param clockRate RTP timestamp units a second. */
  open(lane: number, clockRate: number): void {
    this.#phase[lane] = PHASE.NEW;
    this.#clockRate[lane] = clockRate;
    this.#usPerTick[lane] = US_PER_SECOND / clockRate;
    this.#packetTicks[lane] = 0;
    this.#jitterUs[lane] = 0;
    this.#duePast[lane] = 0;
    this.#received[lane] = 0;
    this.#bytes[lane] = 0;
    this.#late[lane] = 0;
    this.#duplicate[lane] = 0;
    this.#reordered[lane] = 0;
    this.#dropped[lane] = 0;
    this.#refused[lane] = 0;
  }

  /** The connection broke: what comes next goes on, is sent once more, or begins anew at once, without probation. */
  interrupted(lane: number): void {
    if (this.#phase[lane] === PHASE.RUNNING) this.#phase[lane] = PHASE.RESUMING;
  }

  /** What a packet is; counts nothing. */
  judge(lane: number, d: number): Verdict {
    const sequence = this.#packets.sequence[d] as number;
    const ahead = sequence - (this.#highest[lane] as number);
    if (this.#phase[lane] === PHASE.NEW) return VERDICT.BEGIN;
    if (this.#phase[lane] === PHASE.RESUMING) {
      if (this.#goesOn(lane, d, true)) return VERDICT.AHEAD;
      // A server that has the connection back may send once more what it had sent last.
      const isAgain = -ahead < HISTORY_PACKETS && sequence >= (this.#lowest[lane] as number) && this.fits(lane, d);
      if (!isAgain) return VERDICT.BEGIN;
      return this.#seen(lane, sequence) ? VERDICT.DUPLICATE : VERDICT.BEHIND;
    }
    if (ahead > 0) {
      if (ahead < MAX_DROPOUT || this.#goesOn(lane, d, false)) return VERDICT.AHEAD;
      return VERDICT.STRANGE;
    }
    if (-ahead >= HISTORY_PACKETS || !this.fits(lane, d)) return VERDICT.STRANGE;
    const seen = this.#seen(lane, sequence);
    if (-ahead < MAX_MISORDER) return seen ? VERDICT.DUPLICATE : VERDICT.BEHIND;
    // Farther back only what is known to be missing is late. All else is a copy, or a sender that has begun again, and
    // perhaps at the same numbers and timestamps as before.
    return seen || sequence < (this.#lowest[lane] as number) ? VERDICT.STRANGE : VERDICT.BEHIND;
  }

  /** Whether a number behind the highest has a timestamp that it could have had in this epoch, pauses allowed for. */
  fits(lane: number, d: number): boolean {
    const back = (this.#highest[lane] as number) - (this.#packets.sequence[d] as number);
    const ticksBack = (this.#highestTimestamp[lane] as number) - (this.#packets.timestamp[d] as number);
    const rate = this.#clockRate[lane] as number;
    return back >= 0 && ticksBack >= 0 && ticksBack <= rate * (back * MAX_PACKET_SECONDS + LIMITS.maxGapSeconds);
  }

  /** Counts the first packet of an epoch. */
  begin(lane: number, d: number): void {
    const sequence = this.#packets.sequence[d] as number;
    const timestamp = this.#packets.timestamp[d] as number;
    if (this.#phase[lane] !== PHASE.NEW) {
      this.#duePast[lane] = (this.#duePast[lane] as number) + this.#dueNow(lane);
    }
    this.#phase[lane] = PHASE.RUNNING;
    this.#lowest[lane] = sequence;
    this.#highest[lane] = sequence;
    this.#highestTimestamp[lane] = timestamp;
    this.#transitUs[lane] = Number.NaN;
    this.#history.fill(0, lane * HISTORY_WORDS, (lane + 1) * HISTORY_WORDS);
    this.#mark(lane, sequence);
    this.#count(lane, d);
  }

  /** Counts a packet that was judged AHEAD. */
  ahead(lane: number, d: number): void {
    const sequence = this.#packets.sequence[d] as number;
    const timestamp = this.#packets.timestamp[d] as number;
    const highest = this.#highest[lane] as number;
    if (sequence === highest + 1) {
      const ticks = timestamp - (this.#highestTimestamp[lane] as number);
      if (ticks > 0 && ticks <= (this.#clockRate[lane] as number) * MAX_PACKET_SECONDS) this.#packetTicks[lane] = ticks;
    } else {
      this.#forget(lane, highest + 1, sequence);
    }
    if (this.#phase[lane] === PHASE.RESUMING) {
      this.#phase[lane] = PHASE.RUNNING;
      this.#transitUs[lane] = Number.NaN;
    }
    this.#highest[lane] = sequence;
    this.#highestTimestamp[lane] = timestamp;
    this.#mark(lane, sequence);
    this.#count(lane, d);
  }

  /** Counts a packet that was judged BEHIND. */
  behind(lane: number, d: number): void {
    const sequence = this.#packets.sequence[d] as number;
    // One that comes before the first: the epoch began earlier than it seemed.
    if (sequence < (this.#lowest[lane] as number)) this.#lowest[lane] = sequence;
    this.#reordered[lane] = (this.#reordered[lane] as number) + 1;
    this.#mark(lane, sequence);
    this.#count(lane, d);
  }

  duplicate(lane: number): void {
    this.#duplicate[lane] = (this.#duplicate[lane] as number) + 1;
  }

  /** A packet that was counted as received came after its place had been given up. */
  late(lane: number): void {
    this.#late[lane] = (this.#late[lane] as number) + 1;
  }

  dropped(lane: number): void {
    this.#dropped[lane] = (this.#dropped[lane] as number) + 1;
  }

  /**
   * Counts a packet on trial that there was no room for: received and dropped, like any other, and due in a numbering
   * of its own, for want of one that it is known to belong to.
   */
  refused(lane: number, d: number): void {
    this.#refused[lane] = (this.#refused[lane] as number) + 1;
    this.#bytes[lane] = (this.#bytes[lane] as number) + (this.#packets.payloadLength[d] as number);
    this.dropped(lane);
  }

  /** Packets that have found their place in a numbering. */
  received(lane: number): number {
    return this.#received[lane] as number;
  }

  /** Adds the lane's counts up, as core/counts.ts does: of thousands of lanes without an object for each. */
  addCounts(lane: number, sum: ReceptionCounts): void {
    const received = this.#received[lane] as number;
    const due = (this.#duePast[lane] as number) + (this.#phase[lane] === PHASE.NEW ? 0 : this.#dueNow(lane));
    sum.packetsReceived += received + (this.#refused[lane] as number);
    sum.bytesReceived += this.#bytes[lane] as number;
    sum.packetsLost += due - received;
    sum.packetsLate += this.#late[lane] as number;
    sum.packetsDuplicate += this.#duplicate[lane] as number;
    sum.packetsReordered += this.#reordered[lane] as number;
    sum.packetsDropped += this.#dropped[lane] as number;
    sum.jitterUs = Math.max(sum.jitterUs, this.#jitterUs[lane] as number);
  }

  #dueNow(lane: number): number {
    return (this.#highest[lane] as number) - (this.#lowest[lane] as number) + 1;
  }

  /**
   * Whether a jump forward is the same numbering after an outage: the timestamp has gone on for as long as nothing
   * was heard and leaves room for the packets between. After an interruption the source may also have stood still
   * meanwhile; then timestamp and number must have gone on alike.
   */
  #goesOn(lane: number, d: number, resuming: boolean): boolean {
    const ahead = (this.#packets.sequence[d] as number) - (this.#highest[lane] as number);
    const ticks = (this.#packets.timestamp[d] as number) - (this.#highestTimestamp[lane] as number);
    const rate = this.#clockRate[lane] as number;
    const packetTicks = this.#packetTicks[lane] as number;
    if (ahead <= 0 || ticks <= 0 || ticks < (ahead * packetTicks) / 4) return false;
    const elapsedUs = (this.#packets.arrivalUs[d] as number) - (this.#lastArrivalUs[lane] as number);
    const elapsedTicks = elapsedUs / (this.#usPerTick[lane] as number);
    if (Math.abs(ticks - elapsedTicks) <= Math.max(rate, elapsedTicks / 4)) return true;
    return resuming && ahead < MAX_DROPOUT && ticks <= ahead * rate * MAX_PACKET_SECONDS;
  }

  // RFC 3550 A.8 over every packet received, in the order of arrival. A step beyond the longest hole is a sender
  // that has set its clock; it is no jitter.
  #count(lane: number, d: number): void {
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    this.#received[lane] = (this.#received[lane] as number) + 1;
    this.#bytes[lane] = (this.#bytes[lane] as number) + (this.#packets.payloadLength[d] as number);
    this.#lastArrivalUs[lane] = arrivalUs;
    const transitUs = arrivalUs - (this.#packets.timestamp[d] as number) * (this.#usPerTick[lane] as number);
    const stepUs = Math.abs(transitUs - (this.#transitUs[lane] as number));
    this.#transitUs[lane] = transitUs;
    if (stepUs <= LIMITS.maxGapSeconds * US_PER_SECOND) {
      const jitterUs = this.#jitterUs[lane] as number;
      this.#jitterUs[lane] = jitterUs + (stepUs - jitterUs) / 16;
    }
  }

  // Bitwise operators take a double modulo 2^32, so that the low bits are right for any unwrapped number, negative
  // ones included.
  #seen(lane: number, sequence: number): boolean {
    const bit = sequence & (HISTORY_PACKETS - 1);
    return ((this.#history[lane * HISTORY_WORDS + (bit >> 5)] as number) & (1 << (bit & 31))) !== 0;
  }

  #mark(lane: number, sequence: number): void {
    const bit = sequence & (HISTORY_PACKETS - 1);
    const word = lane * HISTORY_WORDS + (bit >> 5);
    // The places of a history are used again every HISTORY_PACKETS numbers; forget() has cleared what was passed over.
    this.#history[word] = (this.#history[word] as number) | (1 << (bit & 31));
  }

  /** Clears the numbers from `from` up to, not including, `to`. */
  #forget(lane: number, from: number, to: number): void {
    if (to - from >= HISTORY_PACKETS) {
      this.#history.fill(0, lane * HISTORY_WORDS, (lane + 1) * HISTORY_WORDS);
      return;
    }
    for (let sequence = from; sequence < to; sequence++) {
      const bit = sequence & (HISTORY_PACKETS - 1);
      const word = lane * HISTORY_WORDS + (bit >> 5);
      this.#history[word] = (this.#history[word] as number) & ~(1 << (bit & 31));
    }
  }
}
