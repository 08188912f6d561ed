import { US_PER_SECOND } from '../core/units.js';
import { DISCONTINUITY } from './jitter-buffer.js';
import { MAX_PACKET_SECONDS } from './reception.js';
import { MODULUS_32 } from './sequence.js';

/** Two differences of time, by timestamps and by arrival, that are this close are the same: jitter is between them. */
export const SAME_CLOCK_SECONDS = 0.5;
/** A timestamp that runs ahead of the arrival by more is a clock set anew. Links hold packets up for less than this. */
export const JUMP_SECONDS = 5;
const USUAL_PACKET_SECONDS = 0.02;

/**
 * Places what the jitter buffer releases on one time line a stream: ticks of the RTP clock since the stream's first
 * packet, never negative, never falling within a lane. Lanes 2n and 2n + 1 are the channels of one stream.
 *
 * A lane's position is its timestamp less a base. The first lane's base is its first timestamp; the second lane has
 * the same one if both run on one RTP clock, and else begins where its arrival puts it. When timestamps jump, the base
 * is set anew so that the position goes on by the time that has passed in arrival.
 */
export class Timeline {
  /** Whether the last call of place() had to set a lane's base anew. */
  rebased = false;

  readonly #clockRate: Float64Array;
  readonly #started: Uint8Array;
  readonly #base: Float64Array;
  /** Where the lane's time has got to: timestamp of the last packet, or end of the lost ones after it. */
  readonly #reached: Float64Array;
  /** The lowest position that may follow. */
  readonly #floor: Float64Array;
  readonly #lastPosition: Float64Array;
  /** Between the last two packets. */
  readonly #lastStep: Float64Array;
  readonly #lastArrivalUs: Float64Array;

  /** @param lanes an even number. */
  constructor(lanes: number) {
    this.#clockRate = new Float64Array(lanes);
    this.#started = new Uint8Array(lanes);
    this.#base = new Float64Array(lanes);
    this.#reached = new Float64Array(lanes);
    this.#floor = new Float64Array(lanes);
    this.#lastPosition = new Float64Array(lanes);
    this.#lastStep = new Float64Array(lanes);
    this.#lastArrivalUs = new Float64Array(lanes);
  }

  /** @param clockRate RTP timestamp units a second; the same for both lanes of a stream. */
  openLane(lane: number, clockRate: number): void {
    this.#clockRate[lane] = clockRate;
    this.#started[lane] = 0;
    this.#floor[lane] = 0;
    this.#lastStep[lane] = 0;
  }

  closeLane(lane: number): void {
    this.#started[lane] = 0;
  }

  /** Position of a released packet, in ticks; `timestamp` unwrapped, `flags` as released. */
  place(lane: number, timestamp: number, arrivalUs: number, flags: number): number {
    this.rebased = false;
    let position = timestamp - (this.#base[lane] as number);
    if (this.#started[lane] === 0) {
      position = this.#begin(lane, timestamp, arrivalUs);
    } else if ((flags & DISCONTINUITY) !== 0 || this.#isJump(lane, timestamp, arrivalUs)) {
      position = this.#goOn(lane, timestamp, arrivalUs);
    }
    const floor = this.#floor[lane] as number;
    if (position < floor) position = floor;
    this.#floor[lane] = position;
    this.#reached[lane] = timestamp;
    this.#lastStep[lane] = position - (this.#lastPosition[lane] as number);
    this.#lastPosition[lane] = position;
    this.#lastArrivalUs[lane] = arrivalUs;
    return position;
  }

  /** Position of a lost packet, which comes after at least one that was not. */
  placeLost(lane: number, timestamp: number, durationTicks: number): number {
    const position = Math.max(timestamp - (this.#base[lane] as number), this.#floor[lane] as number);
    this.#floor[lane] = position + durationTicks;
    this.#reached[lane] = timestamp + durationTicks;
    return position;
  }

  /**
   * Where the lane's last packet, or what was lost after it, ends; −1 before the first. A packet is taken to be as long
   * as the step from the one before it, or 20 ms where that can be no packet's length.
   */
  end(lane: number): number {
    if (this.#started[lane] === 0) return -1;
    const rate = this.#clockRate[lane] as number;
    const step = this.#lastStep[lane] as number;
    const length = step > 0 && step <= rate * MAX_PACKET_SECONDS ? step : rate * USUAL_PACKET_SECONDS;
    return Math.max(this.#floor[lane] as number, (this.#lastPosition[lane] as number) + length);
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

  /** Timestamps that cannot be true without a DISCONTINUITY: back by more than jitter, or far ahead of the arrival. */
  #isJump(lane: number, timestamp: number, arrivalUs: number): boolean {
    const ticks = timestamp - (this.#reached[lane] as number);
    const rate = this.#clockRate[lane] as number;
    if (ticks >= 0 && ticks <= rate * JUMP_SECONDS) return false;
    return ticks < 0
      ? -ticks > rate * SAME_CLOCK_SECONDS
      : ticks - this.#ticksSince(lane, lane, arrivalUs) > rate * JUMP_SECONDS;
  }

  /** The time line jumps: by the timestamps if the arrival bears them out, else by the arrival. */
  #goOn(lane: number, timestamp: number, arrivalUs: number): number {
    const last = this.#lastPosition[lane] as number;
    const elapsed = this.#ticksSince(lane, lane, arrivalUs);
    const position = timestamp - (this.#base[lane] as number);
    if (position > last && this.#isSameTime(lane, position - last, elapsed)) return position;
    const moved = Math.max(last + Math.max(0, elapsed), this.#floor[lane] as number);
    this.#base[lane] = timestamp - moved;
    this.rebased = true;
    return moved;
  }

  /** Ticks of `lane` between the last packet of lane `since` and an arrival. */
  #ticksSince(since: number, lane: number, arrivalUs: number): number {
    const elapsedUs = arrivalUs - (this.#lastArrivalUs[since] as number);
    return Math.round((elapsedUs * (this.#clockRate[lane] as number)) / US_PER_SECOND);
  }

  #isSameTime(lane: number, ticks: number, elapsedTicks: number): boolean {
    return Math.abs(ticks - elapsedTicks) <= (this.#clockRate[lane] as number) * SAME_CLOCK_SECONDS;
  }
}
