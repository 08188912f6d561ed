import { US_PER_SECOND } from '../core/units.js';
import { DISCONTINUITY } from './jitter-buffer.js';
import { TimestampLimiter } from './timestamp-limiter.js';
import { MODULUS_32 } from './unwrapper.js';

/** Two differences of time, by timestamps and by arrival, that are this close are the same: jitter is between them. */
export const SAME_CLOCK_SECONDS = 0.5;
const USUAL_PACKET_SECONDS = 0.02;
/** So many packets in a row whose timestamps lie before the end of the packet before: the clock is not to be trusted. */
const MAX_BEHIND = 3;

/**
 * Places what the jitter buffer releases on one time line a stream: ticks of the RTP clock since the stream's first
 * packet, never negative, and never before the end of what came before in the lane, so that bad timestamps cost no audio.
 * Lanes 2n and 2n + 1 are the channels of one stream.
 *
 * A lane's position is its timestamp less a base. The first lane's base is its first timestamp; the second lane has
 * the same one if both run on one RTP clock, and else begins where its arrival puts it. When timestamps jump, or claim
 * more time without audio than has passed in arrival (lead.ts), or stand still or fall for several packets, the base is
 * set anew so that the position goes on by the time that has passed in arrival.
 */
export class Timeline {
  /** Whether the last packet placed begins elsewhere than its timestamp says, with a jump of the time line. */
  rebased = false;
  /** Length of the lost packet placed last: shorter than it was where the packet before it reaches into it. */
  lostTicks = 0;

  readonly #clockRate: Float64Array;
  readonly #started: Uint8Array;
  readonly #base: Float64Array;
  /** Where the lane's time has got to: timestamp of the last packet, or end of the lost ones after it. */
  readonly #reached: Float64Array;
  readonly #packetEnd: Float64Array;
  /** End of the last packet and of the lost ones after it: the lowest position that may follow. */
  readonly #floor: Float64Array;
  readonly #lastPosition: Float64Array;
  /** Of the last packet, in ticks. */
  readonly #lastDuration: Float64Array;
  readonly #lastArrivalUs: Float64Array;
  /** Packets in a row that had to be moved on to the floor, and the arrival and position of the one before them. */
  readonly #behind: Float64Array;
  readonly #anchorUs: Float64Array;
  readonly #anchor: Float64Array;
  readonly #lead: TimestampLimiter;

  /** @param lanes an even number. */
  constructor(lanes: number) {
    this.#clockRate = new Float64Array(lanes);
    this.#started = new Uint8Array(lanes);
    this.#base = new Float64Array(lanes);
    this.#reached = new Float64Array(lanes);
    this.#packetEnd = new Float64Array(lanes);
    this.#floor = new Float64Array(lanes);
    this.#lastPosition = new Float64Array(lanes);
    this.#lastDuration = new Float64Array(lanes);
    this.#lastArrivalUs = new Float64Array(lanes);
    this.#behind = new Float64Array(lanes);
    this.#anchorUs = new Float64Array(lanes);
    this.#anchor = new Float64Array(lanes);
    this.#lead = new TimestampLimiter(lanes);
  }

  /** @param clockRate RTP timestamp units a second; the same for both lanes of a stream. */
  openLane(lane: number, clockRate: number): void {
    this.#clockRate[lane] = clockRate;
    this.#started[lane] = 0;
    this.#floor[lane] = 0;
    this.#behind[lane] = 0;
    this.#lastDuration[lane] = Math.round(clockRate * USUAL_PACKET_SECONDS);
    this.#lead.open(lane, clockRate);
  }

  closeLane(lane: number): void {
    this.#started[lane] = 0;
  }

  /**
   * Position of a released packet, in ticks; `timestamp` unwrapped, `flags` as released.
   * @param durationTicks how long its audio is; 0 when unknown, which is then taken to be as long as the one before.
   */
  place(lane: number, timestamp: number, arrivalUs: number, flags: number, durationTicks: number): number {
    this.rebased = false;
    const duration = durationTicks > 0 ? durationTicks : (this.#lastDuration[lane] as number);
    let position = timestamp - (this.#base[lane] as number);
    if (this.#started[lane] === 0) {
      position = this.#begin(lane, timestamp, arrivalUs);
      this.#lead.begin(lane, position, arrivalUs);
    } else {
      if ((flags & DISCONTINUITY) !== 0 || this.#isJump(lane, timestamp, arrivalUs)) {
        position = this.#goOn(lane, timestamp, arrivalUs);
      }
      if (position < (this.#floor[lane] as number)) position = this.#catchUp(lane, timestamp, arrivalUs);
      else this.#behind[lane] = 0;
      this.#lead.advance(lane, position, arrivalUs, position - (this.#packetEnd[lane] as number));
    }
    if (this.#behind[lane] === 0) {
      this.#anchor[lane] = position;
      this.#anchorUs[lane] = arrivalUs;
    }
    this.#packetEnd[lane] = position + duration;
    this.#floor[lane] = position + duration;
    this.#reached[lane] = timestamp;
    this.#lastPosition[lane] = position;
    this.#lastDuration[lane] = duration;
    this.#lastArrivalUs[lane] = arrivalUs;
    return position;
  }

  /** Position of a lost packet, which comes after at least one that was not; its length there is in `lostTicks`. */
  placeLost(lane: number, timestamp: number, durationTicks: number): number {
    const start = timestamp - (this.#base[lane] as number);
    const position = Math.max(start, this.#floor[lane] as number);
    // The packet before may have been longer than it was taken to be when the hole was cut up.
    this.lostTicks = Math.max(0, start + durationTicks - position);
    this.#floor[lane] = position + this.lostTicks;
    this.#reached[lane] = timestamp + durationTicks;
    return position;
  }

  /** Where the lane's last packet, or what was lost after it, ends; −1 before the first. */
  end(lane: number): number {
    return this.#started[lane] === 0 ? -1 : (this.#floor[lane] as number);
  }

  #begin(lane: number, timestamp: number, arrivalUs: number): number {
    this.#started[lane] = 1;
    const other = lane ^ 1;
    let position = 0;
    if (this.#started[other] === 1) {
      const elapsed = this.#ticksSince(other, lane, arrivalUs);
      // Each lane unwraps on its own, so that the same clock may be some multiple of 2^32 apart.
      let ticks = timestamp - ((this.#base[other] as number) + (this.#lastPosition[other] as number));
      ticks -= Math.round(ticks / MODULUS_32) * MODULUS_32;
      const step = this.#isSameTime(lane, ticks, elapsed) ? ticks : elapsed;
      // A channel that begins before the stream's first packet is moved to the start, rather than cut off there.
      position = Math.max(0, (this.#lastPosition[other] as number) + step);
    }
    this.#base[lane] = timestamp - position;
    return position;
  }

  /** Timestamps that cannot be true without a DISCONTINUITY: back by more than jitter, or too far ahead of the arrival. */
  #isJump(lane: number, timestamp: number, arrivalUs: number): boolean {
    const ticks = timestamp - (this.#reached[lane] as number);
    if (ticks < 0) return -ticks > (this.#clockRate[lane] as number) * SAME_CLOCK_SECONDS;
    const position = timestamp - (this.#base[lane] as number);
    return position > (this.#floor[lane] as number) && !this.#lead.allows(lane, position, arrivalUs);
  }

  /** The time line jumps: by the timestamps if the arrival bears them out, else by the arrival. */
  #goOn(lane: number, timestamp: number, arrivalUs: number): number {
    const last = this.#lastPosition[lane] as number;
    const elapsed = this.#ticksSince(lane, lane, arrivalUs);
    const position = timestamp - (this.#base[lane] as number);
    const isBorneOut = this.#isSameTime(lane, position - last, elapsed) && this.#lead.allows(lane, position, arrivalUs);
    if (position > last && isBorneOut) return position;
    const moved = Math.max(this.#lead.mediaAt(lane, arrivalUs), this.#floor[lane] as number);
    this.#base[lane] = timestamp - moved;
    this.rebased = true;
    return moved;
  }

  /**
   * A timestamp before the end of what came before: the packet follows that at once. One such timestamp is a slip, and
   * the next may be right again; after several, the clock is set anew, by the arrival where that is clearly ahead.
   */
  #catchUp(lane: number, timestamp: number, arrivalUs: number): number {
    const floor = this.#floor[lane] as number;
    const behind = (this.#behind[lane] as number) + 1;
    this.#behind[lane] = behind;
    if (behind < MAX_BEHIND) return floor;
    const sinceUs = arrivalUs - (this.#anchorUs[lane] as number);
    const byArrival = (this.#anchor[lane] as number) + this.#ticksIn(lane, sinceUs);
    const isLate = byArrival > floor && !this.#isSameTime(lane, byArrival, floor);
    const position = isLate ? byArrival : floor;
    // A timestamp that stands still tells nothing to set the clock by, and may yet go on from where it should be.
    if (isLate || timestamp > (this.#reached[lane] as number)) this.#base[lane] = timestamp - position;
    if (isLate) this.rebased = true;
    return position;
  }

  /** Ticks of `lane` between the last packet of lane `since` and an arrival. */
  #ticksSince(since: number, lane: number, arrivalUs: number): number {
    return this.#ticksIn(lane, arrivalUs - (this.#lastArrivalUs[since] as number));
  }

  #ticksIn(lane: number, us: number): number {
    return Math.round((us * (this.#clockRate[lane] as number)) / US_PER_SECOND);
  }

  #isSameTime(lane: number, ticks: number, elapsedTicks: number): boolean {
    return Math.abs(ticks - elapsedTicks) <= (this.#clockRate[lane] as number) * SAME_CLOCK_SECONDS;
  }
}
