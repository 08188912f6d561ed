import { US_PER_MS } from '../../core/units.js';
import { CHANNEL_FIELDS, FIELD } from '../channel-state.js';

/** A step of the timestamps that is longer by this factor than usual: something was lost, or nothing was sent. */
const CONVENIENT_STEP = 1.5;
/** When both channels of a stream get a gap, it begins so much later, at a time that no packet of either is past. */
const BOTH_AFTER_US = 100 * US_PER_MS;
const BOTH_STEP_US = 10 * US_PER_MS;
const BOTH_INTERVAL_US = 200 * US_PER_MS;

/** Where a gap is made: at the next packet, at one after something without audio, or in small steps. */
const PLACE = { NEXT: 0, CONVENIENT: 1, STEPS: 2 } as const;

/** Gaps of the time line that are to be made before a packet to come; one for each channel. */
export class ScheduledGaps {
  readonly #states: Float64Array;
  readonly #place: Uint8Array;
  /** Only for packets that were due to arrive at this time. */
  readonly #fromUs: Float64Array;
  /** The shortest step of the timestamps since it was scheduled. */
  readonly #packetUs: Float64Array;
  /** All gaps so far. */
  readonly #totalUs: Float64Array;

  constructor(channels: number, states: Float64Array) {
    this.#states = states;
    this.#place = new Uint8Array(channels);
    this.#fromUs = new Float64Array(channels);
    this.#packetUs = new Float64Array(channels);
    this.#totalUs = new Float64Array(channels);
  }

  open(channel: number): void {
    this.schedule(channel, 0, false);
    this.#totalUs[channel] = 0;
  }

  /** A gap was made, scheduled or not. */
  made(channel: number, gapUs: number): void {
    this.#totalUs[channel] = this.totalUs(channel) + gapUs;
  }

  /** By how much the channel's positions have been moved beyond its timestamps so far. */
  totalUs(channel: number): number {
    return this.#totalUs[channel] as number;
  }

  /**
   * A gap of `gapUs` before the channel's next packet; with `isPatient`, before the next one that follows on a lost packet
   * or a pause. Replaces what was scheduled before; 0 takes it back.
   */
  schedule(channel: number, gapUs: number, isPatient: boolean): void {
    this.#states[channel * CHANNEL_FIELDS + FIELD.PENDING_GAP_US] = gapUs;
    this.#place[channel] = isPatient ? PLACE.CONVENIENT : PLACE.NEXT;
    this.#fromUs[channel] = Number.NEGATIVE_INFINITY;
    this.#packetUs[channel] = Number.POSITIVE_INFINITY;
  }

  /**
   * The same gaps at the same time in both channels of a stream. For as long as one packet a gap may be in one of them
   * only, and so it is made in small steps.
   */
  scheduleBoth(channel: number, gapUs: number, nowUs: number): void {
    for (const one of [channel, channel ^ 1]) {
      this.#states[one * CHANNEL_FIELDS + FIELD.PENDING_GAP_US] = gapUs;
      this.#place[one] = PLACE.STEPS;
      this.#fromUs[one] = nowUs + BOTH_AFTER_US;
    }
  }

  isPending(channel: number): boolean {
    return this.#states[channel * CHANNEL_FIELDS + FIELD.PENDING_GAP_US] !== 0;
  }

  /**
   * How long the gap before a packet is, in µs; 0 when there is none before this one.
   * @param timestampStepUs from the packet before it. @param dueUs when it would have arrived without a lag.
   */
  take(channel: number, timestampStepUs: number, dueUs: number): number {
    const pendingUs = this.#states[channel * CHANNEL_FIELDS + FIELD.PENDING_GAP_US] as number;
    const fromUs = this.#fromUs[channel] as number;
    if (dueUs < fromUs) return 0;
    const packetUs = Math.min(this.#packetUs[channel] as number, timestampStepUs);
    this.#packetUs[channel] = packetUs;
    const place = this.#place[channel];
    if (place === PLACE.CONVENIENT && timestampStepUs < packetUs * CONVENIENT_STEP) return 0;
    const gapUs = place === PLACE.STEPS ? Math.min(pendingUs, BOTH_STEP_US) : pendingUs;
    this.#states[channel * CHANNEL_FIELDS + FIELD.PENDING_GAP_US] = pendingUs - gapUs;
    this.#fromUs[channel] = fromUs + BOTH_INTERVAL_US;
    return gapUs;
  }
}
