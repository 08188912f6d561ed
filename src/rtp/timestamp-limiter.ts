import { US_PER_SECOND } from '../core/units.js';

/** Time without audio may run ahead of the arrival by this much in all: links do not bring packets alike fast. */
export const MAX_AHEAD_SECONDS = 1;

/**
 * Keeps senders from inventing time. Audio that has come is as long as it is, but a hole or a pause is only what
 * timestamps claim: all of these together must not be longer than the time that has passed in arrival, give or take
 * MAX_AHEAD_SECONDS.
 *
 * A lane's *lead* is its media time less its arrival time, and its *horizon* the lead that its audio alone accounts
 * for. A stall of the link lowers the lead, so that holes in the burst after it have room; audio that comes faster
 * than it plays raises both; a hole raises the lead alone, and never far above the horizon.
 */
export class TimestampLimiter {
  readonly #ticksPerUs: Float64Array;
  readonly #slack: Float64Array;
  readonly #horizon: Float64Array;
  readonly #lead: Float64Array;

  constructor(lanes: number) {
    this.#ticksPerUs = new Float64Array(lanes);
    this.#slack = new Float64Array(lanes);
    this.#horizon = new Float64Array(lanes);
    this.#lead = new Float64Array(lanes);
  }

  /** @param clockRate ticks a second. */
  open(lane: number, clockRate: number): void {
    this.#ticksPerUs[lane] = clockRate / US_PER_SECOND;
    this.#slack[lane] = clockRate * MAX_AHEAD_SECONDS;
  }

  /** The lane's first packet. */
  begin(lane: number, media: number, arrivalUs: number): void {
    this.#lead[lane] = this.#of(lane, media, arrivalUs);
    this.#horizon[lane] = this.#lead[lane] as number;
  }

  /** Whether media time may have got to `media`, in ticks, by way of time without audio. */
  allows(lane: number, media: number, arrivalUs: number): boolean {
    return this.#of(lane, media, arrivalUs) <= (this.#horizon[lane] as number) + (this.#slack[lane] as number);
  }

  /** A packet at `media`; the last `withoutAudio` ticks before it were a hole or a pause. */
  advance(lane: number, media: number, arrivalUs: number, withoutAudio: number): void {
    const lead = this.#of(lane, media, arrivalUs);
    const horizon = this.#horizon[lane] as number;
    const byAudio = lead - withoutAudio;
    const raised = Math.min(byAudio - horizon, byAudio - (this.#lead[lane] as number));
    if (raised > 0) this.#horizon[lane] = horizon + raised;
    this.#lead[lane] = lead;
  }

  /** Where media time stands at an arrival, had nothing but time passed since the last packet; nothing ahead of it. */
  mediaAt(lane: number, arrivalUs: number): number {
    const lead = Math.min(this.#lead[lane] as number, this.#horizon[lane] as number);
    return Math.round(lead + arrivalUs * (this.#ticksPerUs[lane] as number));
  }

  #of(lane: number, media: number, arrivalUs: number): number {
    return media - arrivalUs * (this.#ticksPerUs[lane] as number);
  }
}
