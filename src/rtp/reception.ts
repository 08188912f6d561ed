import type { ReceptionCounts } from '../core/events.js';
import { LIMITS } from '../core/limits.js';
import { US_PER_SECOND } from '../core/units.js';
import { HISTORY_PACKETS, NumberHistory } from './late/number-history.js';
import type { PacketRing } from './packet-ring.js';
import type { StandstillDetector } from './standstill-detector.js';

/** RFC 3550 A.1: a step forward by this many numbers or more is not ordinary loss. */
export const MAX_DROPOUT = 3000;
/** RFC 3550 A.1: a step back by this many numbers or more is not ordinary reordering. */
export const MAX_MISORDER = 100;
/** The longest packet of any codec (RFC 6716: 120 ms); a longer step between packets is a pause. */
export const MAX_PACKET_SECONDS = 0.12;
/** Timestamps may go back by this much through jitter in the sender; by more, its clock was set. */
const MAX_SLIP_SECONDS = 0.5;

/** The shortest packet of any codec (RFC 6716: 2.5 ms): lost packets need at least as much time. */
const MIN_PACKET_SECONDS = 0.0025;

/** Duration of a packet in RTP ticks, by its payload; 0 when that does not say. */
export type PacketDuration = (channel: number, payloadOffset: number, payloadLength: number) => number;

/** How the number of a packet relates to the numbers of its channel so far. */
export const SEQUENCE_CLASS = {
  /** Higher than all before. */
  AHEAD: 0,
  /** Lower than the highest, and not seen before. */
  BEHIND: 1,
  DUPLICATE: 2,
  /** Too far away, or its timestamp contradicts it: a restart of the sender if the next packet confirms it. */
  OUT_OF_RANGE: 3,
  /** A numbering begins here; no confirmation needed. */
  FIRST: 4,
} as const;
export type SequenceClass = (typeof SEQUENCE_CLASS)[keyof typeof SEQUENCE_CLASS];

const PHASE = { NEW: 0, RUNNING: 1, RESUMING: 2 } as const;

/**
 * Reception statistics of every channel: validity of sequence numbers (RFC 3550 A.1), loss (A.3) and interarrival jitter
 * (A.8), all over unwrapped numbers.
 *
 * An *epoch* is a run of one numbering; a sender that restarts begins another. Due are, in each epoch, all numbers from
 * the lowest to the highest received. Each is counted as received once, however late it arrives, so that
 * lost = due − received is at any moment the number of packets that never arrived. Example: 100, 101, 104 received:
 * due 5, received 3, lost 2; when 102 arrives at last, lost 1.
 *
 * Beyond A.1, timestamps are checked as well. Lost packets need time: a step of the numbers by 701 during which the
 * timestamp advances by just the duration of one packet is no loss. The 700 numbers were never sent, and are not due; so
 * it is with two channels that share one numbering. A step for which the timestamp leaves too little time, or that is
 * ahead of the arrival, is a restart. A number far back, but missing in the history and with a timestamp that
 * fits, is a very late packet and not a restart; a number just behind with a timestamp that does not fit is not a
 * duplicate. A packet whose number can be neither placed nor confirmed as a restart counts as a duplicate, the one
 * reading that keeps received + lost = due: that includes a packet later than the history reaches.
 */
export class Reception {
  readonly #packets: PacketRing;
  readonly #phase: Uint8Array;
  readonly #standstills: StandstillDetector;
  readonly #durationOf: PacketDuration | undefined;
  readonly #clockRate: Float64Array;
  readonly #usPerTick: Float64Array;
  readonly #highest: Float64Array;
  readonly #lowest: Float64Array;
  /** Of the packet with the highest number. */
  readonly #highestTimestamp: Float64Array;
  readonly #highestLength: Float64Array;
  /** Ticks between the two latest packets with consecutive numbers; 0 while unknown. */
  readonly #packetTicks: Float64Array;
  /** Arrival less timestamp, in microseconds; NaN when the next packet must not be compared. */
  readonly #transitUs: Float64Array;
  readonly #lastArrivalUs: Float64Array;
  readonly #jitterUs: Float64Array;
  /** Of this epoch, the numbers that were never sent. */
  readonly #skipped: Float64Array;
  /** Due in the epochs before this one. */
  readonly #duePast: Float64Array;
  readonly #received: Float64Array;
  readonly #bytes: Float64Array;
  readonly #late: Float64Array;
  readonly #duplicate: Float64Array;
  readonly #foreign: Float64Array;
  readonly #reordered: Float64Array;
  readonly #dropped: Float64Array;
  /** Dropped packets that belong to no known numbering: each counts as due and received by itself. */
  readonly #refused: Float64Array;
  /** Of the numbers up to the highest: those received, and those never sent. */
  readonly history: NumberHistory;

  /** Packets are passed by their index in `packets`, with unwrapped numbers and timestamps. */
  constructor(channels: number, packets: PacketRing, standstills: StandstillDetector, durationOf?: PacketDuration) {
    this.#packets = packets;
    this.#standstills = standstills;
    this.#durationOf = durationOf;
    this.#phase = new Uint8Array(channels);
    this.#clockRate = new Float64Array(channels);
    this.#usPerTick = new Float64Array(channels);
    this.#highest = new Float64Array(channels);
    this.#lowest = new Float64Array(channels);
    this.#highestTimestamp = new Float64Array(channels);
    this.#highestLength = new Float64Array(channels);
    this.#packetTicks = new Float64Array(channels);
    this.#transitUs = new Float64Array(channels);
    this.#lastArrivalUs = new Float64Array(channels);
    this.#jitterUs = new Float64Array(channels);
    this.#skipped = new Float64Array(channels);
    this.#duePast = new Float64Array(channels);
    this.#received = new Float64Array(channels);
    this.#bytes = new Float64Array(channels);
    this.#late = new Float64Array(channels);
    this.#duplicate = new Float64Array(channels);
    this.#foreign = new Float64Array(channels);
    this.#reordered = new Float64Array(channels);
    this.#dropped = new Float64Array(channels);
    this.#refused = new Float64Array(channels);
    this.history = new NumberHistory(channels);
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
    this.#foreign[channel] = 0;
    this.#reordered[channel] = 0;
    this.#dropped[channel] = 0;
    this.#refused[channel] = 0;
  }

  /** The connection broke: the next packet continues, repeats, or restarts the numbering, without confirmation. */
  interrupted(channel: number): void {
    if (this.#phase[channel] === PHASE.RUNNING) this.#phase[channel] = PHASE.RESUMING;
  }

  /** Classifies a packet; counts nothing. */
  classify(channel: number, d: number): SequenceClass {
    const sequence = this.#packets.sequence[d] as number;
    const ahead = sequence - (this.#highest[channel] as number);
    if (this.#phase[channel] === PHASE.NEW) return SEQUENCE_CLASS.FIRST;
    if (this.#phase[channel] === PHASE.RESUMING) {
      if (this.#continues(channel, d, true)) return SEQUENCE_CLASS.AHEAD;
      // After a reconnect a server may repeat its last packets.
      const isAgain =
        -ahead < HISTORY_PACKETS && sequence >= (this.#lowest[channel] as number) && this.fits(channel, d);
      if (!isAgain) return SEQUENCE_CLASS.FIRST;
      return this.history.has(channel, sequence) ? SEQUENCE_CLASS.DUPLICATE : SEQUENCE_CLASS.BEHIND;
    }
    if (ahead > 0) {
      if (ahead === 1) return SEQUENCE_CLASS.AHEAD;
      const isLoss = ahead < MAX_DROPOUT ? this.#isLoss(channel, d, ahead) : this.#continues(channel, d, false);
      return isLoss ? SEQUENCE_CLASS.AHEAD : SEQUENCE_CLASS.OUT_OF_RANGE;
    }
    if (-ahead >= HISTORY_PACKETS || !this.fits(channel, d)) return SEQUENCE_CLASS.OUT_OF_RANGE;
    const seen = this.history.has(channel, sequence);
    if (-ahead < MAX_MISORDER) return seen ? SEQUENCE_CLASS.DUPLICATE : SEQUENCE_CLASS.BEHIND;
    // Farther back only a number known to be missing is late. Any other is a copy, or a sender that has restarted,
    // perhaps at the same numbers and timestamps as before.
    return seen || sequence < (this.#lowest[channel] as number) ? SEQUENCE_CLASS.OUT_OF_RANGE : SEQUENCE_CLASS.BEHIND;
  }

  /** Whether a number is higher than all before it in its epoch. */
  isNewest(channel: number, d: number): boolean {
    return (this.#packets.sequence[d] as number) > (this.#highest[channel] as number);
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
    this.#skipped[channel] = 0;
    this.#lowest[channel] = sequence;
    this.#highest[channel] = sequence;
    this.#highestTimestamp[channel] = timestamp;
    this.#highestLength[channel] = this.#packets.payloadLength[d] as number;
    this.#transitUs[channel] = Number.NaN;
    this.history.clear(channel);
    this.history.add(channel, sequence);
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
      this.history.remove(channel, highest + 1, sequence);
      if (sequence - highest < MAX_DROPOUT && this.#isSkip(channel, d)) this.#skip(channel, d, highest + 1, sequence);
    }
    if (this.#phase[channel] === PHASE.RESUMING) {
      this.#phase[channel] = PHASE.RUNNING;
      this.#transitUs[channel] = Number.NaN;
    }
    this.#highest[channel] = sequence;
    this.#highestTimestamp[channel] = timestamp;
    this.#highestLength[channel] = this.#packets.payloadLength[d] as number;
    this.history.add(channel, sequence);
    this.#count(channel, d);
  }

  /** Counts a packet that was judged BEHIND. */
  behind(channel: number, d: number): void {
    const sequence = this.#packets.sequence[d] as number;
    // Before the first one: the epoch began earlier than it seemed.
    if (sequence < (this.#lowest[channel] as number)) this.#lowest[channel] = sequence;
    this.#reordered[channel] = (this.#reordered[channel] as number) + 1;
    this.history.add(channel, sequence);
    this.#count(channel, d);
  }

  /** Counts a packet that was missing in the numbering before this one. */
  past(channel: number, d: number): void {
    this.#reordered[channel] = (this.#reordered[channel] as number) + 1;
    this.#received[channel] = (this.#received[channel] as number) + 1;
    this.#bytes[channel] = (this.#bytes[channel] as number) + (this.#packets.payloadLength[d] as number);
  }

  /** A packet of a second numbering that runs at the same time. */
  foreign(channel: number): void {
    this.#foreign[channel] = (this.#foreign[channel] as number) + 1;
  }

  duplicate(channel: number): void {
    this.#duplicate[channel] = (this.#duplicate[channel] as number) + 1;
  }

  /** A packet that was counted as received arrived after its place had been given up. */
  late(channel: number): void {
    this.#late[channel] = (this.#late[channel] as number) + 1;
  }

  dropped(channel: number): void {
    this.#dropped[channel] = (this.#dropped[channel] as number) + 1;
  }

  /**
   * Counts a candidate for which the ring had no capacity: received and dropped like any other, and due by itself,
   * since it is not known which numbering it belongs to.
   */
  refused(channel: number, d: number): void {
    this.#refused[channel] = (this.#refused[channel] as number) + 1;
    this.#bytes[channel] = (this.#bytes[channel] as number) + (this.#packets.payloadLength[d] as number);
    this.dropped(channel);
  }

  /** Arrival of the packet received last. */
  lastArrivalUs(channel: number): number {
    return this.#lastArrivalUs[channel] as number;
  }

  /** Number and timestamp of the packet with the highest number of this epoch; only after the first packet. */
  newestSequence(channel: number): number {
    return this.#highest[channel] as number;
  }

  /** The lowest number of this epoch. */
  lowestSequence(channel: number): number {
    return this.#lowest[channel] as number;
  }

  newestTimestamp(channel: number): number {
    return this.#highestTimestamp[channel] as number;
  }

  /** Packets that belong to a known numbering. */
  received(channel: number): number {
    return this.#received[channel] as number;
  }

  /** Adds the channel's counts to `sum`, without an object per channel. */
  addCounts(channel: number, sum: ReceptionCounts): void {
    const received = this.#received[channel] as number;
    const due = (this.#duePast[channel] as number) + (this.#phase[channel] === PHASE.NEW ? 0 : this.#dueNow(channel));
    sum.packetsReceived += received + (this.#refused[channel] as number);
    sum.bytesReceived += this.#bytes[channel] as number;
    sum.packetsLost += due - received;
    sum.packetsLate += this.#late[channel] as number;
    sum.packetsDuplicate += this.#duplicate[channel] as number;
    sum.packetsForeign += this.#foreign[channel] as number;
    sum.packetsReordered += this.#reordered[channel] as number;
    sum.packetsDropped += this.#dropped[channel] as number;
    sum.jitterUs = Math.max(sum.jitterUs, this.#jitterUs[channel] as number);
  }

  #dueNow(channel: number): number {
    const span = (this.#highest[channel] as number) - (this.#lowest[channel] as number) + 1;
    return span - (this.#skipped[channel] as number);
  }

  /** Whether a step forward by two to MAX_DROPOUT numbers is loss, or numbers that were never sent, and no restart. */
  #isLoss(channel: number, d: number, ahead: number): boolean {
    const ticks = (this.#packets.timestamp[d] as number) - (this.#highestTimestamp[channel] as number);
    const rate = this.#clockRate[channel] as number;
    if (this.#isSkip(channel, d)) return true;
    // Timestamps that stand still or slip tell nothing. A longer step needs their confirmation.
    if (ticks <= 0) return ahead < MAX_MISORDER && -ticks <= rate * MAX_SLIP_SECONDS;
    const leastTicks = ahead < MAX_MISORDER ? 0 : (this.#packetTicks[channel] as number) / 4;
    if (ticks < ahead * Math.max(leastTicks, rate * MIN_PACKET_SECONDS)) return false;
    return !this.#standstills.isAheadOfTime(channel, d);
  }

  /** Whether packet `d` follows the newest one without time in between: the numbers between were never sent. */
  #isSkip(channel: number, d: number): boolean {
    const ticks = (this.#packets.timestamp[d] as number) - (this.#highestTimestamp[channel] as number);
    if (ticks <= 0) return false;
    const newestBytes = this.#highestLength[channel] as number;
    const bytes = this.#packets.payloadLength[d] as number;
    const duration = this.#durationOf?.(channel, this.#packets.payloadOffset[d] as number, bytes) ?? 0;
    // G.711 has one byte per tick, L16 two: there the newest packet's own length is known.
    if (duration === 0 || duration === bytes) return ticks === newestBytes;
    if (2 * duration === bytes) return 2 * ticks === newestBytes;
    const packetTicks = this.#packetTicks[channel] as number;
    return ticks === duration && (packetTicks === 0 || packetTicks === ticks);
  }

  /** The numbers from `from` up to, not including, `to` were never sent: they are not due, and copies if they arrive. */
  #skip(channel: number, d: number, from: number, to: number): void {
    this.#packets.skipped[d] = to - from;
    this.#skipped[channel] = (this.#skipped[channel] as number) + to - from;
    for (let sequence = Math.max(from, to - HISTORY_PACKETS); sequence < to; sequence++)
      this.history.add(channel, sequence);
  }

  /**
   * Whether a jump forward is the same numbering after an outage: the timestamp has advanced for as long as no packet
   * arrived, and there is enough time for the packets in between. After a reconnect the source may also have stood
   * still; then timestamp and number must have advanced in proportion.
   */
  #continues(channel: number, d: number, resuming: boolean): boolean {
    const ahead = (this.#packets.sequence[d] as number) - (this.#highest[channel] as number);
    const ticks = (this.#packets.timestamp[d] as number) - (this.#highestTimestamp[channel] as number);
    const rate = this.#clockRate[channel] as number;
    const packetTicks = this.#packetTicks[channel] as number;
    if (ahead <= 0 || ticks < ahead * Math.max(packetTicks / 4, rate * MIN_PACKET_SECONDS)) return false;
    const elapsedUs = (this.#packets.arrivalUs[d] as number) - (this.#lastArrivalUs[channel] as number);
    const elapsedTicks = elapsedUs / (this.#usPerTick[channel] as number);
    if (Math.abs(ticks - elapsedTicks) <= Math.max(rate, elapsedTicks / 4)) return true;
    return resuming && ahead < MAX_DROPOUT && ticks <= ahead * rate * MAX_PACKET_SECONDS;
  }

  // RFC 3550 A.8 over every packet received, in the order of arrival: J += (|D| − J) / 16. A step longer than the
  // longest gap is a sender that has set its clock, not jitter.
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
}
