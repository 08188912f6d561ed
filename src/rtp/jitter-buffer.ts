import { TrunklineError } from '../core/errors.js';
import type { ReceptionCounts } from '../core/events.js';
import { HoldControl } from './hold.js';
import { HoleSplitter } from './hole.js';
import { type HoldKind, KIND, PacketRing } from './packet-ring.js';
import { MAX_MISORDER, Reception, VERDICT } from './reception.js';
import { MODULUS_16, MODULUS_32, Unwrapper } from './sequence.js';

/** What becomes of a packet at insert(). Only an ACCEPTED or PROBATION one keeps its payload. */
export const INSERTED = {
  ACCEPTED: 0,
  DUPLICATE: 1,
  /** Counted as received, but its place has been given up. */
  LATE: 2,
  /** No descriptor free: counted as dropped. */
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

/** How long an unconfirmed restart is held, at most. */
export const PROBATION_US = 100_000;
/** So many packets around one number are a restart, even if no two of them are consecutive. */
const MAX_CANDIDATES = 8;

/** Where released packets go. Must not call back into the buffer. */
export interface JitterOutput {
  /**
   * One packet, in order of its lane. Sequence and timestamp are unwrapped; payload and flags are as given to
   * insert(), with DISCONTINUITY added after a restart of the sender or a hole too long to be filled.
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
/** In place of an epoch: the packet is a candidate for a restart. */
const ON_TRIAL = -1;

/**
 * The jitter buffer of all lanes. A lane is one channel of one stream, with numbers, order and loss of its own.
 *
 * Each packet is held until its hold is over; then it leaves and takes along everything before it in its lane. When
 * its neighbours' turn comes in the ring of packets (packet-ring.ts), they are free already and are stepped over.
 * `arrivalUs` should not fall from insert to insert: a packet that claims to be older than the one inserted before it
 * falls due with that one.
 *
 * Within a lane, packets are a doubly linked list in sequence order, entered from the back: a packet in order costs
 * one look, one out of order as many as packets overtook it (never more than the history of reception.ts). Against a
 * ring of slots by sequence number this needs no room for packets that are not there and no growing, and a restarted
 * numbering simply follows behind the old one.
 */
export class JitterBuffer {
  readonly #packets: PacketRing;
  readonly #sequences: Unwrapper;
  readonly #timestamps: Unwrapper;
  readonly #reception: Reception;
  readonly #hold: HoldControl;
  readonly #holes: HoleSplitter;
  readonly #holdUs: number;
  readonly #wideHoldUs: number;

  readonly #open: Uint8Array;
  readonly #first: Int32Array;
  readonly #last: Int32Array;
  /** Numbering at the reception end of the lane, and the one at its release end. 0: nothing yet. */
  readonly #epochIn: Int32Array;
  readonly #epochOut: Int32Array;
  /** The number that follows the last one released. */
  readonly #nextOut: Float64Array;
  /** A packet of the epoch at the reception end with a lower number than this is late. */
  readonly #lateBelow: Float64Array;
  /** Candidates for a restart, in order of arrival. */
  readonly #trialFirst: Int32Array;
  /** 1: by number and timestamp they look like copies of packets long gone. */
  readonly #trialCopies: Uint8Array;
  /** Packets received when the candidate came: if the number has grown, the old numbering lives. */
  readonly #trialReceived: Float64Array;

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
    this.#packets = new PacketRing(packets, Float64Array.of(0, holdUs, wideHoldUs, PROBATION_US));
    this.#sequences = new Unwrapper(lanes, MODULUS_16);
    this.#timestamps = new Unwrapper(lanes, MODULUS_32);
    this.#reception = new Reception(lanes, this.#packets);
    this.#hold = new HoldControl(lanes);
    this.#holes = new HoleSplitter(lanes, this.#packets);

    this.#open = new Uint8Array(lanes);
    this.#first = new Int32Array(lanes).fill(NONE);
    this.#last = new Int32Array(lanes).fill(NONE);
    this.#epochIn = new Int32Array(lanes);
    this.#epochOut = new Int32Array(lanes);
    this.#nextOut = new Float64Array(lanes);
    this.#lateBelow = new Float64Array(lanes);
    this.#trialFirst = new Int32Array(lanes).fill(NONE);
    this.#trialCopies = new Uint8Array(lanes);
    this.#trialReceived = new Float64Array(lanes);
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
    this.#free(this.#first[lane] as number);
    this.#free(this.#trialFirst[lane] as number);
    this.#first[lane] = NONE;
    this.#last[lane] = NONE;
    this.#trialFirst[lane] = NONE;
    this.#open[lane] = 0;
    this.#packets.trim();
  }

  /**
   * The lane's connection broke and comes back: the next packet goes on with the numbering, after whatever gap, or
   * begins a new one at once, without probation.
   */
  interrupted(lane: number): void {
    if (this.#trialFirst[lane] !== NONE) {
      this.#settleTrial(lane);
      this.#packets.trim();
    }
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

  /** Lets go everything that is due, in order within each lane. Returns how many calls to `out` that made. */
  advance(nowUs: number, out: JitterOutput): number {
    if (this.#packets.oldest() === NONE) return 0;
    const calls =
      this.#releaseDue(KIND.NARROW, nowUs, out) +
      this.#releaseDue(KIND.WIDE, nowUs, out) +
      this.#releaseDue(KIND.TRIAL, nowUs, out);
    this.#packets.trim();
    return calls;
  }

  /** The stream ends: lets go everything the lane holds, holes between as lost. */
  flushLane(lane: number, nowUs: number, out: JitterOutput): void {
    if (this.#trialFirst[lane] !== NONE) this.#settleTrial(lane);
    if (this.#last[lane] !== NONE) this.#releaseThrough(this.#last[lane] as number, nowUs, out);
    this.#packets.trim();
  }

  /** When advance() will next have something to do, or Infinity. */
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
    return this.#reception.counts(lane);
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
    const epoch = this.#epochIn[lane] as number;
    const sequence = packets.sequence[d] as number;
    let before = this.#last[lane] as number;
    let after = NONE;
    while (before !== NONE && packets.epoch[before] === epoch && (packets.sequence[before] as number) > sequence) {
      after = before;
      before = packets.previous[before] as number;
    }
    packets.epoch[d] = epoch;
    packets.saved[d] = 0;
    packets.previous[d] = before;
    packets.next[d] = after;
    if (before === NONE) this.#first[lane] = d;
    else packets.next[before] = d;
    if (after === NONE) {
      this.#last[lane] = d;
    } else {
      packets.previous[after] = d;
      if (packets.isDue(after, KIND.NARROW, packets.arrivalUs[d] as number)) packets.saved[d] = 1;
    }
  }

  // ---- out

  #releaseDue(kind: HoldKind, nowUs: number, out: JitterOutput): number {
    const packets = this.#packets;
    let calls = 0;
    for (;;) {
      const d = packets.nextOf(kind);
      if (d === NONE || !packets.isDue(d, kind, nowUs)) return calls;
      // Either way the packet is free afterwards, or it is a restart now and let go at the next look.
      if (packets.epoch[d] === ON_TRIAL) this.#settleTrial(packets.lane[d] as number);
      else calls += this.#releaseThrough(d, nowUs, out);
    }
  }

  /** Lets go the packets of a lane up to and including `last`. */
  #releaseThrough(last: number, nowUs: number, out: JitterOutput): number {
    const lane = this.#packets.lane[last] as number;
    let calls = 0;
    let d: number;
    do {
      d = this.#first[lane] as number;
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
    const restarted = !follows && this.#epochOut[lane] !== 0;

    // The lane is in order again before `out` is called, so that an error thrown there does no harm here.
    const next = packets.next[d] as number;
    this.#first[lane] = next;
    if (next === NONE) this.#last[lane] = NONE;
    else packets.previous[next] = NONE;
    packets.kind[d] = KIND.FREE;
    this.#epochOut[lane] = epoch;
    this.#nextOut[lane] = sequence + 1;
    if (epoch === this.#epochIn[lane]) this.#lateBelow[lane] = sequence + 1;
    this.#hold.place(lane, packets.saved[d] as number);

    let calls = 1;
    let flags = packets.flags[d] as number;
    if (restarted) {
      flags |= DISCONTINUITY;
    } else if (missing > 0) {
      if (this.#holes.measure(lane, missing, d)) calls += this.#releaseHole(lane, d, missing, nowUs, out);
      else flags |= DISCONTINUITY;
    }
    this.#holes.packet(lane, follows && missing === 0, d);
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

  // ---- restarts of the sender (RFC 3550 A.1)

  /**
   * A number out of all order. Nothing is decided by one such packet: it is held, and when a second one follows with
   * the number before or after it, both are the beginning of a new epoch.
   */
  #tryRestart(lane: number, d: number): InsertOutcome {
    const packets = this.#packets;
    const sequence = packets.wireSequence[d] as number;
    const first = this.#trialFirst[lane] as number;
    if (first !== NONE) {
      const away = this.#sequences.distance(lane, packets.wireSequence[first] as number, sequence);
      // Copies that come in between the packets of a living numbering confirm nothing.
      const copies = this.#trialCopies[lane] === 1 && this.#heardSinceTrial(lane);
      if (Math.abs(away) >= MAX_MISORDER || copies) this.#dismissTrial(lane);
    }
    let candidates = 0;
    let last = NONE;
    for (let c = this.#trialFirst[lane] as number; c !== NONE; c = packets.next[c] as number) {
      const away = this.#sequences.distance(lane, packets.wireSequence[c] as number, sequence);
      if (away === 0) {
        this.#reception.duplicate(lane);
        return INSERTED.DUPLICATE;
      }
      if (away === 1 || away === -1 || ++candidates >= MAX_CANDIDATES) {
        this.#confirmTrial(lane);
        return this.#take(lane, d);
      }
      last = c;
    }
    if (!packets.keep(KIND.TRIAL)) {
      this.#reception.dropped(lane);
      return INSERTED.FULL;
    }
    packets.epoch[d] = ON_TRIAL;
    packets.next[d] = NONE;
    if (last === NONE) {
      this.#trialFirst[lane] = d;
      this.#trialReceived[lane] = this.#reception.received(lane);
      this.#trialCopies[lane] = this.#reception.fits(lane, d) ? 1 : 0;
    } else {
      packets.next[last] = d;
    }
    return INSERTED.PROBATION;
  }

  #heardSinceTrial(lane: number): boolean {
    return this.#reception.received(lane) !== this.#trialReceived[lane];
  }

  /**
   * Time is up and nothing has confirmed the restart. If nothing has spoken against it either (the old numbering is
   * silent, and the candidate is no copy), it is one: better than to lose the first words after a pause.
   */
  #settleTrial(lane: number): void {
    if (this.#heardSinceTrial(lane) || this.#trialCopies[lane] === 1) this.#dismissTrial(lane);
    else this.#confirmTrial(lane);
  }

  #dismissTrial(lane: number): void {
    const dismissed = this.#free(this.#trialFirst[lane] as number);
    for (let i = 0; i < dismissed; i++) this.#reception.duplicate(lane);
    this.#trialFirst[lane] = NONE;
  }

  /** The candidates become the beginning of a new epoch. They go out when the next packet does, or after probation. */
  #confirmTrial(lane: number): void {
    const packets = this.#packets;
    let d = this.#trialFirst[lane] as number;
    this.#trialFirst[lane] = NONE;
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
