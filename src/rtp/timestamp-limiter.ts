import { US_PER_SECOND } from '../core/units.js';

/** Time without audio may be ahead of arrival time by this much in total: networks do not deliver evenly. */
export const MAX_AHEAD_SECONDS = 1;

/**
 * Limits how much time without audio a sender can claim by its timestamps. Audio that has arrived is as long as it is.
 * A gap or a pause is only a claim: all of them together must not be longer than the time that has passed in arrival,
 * plus MAX_AHEAD_SECONDS.
 *
 * The *offset* of a channel is its media time less its arrival time. The *audio offset* is the highest offset that audio
 * alone accounts for. A network delay lowers the offset, which allows gaps in the burst that follows; audio that
 * arrives faster than it plays raises both; a gap raises the offset alone, and never more than MAX_AHEAD_SECONDS above
 * the audio offset.
 *
 * Worked example at 8 kHz: packets 0 and 1 arrive at 0 and 20 ms with timestamps 0 and 160; both offsets are 0. Packet
 * 2 arrives at 40 ms with timestamp 80,320: a pause of 10 s within 20 ms. Its offset would be 80,000 ticks; allowed are
 * 8,000. The claim is refused, and the packet is placed by its arrival.
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

  /** @param clockRate ticks per second. */
  open(channel: number, clockRate: number): void {
    this.#ticksPerUs[channel] = clockRate / US_PER_SECOND;
    this.#slack[channel] = clockRate * MAX_AHEAD_SECONDS;
  }

  /** The channel's first packet. */
  begin(channel: number, media: number, arrivalUs: number): void {
    const offset = this.#offsetOf(channel, media, arrivalUs);
    this.#offset[channel] = offset;
    this.#audioOffset[channel] = offset;
  }

  /** Whether media time may have advanced to `media`, in ticks, with time without audio before it. */
  allows(channel: number, media: number, arrivalUs: number): boolean {
    const limit = (this.#audioOffset[channel] as number) + (this.#slack[channel] as number);
    return this.#offsetOf(channel, media, arrivalUs) <= limit;
  }

  /** A packet at `media`; the last `withoutAudio` ticks before it were a gap or a pause. */
  advance(channel: number, media: number, arrivalUs: number, withoutAudio: number): void {
    const offset = this.#offsetOf(channel, media, arrivalUs);
    const audioOffset = this.#audioOffset[channel] as number;
    const byAudio = offset - withoutAudio;
    const raised = Math.min(byAudio - audioOffset, byAudio - (this.#offset[channel] as number));
    if (raised > 0) this.#audioOffset[channel] = audioOffset + raised;
    this.#offset[channel] = offset;
  }

  /**
   * The last packet turns out to be later by `ticks` of time without audio: arrival time has passed for it or, where it
   * keeps two channels aligned, the audio of the other channel, which counts like its own.
   */
  standstill(channel: number, ticks: number): void {
    const offset = (this.#offset[channel] as number) + ticks;
    this.#offset[channel] = offset;
    if (offset > (this.#audioOffset[channel] as number)) this.#audioOffset[channel] = offset;
  }

  /** Media time at an arrival if nothing but time had passed since the last packet; nothing ahead of it. */
  mediaAt(channel: number, arrivalUs: number): number {
    const offset = Math.min(this.#offset[channel] as number, this.#audioOffset[channel] as number);
    return Math.round(offset + arrivalUs * (this.#ticksPerUs[channel] as number));
  }

  #offsetOf(channel: number, media: number, arrivalUs: number): number {
    return media - arrivalUs * (this.#ticksPerUs[channel] as number);
  }
}
