import { US_PER_SECOND } from '../core/units.js';
import { CHANNEL_FIELDS, channelStates, FIELD } from './channel-state.js';
import { DISCONTINUITY } from './playout-queue.js';
import { TimestampLimiter } from './timestamp-limiter.js';
import { MODULUS_32 } from './unwrapper.js';

/** A time step by timestamps and one by arrival that differ by no more than this are the same: the rest is jitter. */
export const SAME_CLOCK_SECONDS = 0.5;
const USUAL_PACKET_SECONDS = 0.02;
/** After this many packets in a row whose timestamps lie before the end of the previous packet, the clock is not used. */
const MAX_BEHIND = 3;

/**
 * Places the released packets of a stream on one time line: ticks of the RTP clock since the stream's first packet, never
 * negative, and never before the end of the previous packet of the channel, so bad timestamps cost no audio. Channels 2n
 * and 2n + 1 belong to one stream.
 *
 * The position of a packet is its timestamp less the *base* of its channel. The base of the first channel is its first
 * timestamp. The second channel has the same base if both use one RTP clock; otherwise it begins where its arrival puts
 * it. A channel gets a new base, so that its position advances by the time that has passed in arrival, when timestamps
 * jump, when they claim more time without audio than has passed (timestamp-limiter.ts), when they stand still or fall
 * for several packets, and when the sender stood still (standstill-detector.ts).
 *
 * Worked example at 8 kHz: the first packet has timestamp 5,000, so the base is 5,000 and its position 0. The sender
 * restarts one second later with timestamp 7: the base becomes 7 − 8,000 and the position 8,000.
 */
export class Timeline {
  /** Whether the time line jumped before the last packet placed, without the timestamps. */
  rebased = false;
  /** Whether the last packet placed was the first one by its base, or may be: it followed a discontinuity. */
  isFirstByBase = false;
  /** Length of the lost packet placed last: shortened where the packet before it overlaps it. */
  lostTicks = 0;

  readonly #states: Float64Array;
  /** Arrival of the channel's first packet. */
  readonly #firstArrivalUs: Float64Array;
  readonly #limiter: TimestampLimiter;

  /** @param channels an even number. */
  constructor(channels: number, states = channelStates(channels)) {
    this.#states = states;
    this.#firstArrivalUs = new Float64Array(channels);
    this.#limiter = new TimestampLimiter(states, FIELD.POSITION_AUDIO_OFFSET);
  }

  /** @param clockRate RTP timestamp units a second; the same for both channels of a stream. */
  openChannel(channel: number, clockRate: number): void {
    const at = channel * CHANNEL_FIELDS;
    this.#states[at + FIELD.CLOCK_RATE] = clockRate;
    this.#states[at + FIELD.STARTED] = 0;
    this.#states[at + FIELD.STOOD_STILL] = 0;
    this.#states[at + FIELD.FLOOR] = 0;
    this.#states[at + FIELD.BEHIND] = 0;
    this.#states[at + FIELD.LAST_DURATION] = Math.round(clockRate * USUAL_PACKET_SECONDS);
    this.#limiter.open(channel, clockRate);
  }

  closeChannel(channel: number): void {
    const at = channel * CHANNEL_FIELDS;
    this.#states[at + FIELD.STARTED] = 0;
  }

  /**
   * Position of a released packet, in ticks; `timestamp` unwrapped, `flags` as released.
   * @param durationTicks how long its audio is; 0 when unknown: it is then taken to be as long as the previous packet.
   */
  place(channel: number, timestamp: number, arrivalUs: number, flags: number, durationTicks: number): number {
    const at = channel * CHANNEL_FIELDS;
    this.rebased = this.#states[at + FIELD.STOOD_STILL] === 1;
    this.isFirstByBase = this.rebased || (flags & DISCONTINUITY) !== 0;
    this.#states[at + FIELD.STOOD_STILL] = 0;
    const duration = durationTicks > 0 ? durationTicks : (this.#states[at + FIELD.LAST_DURATION] as number);
    let position = timestamp - (this.#states[at + FIELD.BASE] as number);
    if (this.#states[at + FIELD.STARTED] === 0) {
      position = this.#begin(channel, timestamp, arrivalUs);
      this.#limiter.begin(channel, position, arrivalUs);
    } else {
      if ((flags & DISCONTINUITY) !== 0 || this.#isJump(channel, timestamp, arrivalUs)) {
        position = this.#jump(channel, timestamp, arrivalUs);
      }
      if (position < (this.#states[at + FIELD.FLOOR] as number))
        position = this.#catchUp(channel, timestamp, arrivalUs);
      else this.#states[at + FIELD.BEHIND] = 0;
      this.#limiter.advance(channel, position, arrivalUs, position - (this.#states[at + FIELD.PACKET_END] as number));
    }
    if (this.#states[at + FIELD.BEHIND] === 0) {
      this.#states[at + FIELD.ANCHOR] = position;
      this.#states[at + FIELD.ANCHOR_US] = arrivalUs;
    }
    this.#states[at + FIELD.PACKET_END] = position + duration;
    this.#states[at + FIELD.FLOOR] = position + duration;
    this.#states[at + FIELD.REACHED] = timestamp;
    this.#states[at + FIELD.LAST_POSITION] = position;
    this.#states[at + FIELD.LAST_DURATION] = duration;
    this.#states[at + FIELD.PLACED_ARRIVAL_US] = arrivalUs;
    return position;
  }

  /** The sender stood still before the next packet: the channel's position goes on by `ticks`, its timestamps do not. */
  standstill(channel: number, ticks: number): void {
    const at = channel * CHANNEL_FIELDS;
    if (this.#states[at + FIELD.STARTED] === 0) return;
    this.#states[at + FIELD.BASE] = (this.#states[at + FIELD.BASE] as number) - ticks;
    this.#states[at + FIELD.STOOD_STILL] = 1;
    this.#limiter.standstill(channel, ticks);
  }

  /** Position of a lost packet, after at least one that was not lost; its length there is in `lostTicks`. */
  placeLost(channel: number, timestamp: number, durationTicks: number): number {
    const at = channel * CHANNEL_FIELDS;
    const start = timestamp - (this.#states[at + FIELD.BASE] as number);
    const position = Math.max(start, this.#states[at + FIELD.FLOOR] as number);
    // The packet before may be longer than was assumed when the gap was divided.
    this.lostTicks = Math.max(0, start + durationTicks - position);
    this.#states[at + FIELD.FLOOR] = position + this.lostTicks;
    this.#states[at + FIELD.REACHED] = timestamp + durationTicks;
    return position;
  }

  /** Where on the time line `nowUs` lies, by the arrival of the channel's last packet; −1 before the first. */
  positionAt(channel: number, nowUs: number): number {
    const at = channel * CHANNEL_FIELDS;
    if (this.#states[at + FIELD.STARTED] === 0) return -1;
    const elapsedUs = Math.max(0, nowUs - (this.#states[at + FIELD.PLACED_ARRIVAL_US] as number));
    const position = (this.#states[at + FIELD.LAST_POSITION] as number) + this.#ticksIn(channel, elapsedUs);
    return Math.max(position, this.#states[at + FIELD.FLOOR] as number);
  }

  /** How long the channel's last packet is, in ticks. */
  lastDuration(channel: number): number {
    return this.#states[channel * CHANNEL_FIELDS + FIELD.LAST_DURATION] as number;
  }

  /** Arrival of the last packet placed; only after the first one. */
  lastArrivalUs(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    return this.#states[at + FIELD.PLACED_ARRIVAL_US] as number;
  }

  /** Position of the channel's last packet less its arrival, in ticks: the faster it came, the more; −∞ before the first. */
  lead(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    if (this.#states[at + FIELD.STARTED] === 0) return Number.NEGATIVE_INFINITY;
    const arrival = this.#ticksIn(channel, this.#states[at + FIELD.PLACED_ARRIVAL_US] as number);
    return (this.#states[at + FIELD.LAST_POSITION] as number) - arrival;
  }

  /** Where a packet with this `lead` that arrived at `nowUs` would lie. */
  positionWith(channel: number, lead: number, nowUs: number): number {
    return lead + this.#ticksIn(channel, nowUs);
  }

  /** What the channel's timestamps are less its positions, at present. */
  base(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    return this.#states[at + FIELD.BASE] as number;
  }

  /** Where the channel's last packet, or what was lost after it, ends; −1 before the first packet. */
  end(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    return this.#states[at + FIELD.STARTED] === 0 ? -1 : (this.#states[at + FIELD.FLOOR] as number);
  }

  #begin(channel: number, timestamp: number, arrivalUs: number): number {
    const at = channel * CHANNEL_FIELDS;
    this.#states[at + FIELD.STARTED] = 1;
    const other = channel ^ 1;
    const atOther = other * CHANNEL_FIELDS;
    let position = 0;
    if (this.#states[atOther + FIELD.STARTED] === 1) {
      // The jitter buffer releases a backlog of one channel before the first packet of the other: packets that came
      // later than that one say nothing of when it was sent, so it is compared with the first one, at position 0.
      const isBacklog = arrivalUs <= (this.#states[atOther + FIELD.PLACED_ARRIVAL_US] as number);
      const since = isBacklog ? 0 : (this.#states[atOther + FIELD.LAST_POSITION] as number);
      const sinceUs = isBacklog
        ? (this.#firstArrivalUs[other] as number)
        : (this.#states[atOther + FIELD.PLACED_ARRIVAL_US] as number);
      const elapsed = this.#ticksIn(channel, arrivalUs - sinceUs);
      // Each channel unwraps on its own, so the same clock may differ by a multiple of 2^32.
      let ticks = timestamp - ((this.#states[atOther + FIELD.BASE] as number) + since);
      ticks -= Math.round(ticks / MODULUS_32) * MODULUS_32;
      const step = this.#isSameTime(channel, ticks, elapsed) ? ticks : elapsed;
      // A channel that begins before the stream's first packet is moved to the start rather than cut off.
      position = Math.max(0, since + step);
    }
    this.#firstArrivalUs[channel] = arrivalUs;
    this.#states[at + FIELD.BASE] = timestamp - position;
    this.isFirstByBase = true;
    return position;
  }

  /** Timestamps that cannot be right without a DISCONTINUITY: back by more than jitter, or too far ahead of arrival. */
  #isJump(channel: number, timestamp: number, arrivalUs: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    const ticks = timestamp - (this.#states[at + FIELD.REACHED] as number);
    if (ticks < 0) return -ticks > (this.#states[at + FIELD.CLOCK_RATE] as number) * SAME_CLOCK_SECONDS;
    const position = timestamp - (this.#states[at + FIELD.BASE] as number);
    return position > (this.#states[at + FIELD.FLOOR] as number) && !this.#limiter.allows(channel, position, arrivalUs);
  }

  /** The time line jumps: by the timestamps if arrival confirms them, otherwise by arrival. */
  #jump(channel: number, timestamp: number, arrivalUs: number): number {
    const at = channel * CHANNEL_FIELDS;
    const last = this.#states[at + FIELD.LAST_POSITION] as number;
    const elapsed = this.#ticksSince(channel, channel, arrivalUs);
    const position = timestamp - (this.#states[at + FIELD.BASE] as number);
    const isConfirmed =
      this.#isSameTime(channel, position - last, elapsed) && this.#limiter.allows(channel, position, arrivalUs);
    if (position > last && isConfirmed) return position;
    const moved = Math.max(this.#limiter.mediaAt(channel, arrivalUs), this.#states[at + FIELD.FLOOR] as number);
    this.#states[at + FIELD.BASE] = timestamp - moved;
    this.rebased = true;
    this.isFirstByBase = true;
    return moved;
  }

  /**
   * A timestamp before the end of the previous packet: the packet is placed right after it. A single such timestamp may
   * be an error, and the next one right again; after several, the base is set, by arrival if that is clearly ahead.
   */
  #catchUp(channel: number, timestamp: number, arrivalUs: number): number {
    const at = channel * CHANNEL_FIELDS;
    const floor = this.#states[at + FIELD.FLOOR] as number;
    const behind = (this.#states[at + FIELD.BEHIND] as number) + 1;
    this.#states[at + FIELD.BEHIND] = behind;
    if (behind < MAX_BEHIND) return floor;
    const sinceUs = arrivalUs - (this.#states[at + FIELD.ANCHOR_US] as number);
    const byArrival = (this.#states[at + FIELD.ANCHOR] as number) + this.#ticksIn(channel, sinceUs);
    const isLate = byArrival > floor && !this.#isSameTime(channel, byArrival, floor);
    const position = isLate ? byArrival : floor;
    // A timestamp that stands still is no reference for a base, and may continue later from where it should be.
    if (isLate || timestamp > (this.#states[at + FIELD.REACHED] as number)) {
      this.#states[at + FIELD.BASE] = timestamp - position;
      this.isFirstByBase = true;
    }
    if (isLate) this.rebased = true;
    return position;
  }

  /** Ticks of `channel` between the last packet of channel `since` and an arrival. */
  #ticksSince(since: number, channel: number, arrivalUs: number): number {
    return this.#ticksIn(
      channel,
      arrivalUs - (this.#states[since * CHANNEL_FIELDS + FIELD.PLACED_ARRIVAL_US] as number),
    );
  }

  #ticksIn(channel: number, us: number): number {
    const at = channel * CHANNEL_FIELDS;
    return Math.round((us * (this.#states[at + FIELD.CLOCK_RATE] as number)) / US_PER_SECOND);
  }

  #isSameTime(channel: number, ticks: number, elapsedTicks: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    return Math.abs(ticks - elapsedTicks) <= (this.#states[at + FIELD.CLOCK_RATE] as number) * SAME_CLOCK_SECONDS;
  }
}
