import { zeroCounts } from '../core/counts.js';
import { TrunklineError } from '../core/errors.js';
import type { ReceptionCounts } from '../core/events.js';
import { ChannelOrder } from './channel-order.js';
import { GapEstimator } from './gap-estimator.js';
import { KIND, type PacketDelayKind, PacketRing } from './packet-ring.js';
import { PlayoutDelay } from './playout-delay.js';
import { Reception, VERDICT } from './reception.js';
import { CANDIDATE, CANDIDATE_TIMEOUT_US, CLASSIFICATION, RestartDetector } from './restart-detector.js';
import { MODULUS_16, MODULUS_32, Unwrapper } from './unwrapper.js';

/** What becomes of a packet at insert(). Only an ACCEPTED or PROBATION one keeps its payload. */
export const INSERTED = {
  ACCEPTED: 0,
  DUPLICATE: 1,
  /** Counted as received, but its place has been given up. */
  LATE: 2,
  /** No descriptor free: counted as received and dropped. */
  FULL: 3,
  /** Out of all order; held until another packet shows whether the sender has restarted. */
  PROBATION: 4,
  /** The lane is not open. */
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
   * One packet, in order of its lane. Sequence and timestamp are unwrapped; payload and flags are as given to
   * insert(), with DISCONTINUITY added after a restart of the sender or a hole that is not to be filled.
   */
  packet(
    lane: number,
    sequence: number,
    timestamp: number,
    arrivalUs: number,
    flags: number,
    payloadOffset: number,
    payloadLength: number,
  ): void;
  /** One lost packet. The durations of a hole add up to the hole. */
  lost(lane: number, sequence: number, timestamp: number, durationTicks: number, nowUs: number): void;
}

export interface JitterOptions {
  readonly lanes: number;
  /** Packets that may be held at the same time, of all lanes; a power of two. */
  readonly packets: number;
  /** How long each packet is held. */
  readonly holdUs: number;
  /** How long it is held while the lane loses more than 5 %. */
  readonly wideHoldUs: number;
}

const NONE = -1;

/**
 * The jitter buffer of all lanes. A lane is one channel of one stream, with numbers, order and loss of its own.
 *
 * Each packet is held until its hold is over; then it leaves and takes along everything before it in its lane. When
 * its neighbours' turn comes in the ring of packets (packet-ring.ts), they are free already and are stepped over.
 * `arrivalUs` should not fall from insert to insert: a packet that claims to be older than the one inserted before it
 * falls due with that one.
 */
export class JitterBuffer {
  readonly #packets: PacketRing;
  readonly #sequences: Unwrapper;
  readonly #timestamps: Unwrapper;
  readonly #reception: Reception;
  readonly #probation: RestartDetector;
  readonly #order: ChannelOrder;
  readonly #hold: PlayoutDelay;
  readonly #holes: GapEstimator;
  readonly #holdUs: number;
  readonly #wideHoldUs: number;

  readonly #open: Uint8Array;
  /** Numbering at the reception end of the lane, and the one at its release end. 0: nothing yet. */
  readonly #epochIn: Int32Array;
  readonly #epochOut: Int32Array;
  /** The number that follows the last one released. */
  readonly #nextOut: Float64Array;
  /** A packet of the epoch at the reception end with a lower number than this is late. */
  readonly #lateBelow: Float64Array;

  /** @throws TrunklineError CONFIG_INVALID */
  constructor(options: JitterOptions) {
    const { lanes, packets, holdUs, wideHoldUs } = options;
    if (packets < 2 || packets > 2 ** 30 || (packets & (packets - 1)) !== 0) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        `A jitter buffer needs room for a power of two of packets; got ${packets}.`,
      );
    }
    if (!(holdUs >= 0 && wideHoldUs >= holdUs && wideHoldUs < Number.POSITIVE_INFINITY)) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        `Give a hold of 0 or more and a wide hold no shorter; got ${holdUs} and ${wideHoldUs} µs.`,
      );
    }
    this.#holdUs = holdUs;
    this.#wideHoldUs = wideHoldUs;
    this.#packets = new PacketRing(packets, Float64Array.of(0, holdUs, wideHoldUs, CANDIDATE_TIMEOUT_US));
    this.#sequences = new Unwrapper(lanes, MODULUS_16);
    this.#timestamps = new Unwrapper(lanes, MODULUS_32);
    this.#reception = new Reception(lanes, this.#packets);
    this.#probation = new RestartDetector(lanes, this.#packets, this.#sequences, this.#reception);
    this.#order = new ChannelOrder(lanes, this.#packets);
    this.#hold = new PlayoutDelay(lanes);
    this.#holes = new GapEstimator(lanes, this.#packets);

    this.#open = new Uint8Array(lanes);
    this.#epochIn = new Int32Array(lanes);
    this.#epochOut = new Int32Array(lanes);
    this.#nextOut = new Float64Array(lanes);
    this.#lateBelow = new Float64Array(lanes);
  }

  /** Begins a lane with fresh counts. @param clockRate RTP timestamp units a second. */
  openLane(lane: number, clockRate: number): void {
    this.closeLane(lane);
    this.#open[lane] = 1;
    this.#epochIn[lane] = 0;
    this.#epochOut[lane] = 0;
    this.#sequences.open(lane);
    this.#timestamps.open(lane);
    this.#reception.open(lane, clockRate);
    this.#hold.open(lane);
    this.#holes.open(lane, clockRate);
  }

  /** Throws away what the lane holds. Its counts can still be read until it is opened again. */
  closeLane(lane: number): void {
    this.#free(this.#order.first(lane));
    this.#order.clear(lane);
    this.#free(this.#probation.clear(lane));
    this.#open[lane] = 0;
    this.#packets.trim();
  }

  /**
   * The lane's connection broke and comes back: the next packet goes on with the numbering, after whatever gap, or
   * begins a new one at once, without probation. Numbers of the history whose timestamps fit are sent once more.
   */
  interrupted(lane: number): void {
    this.#settleTrial(lane);
    this.#packets.trim();
    this.#reception.interrupted(lane);
  }

  /** Takes in one packet; sequence and timestamp as on the wire. */
  insert(
    lane: number,
    sequence: number,
    timestamp: number,
    arrivalUs: number,
    flags: number,
    payloadOffset: number,
    payloadLength: number,
  ): InsertOutcome {
    const packets = this.#packets;
    const d = packets.incoming();
    packets.lane[d] = lane;
    packets.wireSequence[d] = sequence;
    packets.wireTimestamp[d] = timestamp;
    packets.arrivalUs[d] = arrivalUs;
    packets.flags[d] = flags;
    packets.payloadOffset[d] = payloadOffset;
    packets.payloadLength[d] = payloadLength;
    return this.#take(lane, d);
  }

  /**
   * Lets go everything that is due, in order within each lane, as long as `out` is ready for it. Returns how many
   * packets and holes that gave it.
   */
  advance(nowUs: number, out: JitterOutput): number {
    if (this.#packets.oldest() === NONE) return 0;
    const calls =
      this.#releaseDue(KIND.NARROW, nowUs, out) +
      this.#releaseDue(KIND.WIDE, nowUs, out) +
      this.#releaseDue(KIND.CANDIDATE, nowUs, out);
    this.#packets.trim();
    return calls;
  }

  /** The stream ends: lets go everything the lane holds, holes between as lost. */
  flushLane(lane: number, nowUs: number, out: JitterOutput): void {
    this.#settleTrial(lane);
    const last = this.#order.last(lane);
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
  counts(lane: number): ReceptionCounts {
    const counts = zeroCounts();
    this.addCounts(lane, counts);
    return counts;
  }

  /** The same, added to `sum`. */
  addCounts(lane: number, sum: ReceptionCounts): void {
    this.#reception.addCounts(lane, sum);
  }

  /** The hold that the lane's next packet will have. */
  holdUs(lane: number): number {
    return this.#hold.isWide(lane) ? this.#wideHoldUs : this.#holdUs;
  }

  // ---- in

  #take(lane: number, d: number): InsertOutcome {
    const packets = this.#packets;
    const sequence = packets.wireSequence[d] as number;
    const timestamp = packets.wireTimestamp[d] as number;
    if (this.#open[lane] !== 1) return INSERTED.CLOSED;
    if (!Number.isSafeInteger(sequence) || sequence < 0 || !Number.isSafeInteger(timestamp) || timestamp < 0) {
      return INSERTED.INVALID;
    }
    packets.sequence[d] = this.#sequences.unwrap(lane, sequence);
    packets.timestamp[d] = this.#timestamps.unwrap(lane, timestamp);
    switch (this.#reception.judge(lane, d)) {
      case VERDICT.AHEAD:
        this.#goAhead(lane, d);
        break;
      case VERDICT.BEHIND:
        this.#reception.behind(lane, d);
        if ((packets.sequence[d] as number) < (this.#lateBelow[lane] as number)) {
          this.#reception.late(lane);
          return INSERTED.LATE;
        }
        break;
      case VERDICT.DUPLICATE:
        this.#reception.duplicate(lane);
        return INSERTED.DUPLICATE;
      case VERDICT.STRANGE:
        return this.#tryRestart(lane, d);
      case VERDICT.BEGIN:
        this.#beginEpoch(lane, d);
        break;
    }
    if (!packets.keep(this.#hold.isWide(lane) ? KIND.WIDE : KIND.NARROW)) {
      this.#reception.dropped(lane);
      return INSERTED.FULL;
    }
    this.#enter(lane, d);
    return INSERTED.ACCEPTED;
  }

  #goAhead(lane: number, d: number): void {
    const packets = this.#packets;
    this.#reception.ahead(lane, d);
    this.#sequences.accept(lane, packets.wireSequence[d] as number, packets.sequence[d] as number);
    this.#timestamps.accept(lane, packets.wireTimestamp[d] as number, packets.timestamp[d] as number);
  }

  #beginEpoch(lane: number, d: number): void {
    const packets = this.#packets;
    packets.sequence[d] = this.#sequences.restart(lane, packets.wireSequence[d] as number);
    // Timestamps are unwrapped across a restart: a sender may begin its numbers anew and go on with its clock.
    this.#timestamps.accept(lane, packets.wireTimestamp[d] as number, packets.timestamp[d] as number);
    this.#reception.begin(lane, d);
    this.#epochIn[lane] = (this.#epochIn[lane] as number) + 1;
    this.#lateBelow[lane] = Number.NEGATIVE_INFINITY;
  }

  /** Puts a packet in its place in the lane's order. */
  #enter(lane: number, d: number): void {
    const packets = this.#packets;
    const after = this.#order.enter(lane, d, this.#epochIn[lane] as number);
    const isSaved = after !== NONE && packets.isDue(after, KIND.NARROW, packets.arrivalUs[d] as number);
    packets.saved[d] = isSaved ? 1 : 0;
  }

  // ---- out

  #releaseDue(kind: PacketDelayKind, nowUs: number, out: JitterOutput): number {
    const packets = this.#packets;
    let calls = 0;
    for (;;) {
      const d = packets.nextOf(kind);
      if (d === NONE || !packets.isDue(d, kind, nowUs) || !out.isReady()) return calls;
      // Either way the packet is free afterwards, or it is a restart now and let go at the next look.
      if (packets.epoch[d] === CANDIDATE) this.#settleTrial(packets.lane[d] as number);
      else calls += this.#releaseThrough(d, nowUs, out);
    }
  }

  /** Lets go the packets of a lane up to and including `last`. */
  #releaseThrough(last: number, nowUs: number, out: JitterOutput): number {
    const lane = this.#packets.lane[last] as number;
    let calls = 0;
    let d: number;
    do {
      d = this.#order.first(lane);
      calls += this.#releaseFirst(lane, d, nowUs, out);
    } while (d !== last);
    return calls;
  }

  #releaseFirst(lane: number, d: number, nowUs: number, out: JitterOutput): number {
    const packets = this.#packets;
    const sequence = packets.sequence[d] as number;
    const epoch = packets.epoch[d] as number;
    const follows = epoch === this.#epochOut[lane];
    const missing = follows ? sequence - (this.#nextOut[lane] as number) : 0;
    const isFirst = this.#epochOut[lane] === 0;

    // The lane is in order again before `out` is called, so that an error thrown there does no harm here.
    this.#order.shift(lane);
    packets.kind[d] = KIND.FREE;
    this.#epochOut[lane] = epoch;
    this.#nextOut[lane] = sequence + 1;
    if (epoch === this.#epochIn[lane]) this.#lateBelow[lane] = sequence + 1;
    this.#hold.place(lane, packets.saved[d] as number);

    let calls = 1;
    let flags = packets.flags[d] as number;
    if (isFirst) {
      this.#holes.begin(lane, d);
    } else if (follows && missing === 0) {
      this.#holes.follow(lane, d);
    } else if (follows && this.#holes.measure(lane, missing, d)) {
      calls += this.#releaseHole(lane, d, missing, nowUs, out);
      this.#holes.fill(lane, d);
    } else {
      flags |= DISCONTINUITY;
      this.#holes.jump(lane, d);
    }
    out.packet(
      lane,
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
  #releaseHole(lane: number, d: number, missing: number, nowUs: number, out: JitterOutput): number {
    const from = (this.#packets.sequence[d] as number) - missing;
    for (let i = 0; i < missing; i++) {
      this.#hold.place(lane, 1);
      out.lost(lane, from + i, this.#holes.startOf(i), this.#holes.ticksOf(i), nowUs);
    }
    return missing;
  }

  // ---- restarts of the sender

  #tryRestart(lane: number, d: number): InsertOutcome {
    switch (this.#probation.classify(lane, d)) {
      case CLASSIFICATION.DUPLICATE:
        this.#reception.duplicate(lane);
        return INSERTED.DUPLICATE;
      case CLASSIFICATION.CONFIRMED:
        this.#confirmTrial(lane);
        return this.#take(lane, d);
      case CLASSIFICATION.REPLACE:
        this.#dismissTrial(lane);
        break;
    }
    if (!this.#packets.keep(KIND.CANDIDATE)) {
      this.#reception.refused(lane, d);
      return INSERTED.FULL;
    }
    this.#probation.add(lane, d);
    return INSERTED.PROBATION;
  }

  /** Decides on the candidates, if any, by what is known now. */
  #settleTrial(lane: number): void {
    if (this.#probation.first(lane) === NONE) return;
    if (this.#probation.isCredible(lane)) this.#confirmTrial(lane);
    else this.#dismissTrial(lane);
  }

  #dismissTrial(lane: number): void {
    const dismissed = this.#free(this.#probation.clear(lane));
    for (let i = 0; i < dismissed; i++) this.#reception.duplicate(lane);
  }

  /** The candidates become the beginning of a new epoch. They go out when the next packet does, or after probation. */
  #confirmTrial(lane: number): void {
    const packets = this.#packets;
    let d = this.#probation.clear(lane);
    for (let isFirst = true; d !== NONE; isFirst = false) {
      const next = packets.next[d] as number;
      packets.sequence[d] = this.#sequences.unwrap(lane, packets.wireSequence[d] as number);
      packets.timestamp[d] = this.#timestamps.unwrap(lane, packets.wireTimestamp[d] as number);
      if (isFirst) this.#beginEpoch(lane, d);
      else if (this.#reception.judge(lane, d) === VERDICT.AHEAD) this.#goAhead(lane, d);
      else this.#reception.behind(lane, d);
      this.#enter(lane, d);
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
