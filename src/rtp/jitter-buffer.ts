import { zeroCounts } from '../core/counts.js';
import { TrunklineError } from '../core/errors.js';
import type { ReceptionCounts } from '../core/events.js';
import { ChannelOrder } from './channel-order.js';
import { GapEstimator } from './gap-estimator.js';
import { KIND, type PacketDelayKind, PacketRing } from './packet-ring.js';
import { PlayoutDelay } from './playout-delay.js';
import { Reception, SEQUENCE_CLASS } from './reception.js';
import { CANDIDATE, CANDIDATE_TIMEOUT_US, CLASSIFICATION, RestartDetector } from './restart-detector.js';
import { MODULUS_16, MODULUS_32, Unwrapper } from './unwrapper.js';

/** What becomes of a packet at insert(). Only an ACCEPTED or CANDIDATE one keeps its payload. */
export const INSERTED = {
  ACCEPTED: 0,
  DUPLICATE: 1,
  /** Counted as received, but its place has been given up. */
  LATE: 2,
  /** No descriptor free: counted as received and dropped. */
  FULL: 3,
  /** Out of all order; held until another packet shows whether the sender has restarted. */
  CANDIDATE: 4,
  /** The channel is not open. */
  CLOSED: 5,
  /** Sequence number or timestamp is not an integer from 0 to 2^53 − 1. */
  INVALID: 6,
} as const;
export type InsertOutcome = (typeof INSERTED)[keyof typeof INSERTED];

/** Set on a packet before which the time line jumps. The same bit as FLAG.DISCONTINUITY of the ring's records. */
export const DISCONTINUITY = 2;

/** Where released packets go. Must not call back into the buffer. */
export interface JitterOutput {
  /** Asked before each packet that is due. False lets it wait, and with it all that would come after it. */
  isReady(): boolean;
  /**
   * One packet, in order of its channel. Sequence and timestamp are unwrapped; payload and flags are as given to
   * insert(), with DISCONTINUITY added after a restart of the sender or a hole that is not to be filled.
   */
  packet(
    channel: number,
    sequence: number,
    timestamp: number,
    arrivalUs: number,
    flags: number,
    payloadOffset: number,
    payloadLength: number,
  ): void;
  /** One lost packet. The durations of a hole add up to the hole. */
  lost(channel: number, sequence: number, timestamp: number, durationTicks: number, nowUs: number): void;
}

export interface JitterOptions {
  readonly channels: number;
  /** Packets that may be held at the same time, of all channels; a power of two. */
  readonly packets: number;
  /** How long each packet is held. */
  readonly playoutDelayUs: number;
  /** How long it is held while the channel loses more than 5 %. */
  readonly maxPlayoutDelayUs: number;
}

const NONE = -1;

/**
 * The jitter buffer of all channels. A channel is one channel of one stream, with numbers, order and loss of its own.
 *
 * Each packet is held until its hold is over; then it leaves and takes along everything before it in its channel. When
 * its neighbours' turn comes in the ring of packets (packet-ring.ts), they are free already and are stepped over.
 * `arrivalUs` should not fall from insert to insert: a packet that claims to be older than the one inserted before it
 * falls due with that one.
 */
export class JitterBuffer {
  readonly #packets: PacketRing;
  readonly #sequences: Unwrapper;
  readonly #timestamps: Unwrapper;
  readonly #reception: Reception;
  readonly #restarts: RestartDetector;
  readonly #order: ChannelOrder;
  readonly #playoutDelay: PlayoutDelay;
  readonly #gaps: GapEstimator;
  readonly #playoutDelayUs: number;
  readonly #maxPlayoutDelayUs: number;

  readonly #open: Uint8Array;
  /** Numbering at the reception end of the channel, and the one at its release end. 0: nothing yet. */
  readonly #epochIn: Int32Array;
  readonly #epochOut: Int32Array;
  /** The number that follows the last one released. */
  readonly #nextOut: Float64Array;
  /** A packet of the epoch at the reception end with a lower number than this is late. */
  readonly #lateBelow: Float64Array;

  /** @throws TrunklineError CONFIG_INVALID */
  constructor(options: JitterOptions) {
    const { channels, packets, playoutDelayUs, maxPlayoutDelayUs } = options;
    if (packets < 2 || packets > 2 ** 30 || (packets & (packets - 1)) !== 0) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        `A jitter buffer needs room for a power of two of packets; got ${packets}.`,
      );
    }
    if (!(playoutDelayUs >= 0 && maxPlayoutDelayUs >= playoutDelayUs && maxPlayoutDelayUs < Number.POSITIVE_INFINITY)) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        `Give a hold of 0 or more and a wide hold no shorter; got ${playoutDelayUs} and ${maxPlayoutDelayUs} µs.`,
      );
    }
    this.#playoutDelayUs = playoutDelayUs;
    this.#maxPlayoutDelayUs = maxPlayoutDelayUs;
    this.#packets = new PacketRing(
      packets,
      Float64Array.of(0, playoutDelayUs, maxPlayoutDelayUs, CANDIDATE_TIMEOUT_US),
    );
    this.#sequences = new Unwrapper(channels, MODULUS_16);
    this.#timestamps = new Unwrapper(channels, MODULUS_32);
    this.#reception = new Reception(channels, this.#packets);
    this.#restarts = new RestartDetector(channels, this.#packets, this.#sequences, this.#reception);
    this.#order = new ChannelOrder(channels, this.#packets);
    this.#playoutDelay = new PlayoutDelay(channels);
    this.#gaps = new GapEstimator(channels, this.#packets);

    this.#open = new Uint8Array(channels);
    this.#epochIn = new Int32Array(channels);
    this.#epochOut = new Int32Array(channels);
    this.#nextOut = new Float64Array(channels);
    this.#lateBelow = new Float64Array(channels);
  }

  /** Begins a channel with fresh counts. @param clockRate RTP timestamp units a second. */
  openChannel(channel: number, clockRate: number): void {
    this.closeChannel(channel);
    this.#open[channel] = 1;
    this.#epochIn[channel] = 0;
    this.#epochOut[channel] = 0;
    this.#sequences.open(channel);
    this.#timestamps.open(channel);
    this.#reception.open(channel, clockRate);
    this.#playoutDelay.open(channel);
    this.#gaps.open(channel, clockRate);
  }

  /** Throws away what the channel holds. Its counts can still be read until it is opened again. */
  closeChannel(channel: number): void {
    this.#free(this.#order.first(channel));
    this.#order.clear(channel);
    this.#free(this.#restarts.clear(channel));
    this.#open[channel] = 0;
    this.#packets.trim();
  }

  /**
   * The channel's connection broke and comes back: the next packet goes on with the numbering, after whatever gap, or
   * begins a new one at once, without probation. Numbers of the history whose timestamps fit are sent once more.
   */
  interrupted(channel: number): void {
    this.#settleCandidates(channel);
    this.#packets.trim();
    this.#reception.interrupted(channel);
  }

  /** Takes in one packet; sequence and timestamp as on the wire. */
  insert(
    channel: number,
    sequence: number,
    timestamp: number,
    arrivalUs: number,
    flags: number,
    payloadOffset: number,
    payloadLength: number,
  ): InsertOutcome {
    const packets = this.#packets;
    const d = packets.incoming();
    packets.channel[d] = channel;
    packets.wireSequence[d] = sequence;
    packets.wireTimestamp[d] = timestamp;
    packets.arrivalUs[d] = arrivalUs;
    packets.flags[d] = flags;
    packets.payloadOffset[d] = payloadOffset;
    packets.payloadLength[d] = payloadLength;
    return this.#take(channel, d);
  }

  /**
   * Lets go everything that is due, in order within each channel, as long as `out` is ready for it. Returns how many
   * packets and holes that gave it.
   */
  advance(nowUs: number, out: JitterOutput): number {
    if (this.#packets.oldest() === NONE) return 0;
    const calls =
      this.#releaseDue(KIND.NORMAL, nowUs, out) +
      this.#releaseDue(KIND.LONGER, nowUs, out) +
      this.#releaseDue(KIND.CANDIDATE, nowUs, out);
    this.#packets.trim();
    return calls;
  }

  /** The stream ends: lets go everything the channel holds, holes between as lost. */
  flushChannel(channel: number, nowUs: number, out: JitterOutput): void {
    this.#settleCandidates(channel);
    const last = this.#order.last(channel);
    if (last !== NONE) this.#releaseThrough(last, nowUs, out);
    this.#packets.trim();
  }

  /** When advance() will next have something to do, or Infinity; in the past while `out` is not ready. */
  nextDueUs(): number {
    return this.#packets.nextDueUs();
  }

  /** Payload offset of the packet that was inserted first among those held, or −1. */
  oldestPayloadOffset(): number {
    const d = this.#packets.oldest();
    return d === NONE ? -1 : (this.#packets.payloadOffset[d] as number);
  }

  /** A fresh object, as of now. */
  counts(channel: number): ReceptionCounts {
    const counts = zeroCounts();
    this.addCounts(channel, counts);
    return counts;
  }

  /** The same, added to `sum`. */
  addCounts(channel: number, sum: ReceptionCounts): void {
    this.#reception.addCounts(channel, sum);
  }

  /** The hold that the channel's next packet will have. */
  playoutDelayUs(channel: number): number {
    return this.#playoutDelay.isWide(channel) ? this.#maxPlayoutDelayUs : this.#playoutDelayUs;
  }

  // ---- in

  #take(channel: number, d: number): InsertOutcome {
    const packets = this.#packets;
    const sequence = packets.wireSequence[d] as number;
    const timestamp = packets.wireTimestamp[d] as number;
    if (this.#open[channel] !== 1) return INSERTED.CLOSED;
    if (!Number.isSafeInteger(sequence) || sequence < 0 || !Number.isSafeInteger(timestamp) || timestamp < 0) {
      return INSERTED.INVALID;
    }
    packets.sequence[d] = this.#sequences.unwrap(channel, sequence);
    packets.timestamp[d] = this.#timestamps.unwrap(channel, timestamp);
    switch (this.#reception.classify(channel, d)) {
      case SEQUENCE_CLASS.AHEAD:
        this.#goAhead(channel, d);
        break;
      case SEQUENCE_CLASS.BEHIND:
        this.#reception.behind(channel, d);
        if ((packets.sequence[d] as number) < (this.#lateBelow[channel] as number)) {
          this.#reception.late(channel);
          return INSERTED.LATE;
        }
        break;
      case SEQUENCE_CLASS.DUPLICATE:
        this.#reception.duplicate(channel);
        return INSERTED.DUPLICATE;
      case SEQUENCE_CLASS.OUT_OF_RANGE:
        return this.#takeCandidate(channel, d);
      case SEQUENCE_CLASS.FIRST:
        this.#beginEpoch(channel, d);
        break;
    }
    if (!packets.keep(this.#playoutDelay.isWide(channel) ? KIND.LONGER : KIND.NORMAL)) {
      this.#reception.dropped(channel);
      return INSERTED.FULL;
    }
    this.#enter(channel, d);
    return INSERTED.ACCEPTED;
  }

  #goAhead(channel: number, d: number): void {
    const packets = this.#packets;
    this.#reception.ahead(channel, d);
    this.#sequences.accept(channel, packets.wireSequence[d] as number, packets.sequence[d] as number);
    this.#timestamps.accept(channel, packets.wireTimestamp[d] as number, packets.timestamp[d] as number);
  }

  #beginEpoch(channel: number, d: number): void {
    const packets = this.#packets;
    packets.sequence[d] = this.#sequences.restart(channel, packets.wireSequence[d] as number);
    // Timestamps are unwrapped across a restart: a sender may begin its numbers anew and go on with its clock.
    this.#timestamps.accept(channel, packets.wireTimestamp[d] as number, packets.timestamp[d] as number);
    this.#reception.begin(channel, d);
    this.#epochIn[channel] = (this.#epochIn[channel] as number) + 1;
    this.#lateBelow[channel] = Number.NEGATIVE_INFINITY;
  }

  /** Puts a packet in its place in the channel's order. */
  #enter(channel: number, d: number): void {
    const packets = this.#packets;
    const after = this.#order.enter(channel, d, this.#epochIn[channel] as number);
    const isRecovered = after !== NONE && packets.isDue(after, KIND.NORMAL, packets.arrivalUs[d] as number);
    packets.recovered[d] = isRecovered ? 1 : 0;
  }

  // ---- out

  #releaseDue(kind: PacketDelayKind, nowUs: number, out: JitterOutput): number {
    const packets = this.#packets;
    let calls = 0;
    for (;;) {
      const d = packets.nextOf(kind);
      if (d === NONE || !packets.isDue(d, kind, nowUs) || !out.isReady()) return calls;
      // Either way the packet is free afterwards, or it is a restart now and let go at the next look.
      if (packets.epoch[d] === CANDIDATE) this.#settleCandidates(packets.channel[d] as number);
      else calls += this.#releaseThrough(d, nowUs, out);
    }
  }

  /** Lets go the packets of a channel up to and including `last`. */
  #releaseThrough(last: number, nowUs: number, out: JitterOutput): number {
    const channel = this.#packets.channel[last] as number;
    let calls = 0;
    let d: number;
    do {
      d = this.#order.first(channel);
      calls += this.#releaseFirst(channel, d, nowUs, out);
    } while (d !== last);
    return calls;
  }

  #releaseFirst(channel: number, d: number, nowUs: number, out: JitterOutput): number {
    const packets = this.#packets;
    const sequence = packets.sequence[d] as number;
    const epoch = packets.epoch[d] as number;
    const follows = epoch === this.#epochOut[channel];
    const missing = follows ? sequence - (this.#nextOut[channel] as number) : 0;
    const isFirst = this.#epochOut[channel] === 0;

    // The channel is in order again before `out` is called, so that an error thrown there does no harm here.
    this.#order.shift(channel);
    packets.kind[d] = KIND.FREE;
    this.#epochOut[channel] = epoch;
    this.#nextOut[channel] = sequence + 1;
    if (epoch === this.#epochIn[channel]) this.#lateBelow[channel] = sequence + 1;
    this.#playoutDelay.place(channel, packets.recovered[d] as number);

    let calls = 1;
    let flags = packets.flags[d] as number;
    if (isFirst) {
      this.#gaps.begin(channel, d);
    } else if (follows && missing === 0) {
      this.#gaps.follow(channel, d);
    } else if (follows && this.#gaps.measure(channel, missing, d)) {
      calls += this.#releaseGap(channel, d, missing, nowUs, out);
      this.#gaps.fill(channel, d);
    } else {
      flags |= DISCONTINUITY;
      this.#gaps.jump(channel, d);
    }
    out.packet(
      channel,
      sequence,
      packets.timestamp[d] as number,
      packets.arrivalUs[d] as number,
      flags,
      packets.payloadOffset[d] as number,
      packets.payloadLength[d] as number,
    );
    return calls;
  }

  /** The hole before packet `d`, as measured. */
  #releaseGap(channel: number, d: number, missing: number, nowUs: number, out: JitterOutput): number {
    const from = (this.#packets.sequence[d] as number) - missing;
    for (let i = 0; i < missing; i++) {
      this.#playoutDelay.place(channel, 1);
      out.lost(channel, from + i, this.#gaps.startOf(i), this.#gaps.ticksOf(i), nowUs);
    }
    return missing;
  }

  // ---- restarts of the sender

  #takeCandidate(channel: number, d: number): InsertOutcome {
    switch (this.#restarts.classify(channel, d)) {
      case CLASSIFICATION.DUPLICATE:
        this.#reception.duplicate(channel);
        return INSERTED.DUPLICATE;
      case CLASSIFICATION.CONFIRMED:
        this.#confirmRestart(channel);
        return this.#take(channel, d);
      case CLASSIFICATION.REPLACE:
        this.#rejectCandidates(channel);
        break;
    }
    if (!this.#packets.keep(KIND.CANDIDATE)) {
      this.#reception.refused(channel, d);
      return INSERTED.FULL;
    }
    this.#restarts.add(channel, d);
    return INSERTED.CANDIDATE;
  }

  /** Decides on the candidates, if any, by what is known now. */
  #settleCandidates(channel: number): void {
    if (this.#restarts.first(channel) === NONE) return;
    if (this.#restarts.isCredible(channel)) this.#confirmRestart(channel);
    else this.#rejectCandidates(channel);
  }

  #rejectCandidates(channel: number): void {
    const dismissed = this.#free(this.#restarts.clear(channel));
    for (let i = 0; i < dismissed; i++) this.#reception.duplicate(channel);
  }

  /** The candidates become the beginning of a new epoch. They go out when the next packet does, or after probation. */
  #confirmRestart(channel: number): void {
    const packets = this.#packets;
    let d = this.#restarts.clear(channel);
    for (let isFirst = true; d !== NONE; isFirst = false) {
      const next = packets.next[d] as number;
      packets.sequence[d] = this.#sequences.unwrap(channel, packets.wireSequence[d] as number);
      packets.timestamp[d] = this.#timestamps.unwrap(channel, packets.wireTimestamp[d] as number);
      if (isFirst) this.#beginEpoch(channel, d);
      else if (this.#reception.classify(channel, d) === SEQUENCE_CLASS.AHEAD) this.#goAhead(channel, d);
      else this.#reception.behind(channel, d);
      this.#enter(channel, d);
      d = next;
    }
  }

  /** Frees a list of packets; returns how many they were. */
  #free(first: number): number {
    let count = 0;
    for (let d = first; d !== NONE; d = this.#packets.next[d] as number) {
      this.#packets.kind[d] = KIND.FREE;
      count++;
    }
    return count;
  }
}
