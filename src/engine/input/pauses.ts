import { CHANNEL_FIELDS, FIELD } from '../../rtp/channel-state.js';
import type { Timeline } from '../../rtp/timeline.js';

const NONE = -1;
/** Pauses that are remembered of each channel for late packets. What lies before those is withheld. */
const REMEMBERED = 8;
/** The length of a mark is a 32-bit number. */
const MOST_TICKS = 2 ** 31 - 1;

/**
 * Pauses of streams: packets of a paused stream are withheld before they reach a ring, and their span on the time line
 * is marked. Packets that are still buffered when a pause begins are withheld too, and packets that arrived before it
 * ended are not released after it. A packet that arrives after a pause, and belongs before one that arrived in it,
 * belongs into the pause.
 *
 * What was said in a pause may arrive after it. So a packet is withheld as well when it lies before the place that the
 * time line had when the pause ended: where a packet would lie that came then, as fast as the fastest one of the pause or
 * the last one before it. A sender that stood still is placed behind that (rtp/standstill-detector.ts); until that is
 * known, what it sends could be from the pause and is withheld.
 *
 * Worked example at 8 kHz: the packet at 8,000 arrives at 1.00 s, the pause lasts from 1.01 to 3.00 s, and all packets of
 * it are delayed until 3.10 s. The time line had reached 24,000 when it ended: packets before that are withheld, whenever
 * they arrive. The packet at 24,160 is the first one that is released.
 */
export class Pauses {
  readonly #timeline: Timeline;
  readonly #mark: (channel: number, startTicks: number, durationTicks: number) => void;
  readonly #states: Float64Array;
  /** Packets that arrive later are released; infinity until end() is called. */
  readonly #untilUs: Float64Array;
  readonly #start: Float64Array;
  /** Position less arrival of the fastest packet that tells where the time line is; −∞ while there is none. */
  readonly #lead: Float64Array;
  /** REMEMBERED a channel, used as a ring: start and end of the latest pauses, on the time line. */
  readonly #pastStart: Float64Array;
  readonly #pastEnd: Float64Array;
  readonly #pastCount: Float64Array;
  /** Packets withheld. */
  readonly packets: Float64Array;

  constructor(
    channels: number,
    states: Float64Array,
    timeline: Timeline,
    mark: (channel: number, startTicks: number, durationTicks: number) => void,
  ) {
    this.#timeline = timeline;
    this.#mark = mark;
    this.#states = states;
    this.#untilUs = new Float64Array(channels);
    this.#start = new Float64Array(channels);
    this.#lead = new Float64Array(channels);
    this.#pastStart = new Float64Array(channels * REMEMBERED);
    this.#pastEnd = new Float64Array(channels * REMEMBERED);
    this.#pastCount = new Float64Array(channels);
    this.packets = new Float64Array(channels);
  }

  openChannel(channel: number): void {
    this.#states[channel * CHANNEL_FIELDS + FIELD.IS_PAUSED] = 0;
    this.#lead[channel] = Number.NEGATIVE_INFINITY;
    this.#pastCount[channel] = 0;
    this.packets[channel] = 0;
  }

  begin(channel: number): void {
    this.#untilUs[channel] = Number.POSITIVE_INFINITY;
    if (this.#states[channel * CHANNEL_FIELDS + FIELD.IS_PAUSED] === 1) return;
    this.#states[channel * CHANNEL_FIELDS + FIELD.IS_PAUSED] = 1;
    this.#start[channel] = this.#timeline.end(channel);
    this.#lead[channel] = this.#timeline.lead(channel);
  }

  /** What arrives up to `untilUs`, or was sent by then, still belongs to the pause. */
  end(channel: number, untilUs: number): void {
    if (this.#states[channel * CHANNEL_FIELDS + FIELD.IS_PAUSED] === 1) this.#untilUs[channel] = untilUs;
  }

  isPaused(channel: number): boolean {
    return this.#states[channel * CHANNEL_FIELDS + FIELD.IS_PAUSED] === 1;
  }

  /**
   * Whether a packet of a paused channel, the last one placed, is withheld; the first one that is not ends the pause and
   * marks it.
   *
   * @param arrivalUs the earliest arrival of the packet and of those that the jitter buffer holds behind it.
   */
  withholds(channel: number, position: number, arrivalUs: number): boolean {
    const start = this.#start[channel] as number;
    const untilUs = this.#untilUs[channel] as number;
    if (arrivalUs <= untilUs || position < this.#positionAt(channel, untilUs)) {
      const lead = this.#timeline.lead(channel);
      if (arrivalUs <= untilUs && lead > (this.#lead[channel] as number)) this.#lead[channel] = lead;
      if (start === NONE) this.#start[channel] = position;
      this.packets[channel] = (this.packets[channel] as number) + 1;
      return true;
    }
    this.#states[channel * CHANNEL_FIELDS + FIELD.IS_PAUSED] = 0;
    if (start !== NONE && position > start) {
      this.#remember(channel, start, position);
      this.#mark(channel, start, position - start);
    }
    return false;
  }

  /**
   * Whether a late packet is withheld: it arrived during a pause, or its place lies in one. While a pause goes on, that
   * is everything behind its start.
   */
  withholdsLate(channel: number, position: number, durationTicks: number, arrivalUs: number): boolean {
    const end = position + durationTicks;
    const isWithheld =
      this.#states[channel * CHANNEL_FIELDS + FIELD.IS_PAUSED] === 1
        ? arrivalUs <= (this.#untilUs[channel] as number) || end > (this.#start[channel] as number)
        : false;
    if (!isWithheld && !this.#wasPaused(channel, position, end)) return false;
    this.packets[channel] = (this.packets[channel] as number) + 1;
    return true;
  }

  /** The stream ends: marks a pause that no packet has ended, up to its end or to now, even if nothing arrived in it. */
  closeChannel(channel: number, nowUs: number): void {
    if (this.#states[channel * CHANNEL_FIELDS + FIELD.IS_PAUSED] === 0) return;
    this.#states[channel * CHANNEL_FIELDS + FIELD.IS_PAUSED] = 0;
    const start = this.#start[channel] as number;
    const end = this.#timeline.positionAt(channel, Math.min(nowUs, this.#untilUs[channel] as number));
    if (start !== NONE && end > start) this.#mark(channel, start, Math.min(end - start, MOST_TICKS));
  }

  /** Where the time line was at `untilUs`. Both channels of a stream have one. */
  #positionAt(channel: number, untilUs: number): number {
    const mine = this.#lead[channel] as number;
    const lead = mine === Number.NEGATIVE_INFINITY ? (this.#lead[channel ^ 1] as number) : mine;
    return this.#timeline.positionWith(channel, lead, untilUs);
  }

  #remember(channel: number, start: number, end: number): void {
    const count = this.#pastCount[channel] as number;
    const at = channel * REMEMBERED + (count % REMEMBERED);
    this.#pastStart[at] = start;
    this.#pastEnd[at] = end;
    this.#pastCount[channel] = count + 1;
  }

  /** Whether a part of the time line was paused, or lies before the pauses that are remembered. */
  #wasPaused(channel: number, start: number, end: number): boolean {
    const count = this.#pastCount[channel] as number;
    const oldest = Math.max(0, count - REMEMBERED);
    for (let i = count - 1; i >= oldest; i--) {
      const at = channel * REMEMBERED + (i % REMEMBERED);
      if (start >= (this.#pastEnd[at] as number)) return false;
      if (end > (this.#pastStart[at] as number)) return true;
    }
    return oldest > 0;
  }
}
