import { zeroCounts } from '../core/counts.js';
import type { ReceptionCounts } from '../core/events.js';
import { CHANNEL_FIELDS, channelStates, FIELD } from './channel-state.js';
import { ClockAlignment } from './clock/clock-alignment.js';
import { AdaptiveDelay } from './delay/adaptive-delay.js';
import { checkJitterOptions, type JitterOptions } from './jitter-options.js';
import { PastNumbering } from './late/past-numbering.js';
import { CANDIDATE_TIMEOUT_US, KIND, lowestKind, PacketRing } from './packet-ring.js';
import { type JitterOutput, PlayoutQueue } from './playout-queue.js';
import { Reception, SEQUENCE_CLASS } from './reception.js';
import { CANDIDATE, CLASSIFICATION, RestartDetector } from './restart-detector.js';
import { STALL, type Stall, StandstillDetector } from './standstill-detector.js';
import { MODULUS_16, MODULUS_32, Unwrapper } from './unwrapper.js';

/** What insert() did with a packet. Only an ACCEPTED or CANDIDATE one keeps its payload. */
export const INSERTED = {
  ACCEPTED: 0,
  DUPLICATE: 1,
  /** Counted as received, but its place has been given up. */
  LATE: 2,
  /** No row free: counted as received and dropped. */
  FULL: 3,
  /** Its number is out of range; held until another packet shows whether the sender has restarted. */
  CANDIDATE: 4,
  /** The channel is not open. */
  CLOSED: 5,
  /** Sequence number or timestamp is not an integer from 0 to 2^53 − 1. */
  INVALID: 6,
  /** It belongs to a second numbering that runs at the same time. */
  FOREIGN: 7,
  /** Accepted, and released at once: nothing was missing before it. */
  RELEASED: 8,
} as const;
export type InsertOutcome = (typeof INSERTED)[keyof typeof INSERTED];

export type { JitterOptions } from './jitter-options.js';

const NONE = -1;

/**
 * The jitter buffer of all channels. `channel` is an index here: stream × 2 + channel of the stream. Each channel has
 * numbers, order and loss of its own.
 *
 * A packet is unwrapped (unwrapper.ts), classified and counted (reception.ts), held for the playout delay
 * (packet-ring.ts) and released in order, with lost packets in between (playout-queue.ts). A number out of range is
 * held apart until it is known whether the sender has restarted (restart-detector.ts).
 *
 * `arrivalUs` should not fall from insert to insert: a packet that claims to be older than the one inserted before it
 * falls due with that one.
 */
export class JitterBuffer {
  /** Sources fill its free rows: see PacketBatch. */
  readonly packets: PacketRing;
  readonly #sequences: Unwrapper;
  readonly #timestamps: Unwrapper;
  readonly #reception: Reception;
  readonly #past: PastNumbering;
  readonly #restarts: RestartDetector;
  readonly #queue: PlayoutQueue;
  readonly #standstills: StandstillDetector;
  readonly #adaptive: AdaptiveDelay | undefined;
  readonly #clocks: ClockAlignment;
  readonly #states: Float64Array;
  readonly #playoutDelayUs: number;
  readonly #maxPlayoutDelayUs: number;

  /** @throws TrunklineError CONFIG_INVALID */
  constructor(options: JitterOptions) {
    const { channels, packets, playoutDelay, playoutDelayUs, minPlayoutDelayUs = 0, maxPlayoutDelayUs } = options;
    checkJitterOptions(options);
    const { states = channelStates(channels) } = options;
    this.#states = states;
    this.#playoutDelayUs = playoutDelayUs;
    this.#maxPlayoutDelayUs = maxPlayoutDelayUs;
    const isAdaptive = playoutDelay === 'adaptive';
    this.#adaptive = isAdaptive
      ? new AdaptiveDelay(channels, states, minPlayoutDelayUs, playoutDelayUs, maxPlayoutDelayUs)
      : undefined;
    const fixedUs = [0, playoutDelayUs, maxPlayoutDelayUs, CANDIDATE_TIMEOUT_US];
    this.packets = new PacketRing(packets, Float64Array.from([...fixedUs, 0, ...(this.#adaptive?.delaysUs ?? [])]));
    this.#sequences = new Unwrapper(MODULUS_16, states, FIELD.SEQUENCE_MODULUS);
    this.#timestamps = new Unwrapper(MODULUS_32, states, FIELD.TIMESTAMP_MODULUS);
    this.#standstills = new StandstillDetector(channels, this.packets, states);
    this.#clocks = new ClockAlignment(channels, this.packets, this.#standstills, states);
    this.#reception = new Reception(channels, this.packets, states, this.#standstills, options.durationOf);
    this.#past = new PastNumbering(channels, this.packets, this.#reception, this.#sequences, this.#timestamps);
    this.#restarts = new RestartDetector(channels, this.packets, this.#sequences, this.#timestamps, this.#reception);
    this.#queue = new PlayoutQueue(channels, this.packets, states, this.#adaptive);
  }

  /** Opens a channel with all counts at 0. @param clockRate RTP timestamp units a second. */
  openChannel(channel: number, clockRate: number): void {
    const at = channel * CHANNEL_FIELDS;
    this.closeChannel(channel);
    this.#states[at + FIELD.OPEN] = 1;
    this.#states[at + FIELD.EPOCH] = 0;
    this.#sequences.open(channel);
    this.#timestamps.open(channel);
    this.#reception.open(channel, clockRate);
    this.#past.open(channel, clockRate);
    this.#restarts.open(channel, clockRate);
    this.#queue.open(channel, clockRate);
    this.#standstills.open(channel, clockRate);
    this.#clocks.open(channel, clockRate);
  }

  /** Discards what the channel holds. Its counts can still be read until it is opened again. */
  closeChannel(channel: number): void {
    const at = channel * CHANNEL_FIELDS;
    this.#queue.clear(channel);
    this.packets.freeList(this.#restarts.clear(channel));
    // It is no measure for the other channel of its stream any more.
    this.#standstills.restart(channel);
    this.#states[at + FIELD.OPEN] = 0;
    this.packets.trim();
  }

  /**
   * The channel's connection broke and was replaced: the next packet continues the numbering, after any gap, or
   * begins a new one at once, without confirmation. Numbers of the history whose timestamps fit are duplicates.
   */
  interrupted(channel: number): void {
    this.#settleCandidates(channel);
    this.packets.trim();
    this.#reception.interrupted(channel);
  }

  /**
   * Inserts the packet in row `d`, which is packets.filledRow(). `out`, if it is there, is given those that are late, and
   * with adaptive delays those in order, when it has space for them: they need not wait for the next advance().
   */
  insert(d: number, out?: JitterOutput): InsertOutcome {
    this.packets.standstillTicks[d] = 0;
    this.packets.skipped[d] = 0;
    const channel = this.packets.channel[d] as number;
    const outcome = this.#take(channel, d);
    if (outcome === INSERTED.LATE) out?.late(this.packets, d);
    this.packets.inserted(d);
    if (outcome === INSERTED.CANDIDATE) return outcome;
    const isInOrder = outcome === INSERTED.ACCEPTED && this.#queue.isInOrder(channel, d);
    const isReleased = isInOrder && out?.hasSpace(this.packets, d) === true;
    if (isReleased) this.#queue.releaseThrough(d, this.packets.arrivalUs[d] as number, out);
    // It may have shown that packets held before it are no part of the stream; nothing may fall due that would free them.
    if (isReleased || outcome !== INSERTED.ACCEPTED) this.packets.trim();
    return isReleased ? INSERTED.RELEASED : outcome;
  }

  /**
   * Releases everything that is due, in order within each channel, for as long as `out` is ready. Returns how many
   * packets and lost packets `out` got.
   */
  advance(nowUs: number, out: JitterOutput): number {
    if (this.packets.oldest() === NONE) return 0;
    let calls = 0;
    for (let kinds = this.packets.kinds; kinds !== 0; kinds &= kinds - 1) {
      calls += this.#releaseDue(lowestKind(kinds), nowUs, out);
    }
    this.packets.trim();
    return calls;
  }

  /** The stream ends: releases everything the channel holds, and as lost what is missing in between or was dropped last. */
  flushChannel(channel: number, nowUs: number, out: JitterOutput): void {
    this.#settleCandidates(channel);
    this.#standstills.settle(channel);
    const last = this.#queue.last(channel);
    if (last !== NONE) this.#queue.releaseThrough(last, nowUs, out);
    this.#releaseDroppedLast(channel, nowUs, out);
    this.packets.trim();
  }

  /** When advance() will next have something to do, or Infinity; in the past while `out` is not ready. */
  nextDueUs(): number {
    return this.packets.nextDueUs();
  }

  /** Payload offset of the packet that was inserted first among those held, or −1. */
  oldestPayloadOffset(): number {
    const d = this.packets.oldest();
    return d === NONE ? -1 : (this.packets.payloadOffset[d] as number);
  }

  /** The channel's counts at this moment, as a new object. */
  counts(channel: number): ReceptionCounts {
    const counts = zeroCounts();
    this.addCounts(channel, counts);
    return counts;
  }

  /** The same, added to `sum`. */
  addCounts(channel: number, sum: ReceptionCounts): void {
    this.#reception.addCounts(channel, sum);
  }

  /** How much faster the sender's clock runs than this node's, in ppm; null while unknown. */
  driftPpm(channel: number): number | null {
    return this.#clocks.driftPpm(channel);
  }

  /** How long the channel's next packet is held; with adaptive delays, if packets before it are missing, else not at all. */
  playoutDelayUs(channel: number): number {
    if (this.#adaptive !== undefined) return this.#adaptive.delayUs(channel);
    return this.#queue.isLonger(channel) ? this.#maxPlayoutDelayUs : this.#playoutDelayUs;
  }

  /** Which numbers of each channel have been received, for the native path. */
  get history(): Int32Array {
    return this.#reception.history.bits;
  }

  #take(channel: number, d: number): InsertOutcome {
    const at = channel * CHANNEL_FIELDS;
    const packets = this.packets;
    const sequence = packets.wireSequence[d] as number;
    const timestamp = packets.wireTimestamp[d] as number;
    if (this.#states[at + FIELD.OPEN] !== 1) return INSERTED.CLOSED;
    if (!Number.isSafeInteger(sequence) || sequence < 0 || !Number.isSafeInteger(timestamp) || timestamp < 0) {
      return INSERTED.INVALID;
    }
    packets.sequence[d] = this.#sequences.unwrap(channel, sequence);
    packets.timestamp[d] = this.#timestamps.unwrap(channel, timestamp);
    let stall: Stall = STALL.NONE;
    switch (this.#reception.classify(channel, d)) {
      case SEQUENCE_CLASS.AHEAD:
        this.#accept(channel, d);
        this.#clocks.observe(channel, d);
        stall = this.#standstills.observe(channel, d);
        break;
      case SEQUENCE_CLASS.BEHIND:
        this.#reception.behind(channel, d);
        if (this.#queue.isLate(channel, d, this.#states[at + FIELD.EPOCH] as number)) {
          this.#reception.late(channel);
          packets.epoch[d] = this.#states[at + FIELD.EPOCH] as number;
          this.#queue.late(channel, d);
          return INSERTED.LATE;
        }
        break;
      case SEQUENCE_CLASS.DUPLICATE:
        this.#reception.duplicate(channel);
        return INSERTED.DUPLICATE;
      case SEQUENCE_CLASS.OUT_OF_RANGE:
        return this.#takePast(channel, d) ? INSERTED.LATE : this.#takeCandidate(channel, d);
      case SEQUENCE_CLASS.FIRST:
        this.#beginEpoch(channel, d);
        break;
    }
    const epoch = this.#states[at + FIELD.EPOCH] as number;
    if (!packets.keep(d, this.#queue.kindOf(channel, d, epoch, stall))) {
      this.#reception.dropped(channel);
      return INSERTED.FULL;
    }
    this.#queue.insert(channel, d, epoch);
    return INSERTED.ACCEPTED;
  }

  /** The newest packet of its channel. */
  #accept(channel: number, d: number): void {
    const packets = this.packets;
    this.#reception.ahead(channel, d);
    this.#sequences.accept(channel, packets.wireSequence[d] as number, packets.sequence[d] as number);
    this.#timestamps.accept(channel, packets.wireTimestamp[d] as number, packets.timestamp[d] as number);
  }

  /** Whether the packet was on its way when the sender restarted, and has been given up since. */
  #takePast(channel: number, d: number): boolean {
    const sequence = this.#past.missing(channel, d);
    if (Number.isNaN(sequence) || !this.#queue.hasPassed(channel, sequence, this.#past.epoch(channel))) return false;
    this.#past.take(channel, d, sequence);
    this.#reception.past(channel, d);
    this.#reception.late(channel);
    return true;
  }

  #beginEpoch(channel: number, d: number): void {
    const at = channel * CHANNEL_FIELDS;
    const packets = this.packets;
    this.#past.keep(channel, this.#states[at + FIELD.EPOCH] as number);
    packets.sequence[d] = this.#sequences.restart(channel, packets.wireSequence[d] as number);
    // Timestamps are unwrapped across a restart: a sender may restart its numbers and continue its clock.
    this.#timestamps.accept(channel, packets.wireTimestamp[d] as number, packets.timestamp[d] as number);
    this.#reception.begin(channel, d);
    this.#states[at + FIELD.EPOCH] = (this.#states[at + FIELD.EPOCH] as number) + 1;
    this.#adaptive?.restart(channel);
    this.#standstills.restart(channel);
    this.#standstills.observe(channel, d);
  }

  #releaseDue(kind: number, nowUs: number, out: JitterOutput): number {
    const packets = this.packets;
    let calls = 0;
    for (;;) {
      const d = packets.nextOf(kind);
      if (d === NONE || !packets.isDue(d, kind, nowUs) || !out.isReady()) return calls;
      // Either way the packet is free afterwards, or it belongs to a restart now and is released in the next round.
      if (packets.epoch[d] === CANDIDATE) this.#settleCandidates(packets.channel[d] as number);
      else calls += this.#queue.releaseThrough(d, nowUs, out);
    }
  }

  /** Releases as lost the packets that were dropped after the last one kept. */
  #releaseDroppedLast(channel: number, nowUs: number, out: JitterOutput): void {
    const at = channel * CHANNEL_FIELDS;
    const sequence = this.#reception.newestSequence(channel);
    const timestamp = this.#reception.newestTimestamp(channel);
    const arrivalUs = this.#reception.lastArrivalUs(channel);
    this.#queue.releaseEnd(
      channel,
      this.#states[at + FIELD.EPOCH] as number,
      sequence,
      timestamp,
      arrivalUs,
      nowUs,
      out,
    );
  }

  #takeCandidate(channel: number, d: number): InsertOutcome {
    switch (this.#restarts.classify(channel, d)) {
      case CLASSIFICATION.DUPLICATE:
        this.#reception.duplicate(channel);
        return INSERTED.DUPLICATE;
      case CLASSIFICATION.CONFIRMED:
        this.#confirmRestart(channel);
        return this.#take(channel, d);
      case CLASSIFICATION.FOREIGN:
        this.#rejectCandidates(channel);
        this.#reception.foreign(channel);
        return INSERTED.FOREIGN;
      case CLASSIFICATION.RETURN:
        return this.#returnTo(channel, d);
      case CLASSIFICATION.REPLACE:
        if (this.#settleCandidates(channel)) return this.#take(channel, d);
        break;
    }
    if (!this.packets.keep(d, KIND.CANDIDATE)) {
      this.#reception.refused(channel, d);
      return INSERTED.FULL;
    }
    this.#restarts.add(channel, d);
    return INSERTED.CANDIDATE;
  }

  /** Decides on the candidates, if any, by what is known now. True when they are a restart. */
  #settleCandidates(channel: number): boolean {
    if (this.#restarts.first(channel) === NONE) return false;
    const isRestart = this.#restarts.isCredible(channel);
    if (isRestart) this.#confirmRestart(channel);
    else this.#rejectCandidates(channel);
    return isRestart;
  }

  #rejectCandidates(channel: number): void {
    const areCopies = this.#restarts.areCopies(channel);
    const rejected = this.packets.freeList(this.#restarts.clear(channel));
    for (let i = 0; i < rejected; i++) {
      if (rejected > 1 && !areCopies) this.#reception.foreign(channel);
      else this.#reception.duplicate(channel);
    }
  }

  /** The numbering that was taken for abandoned continues: packet `d` belongs to it, the one in between does not. */
  #returnTo(channel: number, d: number): InsertOutcome {
    const at = channel * CHANNEL_FIELDS;
    this.#rejectCandidates(channel);
    this.#restarts.return(channel);
    if (
      !this.packets.keep(d, this.#queue.kindOf(channel, d, (this.#states[at + FIELD.EPOCH] as number) + 1, STALL.NONE))
    ) {
      this.#reception.refused(channel, d);
      return INSERTED.FULL;
    }
    this.#beginEpoch(channel, d);
    this.#queue.insert(channel, d, this.#states[at + FIELD.EPOCH] as number);
    return INSERTED.ACCEPTED;
  }

  /** The candidates become the beginning of a new epoch. They leave with the next packet, or after their timeout. */
  #confirmRestart(channel: number): void {
    const at = channel * CHANNEL_FIELDS;
    const packets = this.packets;
    let d = this.#restarts.clear(channel);
    this.#restarts.abandon(channel);
    for (let isFirst = true; d !== NONE; isFirst = false) {
      const next = packets.next[d] as number;
      packets.sequence[d] = this.#sequences.unwrap(channel, packets.wireSequence[d] as number);
      packets.timestamp[d] = this.#timestamps.unwrap(channel, packets.wireTimestamp[d] as number);
      if (isFirst) this.#beginEpoch(channel, d);
      else if (!this.#reception.isNewest(channel, d)) this.#reception.behind(channel, d);
      else {
        this.#accept(channel, d);
        this.#standstills.observe(channel, d);
      }
      this.#queue.insert(channel, d, this.#states[at + FIELD.EPOCH] as number);
      d = next;
    }
  }
}
