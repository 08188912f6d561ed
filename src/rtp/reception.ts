import type { ReceptionCounts } from '../core/events.js';
import { LIMITS } from '../core/limits.js';
import { US_PER_SECOND } from '../core/units.js';
import { CHANNEL_FIELDS, FIELD } from './channel-state.js';
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
  readonly #states: Float64Array;
  readonly #standstills: StandstillDetector;
  readonly #durationOf: PacketDuration | undefined;
  readonly #lowest: Float64Array;
  /** Of this epoch, the numbers that were never sent. */
  readonly #skipped: Float64Array;
  /** Due in the epochs before this one. */
  readonly #duePast: Float64Array;
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
  constructor(
    channels: number,
    packets: PacketRing,
    states: Float64Array,
    standstills: StandstillDetector,
    durationOf?: PacketDuration,
  ) {
    this.#packets = packets;
    this.#states = states;
    this.#standstills = standstills;
    this.#durationOf = durationOf;
    this.#lowest = new Float64Array(channels);
    this.#skipped = new Float64Array(channels);
    this.#duePast = new Float64Array(channels);
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
    const at = channel * CHANNEL_FIELDS;
    this.#states[at + FIELD.PHASE] = PHASE.NEW;
    this.#states[at + FIELD.CLOCK_RATE] = clockRate;
    this.#states[at + FIELD.US_PER_TICK] = US_PER_SECOND / clockRate;
    this.#states[at + FIELD.PACKET_TICKS] = 0;
    this.#states[at + FIELD.JITTER_US] = 0;
    this.#duePast[channel] = 0;
    this.#states[at + FIELD.RECEIVED] = 0;
    this.#states[at + FIELD.BYTES] = 0;
    this.#late[channel] = 0;
    this.#duplicate[channel] = 0;
    this.#foreign[channel] = 0;
    this.#reordered[channel] = 0;
    this.#dropped[channel] = 0;
    this.#refused[channel] = 0;
  }

  /** The connection broke: the next packet continues, repeats, or restarts the numbering, without confirmation. */
  interrupted(channel: number): void {
    const at = channel * CHANNEL_FIELDS;
    if (this.#states[at + FIELD.PHASE] === PHASE.RUNNING) this.#states[at + FIELD.PHASE] = PHASE.RESUMING;
  }

  /** Classifies a packet; counts nothing. */
  classify(channel: number, d: number): SequenceClass {
    const at = channel * CHANNEL_FIELDS;
    const sequence = this.#packets.sequence[d] as number;
    const ahead = sequence - (this.#states[at + FIELD.HIGHEST] as number);
    if (this.#states[at + FIELD.PHASE] === PHASE.NEW) return SEQUENCE_CLASS.FIRST;
    if (this.#states[at + FIELD.PHASE] === PHASE.RESUMING) {
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
    const at = channel * CHANNEL_FIELDS;
    return (this.#packets.sequence[d] as number) > (this.#states[at + FIELD.HIGHEST] as number);
  }

  /** Whether a number behind the highest has a timestamp that it could have had in this epoch, pauses allowed for. */
  fits(channel: number, d: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    const back = (this.#states[at + FIELD.HIGHEST] as number) - (this.#packets.sequence[d] as number);
    const ticksBack = (this.#states[at + FIELD.HIGHEST_TIMESTAMP] as number) - (this.#packets.timestamp[d] as number);
    const rate = this.#states[at + FIELD.CLOCK_RATE] as number;
    return back >= 0 && ticksBack >= 0 && ticksBack <= rate * (back * MAX_PACKET_SECONDS + LIMITS.maxGapSeconds);
  }

  /** Counts the first packet of an epoch. */
  begin(channel: number, d: number): void {
    const at = channel * CHANNEL_FIELDS;
    const sequence = this.#packets.sequence[d] as number;
    const timestamp = this.#packets.timestamp[d] as number;
    if (this.#states[at + FIELD.PHASE] !== PHASE.NEW) {
      this.#duePast[channel] = (this.#duePast[channel] as number) + this.#dueNow(channel);
    }
    this.#states[at + FIELD.PHASE] = PHASE.RUNNING;
    this.#skipped[channel] = 0;
    this.#lowest[channel] = sequence;
    this.#states[at + FIELD.HIGHEST] = sequence;
    this.#states[at + FIELD.HIGHEST_TIMESTAMP] = timestamp;
    this.#states[at + FIELD.HIGHEST_LENGTH] = this.#packets.payloadLength[d] as number;
    this.#states[at + FIELD.TRANSIT_US] = Number.NaN;
    this.history.clear(channel);
    this.history.add(channel, sequence);
    this.#count(channel, d);
  }

  /** Counts a packet that was judged AHEAD. */
  ahead(channel: number, d: number): void {
    const at = channel * CHANNEL_FIELDS;
    const sequence = this.#packets.sequence[d] as number;
    const timestamp = this.#packets.timestamp[d] as number;
    const highest = this.#states[at + FIELD.HIGHEST] as number;
    if (sequence === highest + 1) {
      const ticks = timestamp - (this.#states[at + FIELD.HIGHEST_TIMESTAMP] as number);
      if (ticks > 0 && ticks <= (this.#states[at + FIELD.CLOCK_RATE] as number) * MAX_PACKET_SECONDS)
        this.#states[at + FIELD.PACKET_TICKS] = ticks;
    } else {
      this.history.remove(channel, highest + 1, sequence);
      if (sequence - highest < MAX_DROPOUT && this.#isSkip(channel, d)) this.#skip(channel, d, highest + 1, sequence);
    }
    if (this.#states[at + FIELD.PHASE] === PHASE.RESUMING) {
      this.#states[at + FIELD.PHASE] = PHASE.RUNNING;
      this.#states[at + FIELD.TRANSIT_US] = Number.NaN;
    }
    this.#states[at + FIELD.HIGHEST] = sequence;
    this.#states[at + FIELD.HIGHEST_TIMESTAMP] = timestamp;
    this.#states[at + FIELD.HIGHEST_LENGTH] = this.#packets.payloadLength[d] as number;
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
    const at = channel * CHANNEL_FIELDS;
    this.#reordered[channel] = (this.#reordered[channel] as number) + 1;
    this.#states[at + FIELD.RECEIVED] = (this.#states[at + FIELD.RECEIVED] as number) + 1;
    this.#states[at + FIELD.BYTES] =
      (this.#states[at + FIELD.BYTES] as number) + (this.#packets.payloadLength[d] as number);
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
    const at = channel * CHANNEL_FIELDS;
    this.#refused[channel] = (this.#refused[channel] as number) + 1;
    this.#states[at + FIELD.BYTES] =
      (this.#states[at + FIELD.BYTES] as number) + (this.#packets.payloadLength[d] as number);
    this.dropped(channel);
  }

  /** Arrival of the packet received last. */
  lastArrivalUs(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    return this.#states[at + FIELD.LAST_ARRIVAL_US] as number;
  }

  /** Number and timestamp of the packet with the highest number of this epoch; only after the first packet. */
  newestSequence(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    return this.#states[at + FIELD.HIGHEST] as number;
  }

  /** The lowest number of this epoch. */
  lowestSequence(channel: number): number {
    return this.#lowest[channel] as number;
  }

  newestTimestamp(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    return this.#states[at + FIELD.HIGHEST_TIMESTAMP] as number;
  }

  /** Packets that belong to a known numbering. */
  received(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    return this.#states[at + FIELD.RECEIVED] as number;
  }

  /** Adds the channel's counts to `sum`, without an object per channel. */
  addCounts(channel: number, sum: ReceptionCounts): void {
    const at = channel * CHANNEL_FIELDS;
    const received = this.#states[at + FIELD.RECEIVED] as number;
    const due =
      (this.#duePast[channel] as number) + (this.#states[at + FIELD.PHASE] === PHASE.NEW ? 0 : this.#dueNow(channel));
    sum.packetsReceived += received + (this.#refused[channel] as number);
    sum.bytesReceived += this.#states[at + FIELD.BYTES] as number;
    sum.packetsLost += due - received;
    sum.packetsLate += this.#late[channel] as number;
    sum.packetsDuplicate += this.#duplicate[channel] as number;
    sum.packetsForeign += this.#foreign[channel] as number;
    sum.packetsReordered += this.#reordered[channel] as number;
    sum.packetsDropped += this.#dropped[channel] as number;
    sum.jitterUs = Math.max(sum.jitterUs, this.#states[at + FIELD.JITTER_US] as number);
  }

  #dueNow(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    const span = (this.#states[at + FIELD.HIGHEST] as number) - (this.#lowest[channel] as number) + 1;
    return span - (this.#skipped[channel] as number);
  }

  /** Whether a step forward by two to MAX_DROPOUT numbers is loss, or numbers that were never sent, and no restart. */
  #isLoss(channel: number, d: number, ahead: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    const ticks = (this.#packets.timestamp[d] as number) - (this.#states[at + FIELD.HIGHEST_TIMESTAMP] as number);
    const rate = this.#states[at + FIELD.CLOCK_RATE] as number;
    if (this.#isSkip(channel, d)) return true;
    // Timestamps that stand still or slip tell nothing. A longer step needs their confirmation.
    if (ticks <= 0) return ahead < MAX_MISORDER && -ticks <= rate * MAX_SLIP_SECONDS;
    const leastTicks = ahead < MAX_MISORDER ? 0 : (this.#states[at + FIELD.PACKET_TICKS] as number) / 4;
    if (ticks < ahead * Math.max(leastTicks, rate * MIN_PACKET_SECONDS)) return false;
    return !this.#standstills.isAheadOfTime(channel, d);
  }

  /** Whether packet `d` follows the newest one without time in between: the numbers between were never sent. */
  #isSkip(channel: number, d: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    const ticks = (this.#packets.timestamp[d] as number) - (this.#states[at + FIELD.HIGHEST_TIMESTAMP] as number);
    if (ticks <= 0) return false;
    const newestBytes = this.#states[at + FIELD.HIGHEST_LENGTH] as number;
    const bytes = this.#packets.payloadLength[d] as number;
    const duration = this.#durationOf?.(channel, this.#packets.payloadOffset[d] as number, bytes) ?? 0;
    // G.711 has one byte per tick, L16 two: there the newest packet's own length is known.
    if (duration === 0 || duration === bytes) return ticks === newestBytes;
    if (2 * duration === bytes) return 2 * ticks === newestBytes;
    const packetTicks = this.#states[at + FIELD.PACKET_TICKS] as number;
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
    const at = channel * CHANNEL_FIELDS;
    const ahead = (this.#packets.sequence[d] as number) - (this.#states[at + FIELD.HIGHEST] as number);
    const ticks = (this.#packets.timestamp[d] as number) - (this.#states[at + FIELD.HIGHEST_TIMESTAMP] as number);
    const rate = this.#states[at + FIELD.CLOCK_RATE] as number;
    const packetTicks = this.#states[at + FIELD.PACKET_TICKS] as number;
    if (ahead <= 0 || ticks < ahead * Math.max(packetTicks / 4, rate * MIN_PACKET_SECONDS)) return false;
    const elapsedUs = (this.#packets.arrivalUs[d] as number) - (this.#states[at + FIELD.LAST_ARRIVAL_US] as number);
    const elapsedTicks = elapsedUs / (this.#states[at + FIELD.US_PER_TICK] as number);
    if (Math.abs(ticks - elapsedTicks) <= Math.max(rate, elapsedTicks / 4)) return true;
    return resuming && ahead < MAX_DROPOUT && ticks <= ahead * rate * MAX_PACKET_SECONDS;
  }

  // RFC 3550 A.8 over every packet received, in the order of arrival: J += (|D| − J) / 16. A step longer than the
  // longest gap is a sender that has set its clock, not jitter.
  #count(channel: number, d: number): void {
    const at = channel * CHANNEL_FIELDS;
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    this.#states[at + FIELD.RECEIVED] = (this.#states[at + FIELD.RECEIVED] as number) + 1;
    this.#states[at + FIELD.BYTES] =
      (this.#states[at + FIELD.BYTES] as number) + (this.#packets.payloadLength[d] as number);
    this.#states[at + FIELD.LAST_ARRIVAL_US] = arrivalUs;
    const transitUs =
      arrivalUs - (this.#packets.timestamp[d] as number) * (this.#states[at + FIELD.US_PER_TICK] as number);
    const stepUs = Math.abs(transitUs - (this.#states[at + FIELD.TRANSIT_US] as number));
    this.#states[at + FIELD.TRANSIT_US] = transitUs;
    if (stepUs <= LIMITS.maxGapSeconds * US_PER_SECOND) {
      const jitterUs = this.#states[at + FIELD.JITTER_US] as number;
      this.#states[at + FIELD.JITTER_US] = jitterUs + (stepUs - jitterUs) / 16;
    }
  }
}
