import type { ReceptionCounts } from '../core/events.js';
import { TrunklineError } from '../core/errors.js';
import { HoldControl } from './hold.js';
import { HoleSplitter } from './hole.js';
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

/** Which hold a descriptor is under; the index of its cursor. */
const KIND = { FREE: 0, NARROW: 1, WIDE: 2, TRIAL: 3 } as const;

const NONE = -1;
/** In place of an epoch: the packet is a candidate for a restart. */
const ON_TRIAL = -1;

/**
 * The jitter buffer of all lanes. A lane is one channel of one stream, with numbers, order and loss of its own.
 *
 * Descriptors are a ring in the order of insertion. As there are only two holds (and probation), all packets under
 * one of them fall due in that order: a cursor for each, which steps over what is not its own, finds the next due one
 * without a timer, a heap or a search. The ring's head is the oldest packet held, to which payload memory is free.
 *
 * Within a lane, packets are a doubly linked list in sequence order, entered from the back: a packet in order costs
 * one look, one out of order as many as packets overtook it (never more than the history of reception.ts). Against a
 * ring of slots by sequence number this needs no room for packets that are not there and no growing, and a restarted
 * numbering simply follows behind the old one.
 *
 * A packet leaves when its hold is over, and takes along everything before it in its lane; its descriptor is then
 * free, and its cursor will step over it. `arrivalUs` should not fall from insert to insert: a packet that claims to
 * be older than the one before falls due with that one.
 */
export class JitterBuffer {
  readonly #sequences: Unwrapper;
  readonly #timestamps: Unwrapper;
  readonly #reception: Reception;
  readonly #hold: HoldControl;
  readonly #holes: HoleSplitter;
  readonly #holdUsOf: Float64Array;

  // Descriptors.
  readonly #mask: number;
  readonly #kind: Uint8Array;
  readonly #flags: Uint8Array;
  /** 1: in time only because the hold is wide. */
  readonly #saved: Uint8Array;
  readonly #lane: Int32Array;
  /** Epoch of the lane, or ON_TRIAL. */
  readonly #epoch: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #payloadOffset: Int32Array;
  readonly #payloadLength: Int32Array;
  /** Unwrapped, as is the timestamp; on trial, both as on the wire. */
  readonly #sequence: Float64Array;
  readonly #timestamp: Float64Array;
  readonly #arrivalUs: Float64Array;
  // Counters modulo 2^32, of which the low bits index the ring; differences are right across the wrap.
  #head = 0;
  #tail = 0;
  readonly #cursor = new Int32Array(4);

  // Lanes.
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
    this.#sequences = new Unwrapper(lanes, MODULUS_16);
    this.#timestamps = new Unwrapper(lanes, MODULUS_32);
    this.#reception = new Reception(lanes);
    this.#hold = new HoldControl(lanes);
    this.#holes = new HoleSplitter(lanes);
    this.#holdUsOf = Float64Array.of(0, holdUs, wideHoldUs, PROBATION_US);

    this.#mask = packets - 1;
    this.#kind = new Uint8Array(packets);
    this.#flags = new Uint8Array(packets);
    this.#saved = new Uint8Array(packets);
    this.#lane = new Int32Array(packets);
    this.#epoch = new Int32Array(packets);
    this.#next = new Int32Array(packets);
    this.#previous = new Int32Array(packets);
    this.#payloadOffset = new Int32Array(packets);
    this.#payloadLength = new Int32Array(packets);
    this.#sequence = new Float64Array(packets);
    this.#timestamp = new Float64Array(packets);
    this.#arrivalUs = new Float64Array(packets);

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
    for (let d = this.#first[lane] as number; d !== NONE; d = this.#next[d] as number) this.#kind[d] = KIND.FREE;
    for (let d = this.#trialFirst[lane] as number; d !== NONE; d = this.#next[d] as number) this.#kind[d] = KIND.FREE;
    this.#first[lane] = NONE;
    this.#last[lane] = NONE;
    this.#trialFirst[lane] = NONE;
    this.#open[lane] = 0;
    this.#trim();
  }

  /**
   * The lane's connection broke and comes back: the next packet goes on with the numbering, after whatever gap, or
   * begins a new one at once, without probation.
   */
  interrupted(lane: number): void {
    if (this.#trialFirst[lane] !== NONE) this.#settleTrial(lane);
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
    if (this.#open[lane] !== 1) return INSERTED.CLOSED;
    if (!Number.isSafeInteger(sequence) || sequence < 0 || !Number.isSafeInteger(timestamp) || timestamp < 0) {
      return INSERTED.INVALID;
    }
    let number = this.#sequences.unwrap(lane, sequence);
    const time = this.#timestamps.unwrap(lane, timestamp);
    const verdict = this.#reception.judge(lane, number, time, arrivalUs);
    switch (verdict) {
      case VERDICT.AHEAD:
        this.#reception.ahead(lane, number, time, arrivalUs, payloadLength);
        this.#sequences.accept(lane, sequence, number);
        this.#timestamps.accept(lane, timestamp, time);
        break;
      case VERDICT.BEHIND:
        this.#reception.behind(lane, number, time, arrivalUs, payloadLength);
        if (number < (this.#lateBelow[lane] as number)) {
          this.#reception.late(lane);
          return INSERTED.LATE;
        }
        break;
      case VERDICT.DUPLICATE:
        this.#reception.duplicate(lane);
        return INSERTED.DUPLICATE;
      case VERDICT.STRANGE:
        return this.#tryRestart(lane, sequence, timestamp, arrivalUs, flags, payloadOffset, payloadLength);
      case VERDICT.BEGIN:
        number = this.#beginEpoch(lane, sequence, timestamp, arrivalUs, payloadLength);
        break;
    }
    const d = this.#claim(lane, number, time, arrivalUs, flags, payloadOffset, payloadLength);
    if (d === NONE) return INSERTED.FULL;
    this.#kind[d] = this.#hold.isWide(lane) ? KIND.WIDE : KIND.NARROW;
    this.#enter(lane, d);
    return INSERTED.ACCEPTED;
  }

  /** Lets go everything that is due, in order within each lane. Returns how many calls to `out` that made. */
  advance(nowUs: number, out: JitterOutput): number {
    if (this.#head === this.#tail) return 0;
    const calls =
      this.#releaseDue(KIND.NARROW, nowUs, out) +
      this.#releaseDue(KIND.WIDE, nowUs, out) +
      this.#releaseDue(KIND.TRIAL, nowUs, out);
    this.#trim();
    return calls;
  }

  /** The stream ends: lets go everything the lane holds, holes between as lost. */
  flushLane(lane: number, nowUs: number, out: JitterOutput): void {
    if (this.#trialFirst[lane] !== NONE) this.#settleTrial(lane);
    if (this.#last[lane] !== NONE) this.#releaseThrough(this.#last[lane] as number, nowUs, out);
    this.#trim();
  }

  /** When advance() will next have something to do, or Infinity. */
  nextDueUs(): number {
    return Math.min(this.#nextDueOf(KIND.NARROW), this.#nextDueOf(KIND.WIDE), this.#nextDueOf(KIND.TRIAL));
  }

  /** Payload offset of the packet that was inserted first among those held, or −1. */
  oldestPayloadOffset(): number {
    return this.#head === this.#tail ? -1 : (this.#payloadOffset[this.#head & this.#mask] as number);
  }

  /** A fresh object, as of now. */
  counts(lane: number): ReceptionCounts {
    return this.#reception.counts(lane);
  }

  /** The hold that the lane's next packet will have. */
  holdUs(lane: number): number {
    return this.#holdUsOf[this.#hold.isWide(lane) ? KIND.WIDE : KIND.NARROW] as number;
  }

  #beginEpoch(lane: number, sequence: number, timestamp: number, arrivalUs: number, bytes: number): number {
    const number = this.#sequences.restart(lane, sequence);
    // Timestamps are unwrapped across a restart: a sender may begin its numbers anew and go on with its clock.
    const time = this.#timestamps.unwrap(lane, timestamp);
    this.#timestamps.accept(lane, timestamp, time);
    this.#reception.begin(lane, number, time, arrivalUs, bytes);
    this.#epochIn[lane] = (this.#epochIn[lane] as number) + 1;
    this.#lateBelow[lane] = Number.NEGATIVE_INFINITY;
    return number;
  }

  /** The next descriptor, filled in, or NONE when all are taken: then the packet is counted as dropped. */
  #claim(
    lane: number,
    sequence: number,
    timestamp: number,
    arrivalUs: number,
    flags: number,
    payloadOffset: number,
    payloadLength: number,
  ): number {
    if (((this.#tail - this.#head) | 0) > this.#mask) {
      this.#reception.dropped(lane);
      return NONE;
    }
    const d = this.#tail & this.#mask;
    this.#tail = (this.#tail + 1) | 0;
    this.#lane[d] = lane;
    this.#sequence[d] = sequence;
    this.#timestamp[d] = timestamp;
    this.#arrivalUs[d] = arrivalUs;
    this.#flags[d] = flags;
    this.#payloadOffset[d] = payloadOffset;
    this.#payloadLength[d] = payloadLength;
    this.#saved[d] = 0;
    return d;
  }

  /** Puts a descriptor in its place in the lane's order. */
  #enter(lane: number, d: number): void {
    const epoch = this.#epochIn[lane] as number;
    const sequence = this.#sequence[d] as number;
    let before = this.#last[lane] as number;
    let after = NONE;
    while (before !== NONE && this.#epoch[before] === epoch && (this.#sequence[before] as number) > sequence) {
      after = before;
      before = this.#previous[before] as number;
    }
    this.#epoch[d] = epoch;
    this.#previous[d] = before;
    this.#next[d] = after;
    if (before === NONE) this.#first[lane] = d;
    else this.#next[before] = d;
    if (after === NONE) {
      this.#last[lane] = d;
    } else {
      this.#previous[after] = d;
      const overtakenUs = (this.#arrivalUs[d] as number) - (this.#arrivalUs[after] as number);
      if (overtakenUs >= (this.#holdUsOf[KIND.NARROW] as number)) this.#saved[d] = 1;
    }
  }

  #releaseDue(kind: 1 | 2 | 3, nowUs: number, out: JitterOutput): number {
    const holdUs = this.#holdUsOf[kind] as number;
    let calls = 0;
    let at = this.#cursor[kind] as number;
    while (at !== this.#tail) {
      const d = at & this.#mask;
      if (this.#kind[d] === kind) {
        if ((this.#arrivalUs[d] as number) + holdUs > nowUs) break;
        // Either way the descriptor is free afterwards, or it is a restart now and let go at the next look.
        if (this.#epoch[d] === ON_TRIAL) this.#settleTrial(this.#lane[d] as number);
        else calls += this.#releaseThrough(d, nowUs, out);
      } else {
        at = (at + 1) | 0;
      }
    }
    this.#cursor[kind] = at;
    return calls;
  }

  /** Lets go the packets of a lane up to and including `last`. */
  #releaseThrough(last: number, nowUs: number, out: JitterOutput): number {
    const lane = this.#lane[last] as number;
    let calls = 0;
    let d: number;
    do {
      d = this.#first[lane] as number;
      calls += this.#releaseFirst(lane, d, nowUs, out);
    } while (d !== last);
    return calls;
  }

  #releaseFirst(lane: number, d: number, nowUs: number, out: JitterOutput): number {
    const sequence = this.#sequence[d] as number;
    const timestamp = this.#timestamp[d] as number;
    const length = this.#payloadLength[d] as number;
    const epoch = this.#epoch[d] as number;
    const follows = epoch === this.#epochOut[lane];
    const missing = follows ? sequence - (this.#nextOut[lane] as number) : 0;
    const restarted = !follows && this.#epochOut[lane] !== 0;

    // All is in order again before `out` is called, so that an error thrown there does no harm here.
    const next = this.#next[d] as number;
    this.#first[lane] = next;
    if (next === NONE) this.#last[lane] = NONE;
    else this.#previous[next] = NONE;
    this.#kind[d] = KIND.FREE;
    this.#epochOut[lane] = epoch;
    this.#nextOut[lane] = sequence + 1;
    if (epoch === this.#epochIn[lane]) this.#lateBelow[lane] = sequence + 1;
    this.#hold.place(lane, this.#saved[d] as 0 | 1);

    let calls = 1;
    let flags = this.#flags[d] as number;
    if (restarted) {
      flags |= DISCONTINUITY;
    } else if (missing > 0) {
      if (this.#holes.measure(lane, missing, timestamp)) {
        for (let i = 0; i < missing; i++) {
          this.#hold.place(lane, 1);
          out.lost(lane, sequence - missing + i, this.#holes.startOf(i), this.#holes.ticksOf(i), nowUs);
        }
        calls += missing;
      } else {
        flags |= DISCONTINUITY;
      }
    }
    this.#holes.packet(lane, follows && missing === 0, timestamp, length);
    out.packet(
      lane,
      sequence,
      timestamp,
      this.#arrivalUs[d] as number,
      flags,
      this.#payloadOffset[d] as number,
      length,
    );
    return calls;
  }

  /**
   * A number out of all order (RFC 3550 A.1). Nothing is decided by one such packet: it is held, and when a second
   * one follows with the number before or after it, both are the beginning of a new epoch.
   */
  #tryRestart(
    lane: number,
    sequence: number,
    timestamp: number,
    arrivalUs: number,
    flags: number,
    payloadOffset: number,
    payloadLength: number,
  ): InsertOutcome {
    const first = this.#trialFirst[lane] as number;
    if (first !== NONE) {
      const away = this.#sequences.distance(lane, this.#sequence[first] as number, sequence);
      // Copies that come in between the packets of a living numbering confirm nothing.
      const copies = this.#trialCopies[lane] === 1 && this.#heardSinceTrial(lane);
      if (Math.abs(away) >= MAX_MISORDER || copies) this.#dismissTrial(lane);
    }
    let candidates = 0;
    let last = NONE;
    for (let d = this.#trialFirst[lane] as number; d !== NONE; d = this.#next[d] as number) {
      const away = this.#sequences.distance(lane, this.#sequence[d] as number, sequence);
      if (away === 0) {
        this.#reception.duplicate(lane);
        return INSERTED.DUPLICATE;
      }
      if (away === 1 || away === -1 || ++candidates >= MAX_CANDIDATES) {
        this.#confirmTrial(lane);
        return this.insert(lane, sequence, timestamp, arrivalUs, flags, payloadOffset, payloadLength);
      }
      last = d;
    }
    const d = this.#claim(lane, sequence, timestamp, arrivalUs, flags, payloadOffset, payloadLength);
    if (d === NONE) return INSERTED.FULL;
    this.#kind[d] = KIND.TRIAL;
    this.#epoch[d] = ON_TRIAL;
    this.#next[d] = NONE;
    if (last === NONE) {
      this.#trialFirst[lane] = d;
      this.#trialReceived[lane] = this.#reception.received(lane);
      const number = this.#sequences.unwrap(lane, sequence);
      this.#trialCopies[lane] = this.#reception.fits(lane, number, this.#timestamps.unwrap(lane, timestamp)) ? 1 : 0;
    } else {
      this.#next[last] = d;
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
    for (let d = this.#trialFirst[lane] as number; d !== NONE; d = this.#next[d] as number) {
      this.#kind[d] = KIND.FREE;
      this.#reception.duplicate(lane);
    }
    this.#trialFirst[lane] = NONE;
  }

  /** The candidates become the beginning of a new epoch. They go out when the next packet does, or after probation. */
  #confirmTrial(lane: number): void {
    let d = this.#trialFirst[lane] as number;
    this.#trialFirst[lane] = NONE;
    let begun = false;
    while (d !== NONE) {
      const next = this.#next[d] as number;
      const wire = this.#sequence[d] as number;
      const wireTime = this.#timestamp[d] as number;
      const arrivalUs = this.#arrivalUs[d] as number;
      const bytes = this.#payloadLength[d] as number;
      const time = this.#timestamps.unwrap(lane, wireTime);
      let number = this.#sequences.unwrap(lane, wire);
      if (!begun) {
        number = this.#beginEpoch(lane, wire, wireTime, arrivalUs, bytes);
      } else if (this.#reception.judge(lane, number, time, arrivalUs) === VERDICT.AHEAD) {
        this.#reception.ahead(lane, number, time, arrivalUs, bytes);
        this.#sequences.accept(lane, wire, number);
        this.#timestamps.accept(lane, wireTime, time);
      } else {
        this.#reception.behind(lane, number, time, arrivalUs, bytes);
      }
      begun = true;
      this.#sequence[d] = number;
      this.#timestamp[d] = time;
      this.#enter(lane, d);
      d = next;
    }
  }

  #nextDueOf(kind: 1 | 2 | 3): number {
    let at = this.#cursor[kind] as number;
    while (at !== this.#tail && this.#kind[at & this.#mask] !== kind) at = (at + 1) | 0;
    this.#cursor[kind] = at;
    if (at === this.#tail) return Number.POSITIVE_INFINITY;
    return (this.#arrivalUs[at & this.#mask] as number) + (this.#holdUsOf[kind] as number);
  }

  /** Gives back the descriptors that are free at the ring's head; no cursor may stay behind it. */
  #trim(): void {
    let head = this.#head;
    while (head !== this.#tail && this.#kind[head & this.#mask] === KIND.FREE) head = (head + 1) | 0;
    this.#head = head;
    for (let kind = KIND.NARROW; kind <= KIND.TRIAL; kind++) {
      if ((((this.#cursor[kind] as number) - head) | 0) < 0) this.#cursor[kind] = head;
    }
  }
}
