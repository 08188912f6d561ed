import { US_PER_SECOND } from '../core/units.js';
import { CHANNEL_FIELDS, FIELD } from './channel-state.js';

/** Of a limiter, from its first field on. */
const AUDIO_OFFSET = 0;
const OFFSET = 1;

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
  readonly #states: Float64Array;
  readonly #first: number;

  /** @param first the field of its audio offset in `states`, before that of its offset; a channel has two limiters. */
  constructor(states: Float64Array, first: number) {
    this.#states = states;
    this.#first = first;
  }

  /** @param clockRate ticks per second. */
  open(channel: number, clockRate: number): void {
    const at = channel * CHANNEL_FIELDS;
    this.#states[at + FIELD.TICKS_PER_US] = clockRate / US_PER_SECOND;
    this.#states[at + FIELD.CLOCK_RATE] = clockRate;
  }

  /** The channel's first packet. */
  begin(channel: number, media: number, arrivalUs: number): void {
    const own = channel * CHANNEL_FIELDS + this.#first;
    const offset = this.#offsetOf(channel, media, arrivalUs);
    this.#states[own + OFFSET] = offset;
    this.#states[own + AUDIO_OFFSET] = offset;
  }

  /** Whether media time may have advanced to `media`, in ticks, with time without audio before it. */
  allows(channel: number, media: number, arrivalUs: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    const own = at + this.#first;
    const limit =
      (this.#states[own + AUDIO_OFFSET] as number) +
      (this.#states[at + FIELD.CLOCK_RATE] as number) * MAX_AHEAD_SECONDS;
    return this.#offsetOf(channel, media, arrivalUs) <= limit;
  }

  /** A packet at `media`; the last `withoutAudio` ticks before it were a gap or a pause. */
  advance(channel: number, media: number, arrivalUs: number, withoutAudio: number): void {
    const own = channel * CHANNEL_FIELDS + this.#first;
    const offset = this.#offsetOf(channel, media, arrivalUs);
    const audioOffset = this.#states[own + AUDIO_OFFSET] as number;
    const byAudio = offset - withoutAudio;
    const raised = Math.min(byAudio - audioOffset, byAudio - (this.#states[own + OFFSET] as number));
    if (raised > 0) this.#states[own + AUDIO_OFFSET] = audioOffset + raised;
    this.#states[own + OFFSET] = offset;
  }

  /**
   * The last packet turns out to be later by `ticks` of time without audio: arrival time has passed for it or, where it
   * keeps two channels aligned, the audio of the other channel, which counts like its own.
   */
  standstill(channel: number, ticks: number): void {
    const own = channel * CHANNEL_FIELDS + this.#first;
    const offset = (this.#states[own + OFFSET] as number) + ticks;
    this.#states[own + OFFSET] = offset;
    if (offset > (this.#states[own + AUDIO_OFFSET] as number)) this.#states[own + AUDIO_OFFSET] = offset;
  }

  /** Media time at an arrival if nothing but time had passed since the last packet; nothing ahead of it. */
  mediaAt(channel: number, arrivalUs: number): number {
    const at = channel * CHANNEL_FIELDS;
    const own = at + this.#first;
    const offset = Math.min(this.#states[own + OFFSET] as number, this.#states[own + AUDIO_OFFSET] as number);
    return Math.round(offset + arrivalUs * (this.#states[at + FIELD.TICKS_PER_US] as number));
  }

  #offsetOf(channel: number, media: number, arrivalUs: number): number {
    const at = channel * CHANNEL_FIELDS;
    return media - arrivalUs * (this.#states[at + FIELD.TICKS_PER_US] as number);
  }
}
