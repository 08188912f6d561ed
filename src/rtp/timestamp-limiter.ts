import { US_PER_SECOND } from '../core/units.js';

/** Time without audio may run ahead of the arrival by this much in all: links do not bring packets alike fast. */
export const MAX_AHEAD_SECONDS = 1;

/**
 * Keeps senders from inventing time. Audio that has come is as long as it is, but a hole or a pause is only what
 * timestamps claim: all of these together must not be longer than the time that has passed in arrival, give or take
 * MAX_AHEAD_SECONDS.
 *
 * A channel's *lead* is its media time less its arrival time, and its *horizon* the lead that its audio alone accounts
 * for. A stall of the link lowers the lead, so that holes in the burst after it have room; audio that comes faster
 * than it plays raises both; a hole raises the lead alone, and never far above the horizon.
 */
export class TimestampLimiter {
  readonly #ticksPerUs: Float64Array;
  readonly #slack: Float64Array;
  readonly #audioOffset: Float64Array;
  readonly #offset: Float64Array;

  constructor(channels: number) {
    this.#ticksPerUs = new Float64Array(channels);
    this.#slack = new Float64Array(channels);
    this.#audioOffset = new Float64Array(channels);
    this.#offset = new Float64Array(channels);
  }

  /** @param clockRate ticks a second. */
  open(channel: number, clockRate: number): void {
    this.#ticksPerUs[channel] = clockRate / US_PER_SECOND;
    this.#slack[channel] = clockRate * MAX_AHEAD_SECONDS;
  }

  /** The channel's first packet. */
  begin(channel: number, media: number, arrivalUs: number): void {
    this.#offset[channel] = this.#of(channel, media, arrivalUs);
    this.#audioOffset[channel] = this.#offset[channel] as number;
  }

  /** Whether media time may have got to `media`, in ticks, by way of time without audio. */
  allows(channel: number, media: number, arrivalUs: number): boolean {
    return (
      this.#of(channel, media, arrivalUs) <= (this.#audioOffset[channel] as number) + (this.#slack[channel] as number)
    );
  }

  /** A packet at `media`; the last `withoutAudio` ticks before it were a hole or a pause. */
  advance(channel: number, media: number, arrivalUs: number, withoutAudio: number): void {
    const lead = this.#of(channel, media, arrivalUs);
    const horizon = this.#audioOffset[channel] as number;
    const byAudio = lead - withoutAudio;
    const raised = Math.min(byAudio - horizon, byAudio - (this.#offset[channel] as number));
    if (raised > 0) this.#audioOffset[channel] = horizon + raised;
    this.#offset[channel] = lead;
  }

  /** Where media time stands at an arrival, had nothing but time passed since the last packet; nothing ahead of it. */
  mediaAt(channel: number, arrivalUs: number): number {
    const lead = Math.min(this.#offset[channel] as number, this.#audioOffset[channel] as number);
    return Math.round(lead + arrivalUs * (this.#ticksPerUs[channel] as number));
  }

  #of(channel: number, media: number, arrivalUs: number): number {
    return media - arrivalUs * (this.#ticksPerUs[channel] as number);
  }
}
