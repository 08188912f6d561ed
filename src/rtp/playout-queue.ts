import { ChannelOrder } from './channel-order.js';
import { CHANNEL_FIELDS, FIELD } from './channel-state.js';
import type { AdaptiveDelay } from './delay/adaptive-delay.js';
import { PlayoutDelay } from './delay/playout-delay.js';
import { GapEstimator } from './gap-estimator.js';
import type { PacketColumns } from './packet-columns.js';
import { CANDIDATE_TIMEOUT_US, KIND, type PacketRing } from './packet-ring.js';
import { STALL, type Stall } from './standstill-detector.js';

/** Set on a packet before which the time line jumps. The same bit as FLAG.DISCONTINUITY of the ring's records. */
export const DISCONTINUITY = 2;

/** Where released packets go. Must not call back into the buffer. */
export interface JitterOutput {
  /** Asked before each packet that is due. False keeps it in the buffer, and with it everything that would follow. */
  isReady(): boolean;
  /** Whether it is, and has space for this packet: asked before one that need not wait until it is due. */
  hasSpace(packets: PacketColumns, row: number): boolean;
  /**
   * One packet, in the order of its channel. Its row has the unwrapped sequence and timestamp; DISCONTINUITY is added to
   * its flags after a restart of the sender or a gap that is not filled. The row is valid during the call,
   * and so are those behind it in the list, which are held.
   */
  packet(packets: PacketRing, row: number): void;
  /** The sender stood still before the packet that follows: its timestamps did not advance, time did. */
  standstill(channel: number, durationTicks: number): void;
  /**
   * One lost packet. The durations of all lost packets of a gap add up to the gap. `next` is the row of the packet whose
   * number follows, which may carry a copy of the lost one's audio (in-band FEC) and is valid during the call; −1 where
   * that packet is lost as well.
   */
  lost(
    channel: number,
    sequence: number,
    timestamp: number,
    durationTicks: number,
    nowUs: number,
    packets: PacketColumns,
    next: number,
  ): void;
  /**
   * A packet that arrived after its number had been given up, at once and whether or not the output is ready. It has
   * never been released, and never will be. Its row is as for packet().
   */
  late(packets: PacketColumns, row: number): void;
}

const NONE = -1;

/**
 * The release side of the jitter buffer: which packet leaves next, and what is missing before it.
 *
 * A packet that is due leaves together with everything before it in its channel, so a packet that arrived late but
 * before its successor is due still comes out in order. A number that is missing at that moment is given up: the gap
 * is cut into lost packets (gap-estimator.ts), and a packet that arrives for it later is late.
 *
 * Worked example, 20 ms packets held for 50 ms: 0 arrives at 0 ms, 2 at 40 ms. At 50 ms packet 0 leaves. At 90 ms
 * packet 2 is due, 1 has not come: *lost 1*, then *packet 2*. If 1 arrives at 85 ms it leaves at 90 ms, in order; at
 * 95 ms it is late.
 *
 * With adaptive delays (delay/adaptive-delay.ts) a packet is due at once when nothing is missing before it. Others wait for
 * the delay of their channel: those behind a gap, and the first packet of a numbering, since it is not known what
 * precedes it. In the example, 0 still leaves at 50 ms; 1 at 85 ms would leave at once, and 2 with it.
 */
export class PlayoutQueue {
  readonly #packets: PacketRing;
  readonly #states: Float64Array;
  readonly #order: ChannelOrder;
  readonly #playoutDelay: PlayoutDelay;
  readonly #adaptive: AdaptiveDelay | undefined;
  readonly #gaps: GapEstimator;

  /** @param adaptive without it, every packet is held for one of two fixed delays. */
  constructor(channels: number, packets: PacketRing, states: Float64Array, adaptive?: AdaptiveDelay) {
    this.#packets = packets;
    this.#states = states;
    this.#order = new ChannelOrder(channels, packets);
    this.#playoutDelay = new PlayoutDelay(channels);
    this.#adaptive = adaptive;
    this.#gaps = new GapEstimator(packets, states);
  }

  /** @param clockRate RTP timestamp units a second. */
  open(channel: number, clockRate: number): void {
    const at = channel * CHANNEL_FIELDS;
    this.#states[at + FIELD.RELEASED_EPOCH] = 0;
    this.#playoutDelay.open(channel);
    this.#adaptive?.open(channel);
    this.#gaps.open(channel, clockRate);
  }

  /** Frees every packet of the channel. */
  clear(channel: number): void {
    this.#packets.freeList(this.#order.first(channel));
    this.#order.clear(channel);
  }

  /** Which delay a packet of the channel's latest epoch gets, which was inserted after a stall or not. */
  kindOf(channel: number, d: number, epoch: number, stall: Stall): number {
    const at = channel * CHANNEL_FIELDS;
    const packets = this.#packets;
    let kind: number = this.#playoutDelay.isLonger(channel) ? KIND.LONGER : KIND.NORMAL;
    if (this.#adaptive !== undefined) {
      const isInOrder =
        epoch === this.#states[at + FIELD.RELEASED_EPOCH] &&
        this.#precededBy(d) === this.#states[at + FIELD.FIRST_MISSING];
      kind = isInOrder ? KIND.IN_ORDER : KIND.BEHIND_GAP + this.#adaptive.classOf(channel);
      if (stall === STALL.SHORT && packets.delayUs(kind) < packets.delayUs(KIND.NORMAL)) return KIND.NORMAL;
    }
    return stall === STALL.LONG && packets.delayUs(kind) < CANDIDATE_TIMEOUT_US ? KIND.CANDIDATE : kind;
  }

  /** Whether the longer of the two fixed delays applies. */
  isLonger(channel: number): boolean {
    return this.#playoutDelay.isLonger(channel);
  }

  /** Whether the place of packet `d`, which belongs to `epoch`, has been given up already. */
  isLate(channel: number, d: number, epoch: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    return (
      epoch === this.#states[at + FIELD.RELEASED_EPOCH] &&
      (this.#packets.sequence[d] as number) < (this.#states[at + FIELD.NEXT_SEQUENCE] as number)
    );
  }

  /** The same of a number of any epoch. */
  hasPassed(channel: number, sequence: number, epoch: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    const current = this.#states[at + FIELD.RELEASED_EPOCH] as number;
    return epoch < current || (epoch === current && sequence < (this.#states[at + FIELD.NEXT_SEQUENCE] as number));
  }

  /** Puts a packet of the channel's latest epoch in its place. */
  insert(channel: number, d: number, epoch: number): void {
    const at = channel * CHANNEL_FIELDS;
    const packets = this.#packets;
    const following = this.#order.insert(channel, d, epoch);
    if (this.#adaptive === undefined) {
      const isRecovered = following !== NONE && packets.isDue(following, KIND.NORMAL, packets.arrivalUs[d] as number);
      packets.recovered[d] = isRecovered ? 1 : 0;
      return;
    }
    this.#adaptive.packet(channel, packets.arrivalUs[d] as number);
    if (following !== NONE) {
      this.#adaptive.overtaken(channel, (packets.arrivalUs[d] as number) - this.#order.overtakenUs);
    }
    if (epoch === this.#states[at + FIELD.RELEASED_EPOCH]) this.#findFirstMissing(channel, d);
  }

  /** A packet of the channel's latest epoch came too late. */
  late(channel: number, d: number): void {
    this.#adaptive?.late(channel, this.#packets.sequence[d] as number, this.#packets.arrivalUs[d] as number);
  }

  /** The packet of the channel that leaves last, or −1. */
  last(channel: number): number {
    return this.#order.last(channel);
  }

  /**
   * Releases the packets of a channel up to and including `last`, and with adaptive delays those that have waited for it.
   * Returns how many calls `out` got.
   */
  releaseThrough(last: number, nowUs: number, out: JitterOutput): number {
    const channel = this.#packets.channel[last] as number;
    this.#waitedFromUs = this.#packets.arrivalUs[last] as number;
    let calls = 0;
    let d: number;
    do {
      d = this.#order.first(channel);
      calls += this.#releaseFirst(channel, d, nowUs, out);
    } while (d !== last);
    if (this.#adaptive === undefined) return calls;
    for (;;) {
      d = this.#order.first(channel);
      if (d === NONE || !this.#isFreeToGo(channel, d) || !out.isReady()) return calls;
      calls += this.#releaseFirst(channel, d, nowUs, out);
    }
  }

  /** Whether packet `d`, just inserted, is due at once: it follows the one released last, and nothing is held before it. */
  isInOrder(channel: number, d: number): boolean {
    return this.#packets.kind[d] === KIND.IN_ORDER && this.#order.first(channel) === d;
  }

  /** Arrival of the packet that fell due. */
  #waitedFromUs = 0;

  /** Whether a held packet follows the one released last, and waits for nothing else. */
  #isFreeToGo(channel: number, d: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    const packets = this.#packets;
    if (
      packets.epoch[d] !== this.#states[at + FIELD.RELEASED_EPOCH] ||
      this.#precededBy(d) > (this.#states[at + FIELD.NEXT_SEQUENCE] as number)
    ) {
      return false;
    }
    return (packets.kind[d] as number) >= KIND.IN_ORDER;
  }

  /** The number that must have been released for packet `d` to be in order, plus 1. */
  #precededBy(d: number): number {
    return (this.#packets.sequence[d] as number) - (this.#packets.skipped[d] as number);
  }

  /** Packet `d` has been inserted: moves on over the held packets that follow one another. */
  #findFirstMissing(channel: number, d: number): void {
    const at = channel * CHANNEL_FIELDS;
    const packets = this.#packets;
    const epoch = this.#states[at + FIELD.RELEASED_EPOCH] as number;
    let first = this.#states[at + FIELD.FIRST_MISSING] as number;
    for (let at = d; at !== NONE; at = packets.next[at] as number) {
      if (packets.epoch[at] !== epoch || this.#precededBy(at) > first) break;
      first = Math.max(first, (packets.sequence[at] as number) + 1);
    }
    this.#states[at + FIELD.FIRST_MISSING] = first;
  }

  /**
   * Releases as lost the packets of an epoch that follow the one released last, up to number `sequence` with `timestamp`,
   * which arrived at `arrivalUs` and was dropped.
   */
  releaseEnd(
    channel: number,
    epoch: number,
    sequence: number,
    timestamp: number,
    arrivalUs: number,
    nowUs: number,
    out: JitterOutput,
  ): void {
    const at = channel * CHANNEL_FIELDS;
    const from = this.#states[at + FIELD.NEXT_SEQUENCE] as number;
    const missing = sequence + 1 - from;
    if (epoch === 0 || epoch !== this.#states[at + FIELD.RELEASED_EPOCH] || missing <= 0) return;
    if (!this.#gaps.measureEnd(channel, missing, timestamp, arrivalUs)) return;
    for (let i = 0; i < missing; i++) {
      out.lost(channel, from + i, this.#gaps.startOf(i), this.#gaps.ticksOf(i), nowUs, this.#packets, NONE);
    }
    this.#states[at + FIELD.NEXT_SEQUENCE] = sequence + 1;
    this.#states[at + FIELD.FIRST_MISSING] = sequence + 1;
  }

  #releaseFirst(channel: number, d: number, nowUs: number, out: JitterOutput): number {
    const at = channel * CHANNEL_FIELDS;
    const packets = this.#packets;
    const sequence = packets.sequence[d] as number;
    const epoch = packets.epoch[d] as number;
    const isSameEpoch = epoch === this.#states[at + FIELD.RELEASED_EPOCH];
    const skipped = packets.skipped[d] as number;
    const missing = isSameEpoch
      ? Math.max(0, sequence - (this.#states[at + FIELD.NEXT_SEQUENCE] as number) - skipped)
      : 0;
    const isFirst = this.#states[at + FIELD.RELEASED_EPOCH] === 0;

    // The queue is consistent again before `out` is called, so an error thrown there does no harm here.
    this.#order.shift(channel);
    packets.free(d);
    this.#states[at + FIELD.RELEASED_EPOCH] = epoch;
    this.#states[at + FIELD.NEXT_SEQUENCE] = sequence + 1;
    if (this.#adaptive === undefined) this.#playoutDelay.observe(channel, packets.recovered[d] as number);
    else {
      if (!isSameEpoch || sequence >= (this.#states[at + FIELD.FIRST_MISSING] as number))
        this.#states[at + FIELD.FIRST_MISSING] = sequence + 1;
      if (missing > 0) this.#adaptive.lost(channel, sequence - skipped - missing, missing, this.#waitedFromUs);
    }

    let calls = 1;
    if (isFirst) {
      this.#gaps.begin(channel, d);
    } else if (isSameEpoch && missing === 0) {
      this.#gaps.follow(channel, d);
    } else if (isSameEpoch && this.#gaps.measure(channel, missing, d)) {
      calls += this.#releaseLost(channel, d, missing, nowUs, out);
      this.#gaps.fill(channel, d);
    } else {
      packets.flags[d] = (packets.flags[d] as number) | DISCONTINUITY;
      this.#gaps.jump(channel, d);
    }
    if (packets.standstillTicks[d] !== 0) {
      const ticks = packets.standstillTicks[d] as number;
      this.#gaps.standstill(channel, ticks);
      out.standstill(channel, ticks);
    }
    out.packet(packets, d);
    return calls;
  }

  /** The lost packets before packet `d`, as measured. */
  #releaseLost(channel: number, d: number, missing: number, nowUs: number, out: JitterOutput): number {
    const from = (this.#packets.sequence[d] as number) - missing;
    for (let i = 0; i < missing; i++) {
      if (this.#adaptive === undefined) this.#playoutDelay.observe(channel, 1);
      const next = i === missing - 1 ? d : NONE;
      out.lost(channel, from + i, this.#gaps.startOf(i), this.#gaps.ticksOf(i), nowUs, this.#packets, next);
    }
    return missing;
  }
}
