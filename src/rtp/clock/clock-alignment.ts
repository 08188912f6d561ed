import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import { CHANNEL_FIELDS, channelStates, FIELD } from '../channel-state.js';
import type { PacketRing } from '../packet-ring.js';
import type { StandstillDetector } from '../standstill-detector.js';
import { DriftFilter } from './drift-filter.js';

/** The delays of so much time are one measurement, if there were so many packets. */
const WINDOW_US = 5 * US_PER_SECOND;
const LEAST_PACKETS = 10;
/**
 * The mean of so many shortest delays, each of a part of the window, is one measurement. Where delays have a floor, as
 * behind queues, each part reaches it. Where they have none (a normal distribution), the mean varies half as much as the
 * shortest delay of the whole window.
 */
const PARTS = 5;
const PART_US = WINDOW_US / PARTS;
/** A channel that lags by so much gets a gap where there is none to hear: after a lost packet or a pause of the sender. */
const CONVENIENT_US = 5 * US_PER_MS;
/** By so much, at its next packet. */
const LIMIT_US = 10 * US_PER_MS;
/** After so many measurements at the earliest, and when the lag is known to this. */
const LEAST_MEASUREMENTS = 5;
const KNOWN_US = 2 * US_PER_MS;
/** A lag of so much cannot wait until it is known as well as that. */
const LARGE_US = 12 * US_PER_MS;
const LARGE_KNOWN_US = 6 * US_PER_MS;
/** How far a prediction is believed while one channel is silent. */
const PREDICTION_SECONDS = 300;
/** A standstill is found to about this much: a jittery packet is all that tells its length. */
const STANDSTILL_ERROR_US = 20 * US_PER_MS;
/** The drift is told once it is known to this. */
const KNOWN_PPM = 30;

/**
 * Measures how fast the RTP clock of each sender runs, and keeps the two channels of a stream aligned. Two sound cards, or
 * two gateways, that differ by 400 ppm would be apart by 24 ms after one minute and by 1.4 s after an hour.
 *
 * The *delay* of a packet is its arrival less its media time; the mean of the shortest delays of five
 * seconds follows the clock, whatever the jitter. The difference between the channels says how far one lags behind what
 * they were at first. It is what both have in common that cancels out: a congested network delays both. The channel that lags, whose clock is slower, gets a
 * gap: its position goes on by that much without samples, as after a standstill. The one that is ahead loses nothing, and
 * no sample is stretched. Channels that share one clock do not drift, so nothing is ever corrected.
 *
 * Worked example: channel 0 runs at +200 ppm, channel 1 at −200 ppm. Every 5 s the delay of channel 1 grows by 2 ms more
 * than that of channel 0. After five measurements it lags by 10 ms, and its next packet is placed 10 ms later.
 *
 * A step of the difference is no drift and is not corrected: the sender or the network has a longer buffer than before.
 */
export class ClockAlignment {
  readonly #packets: PacketRing;
  readonly #standstills: StandstillDetector;
  readonly #states: Float64Array;
  /** By channel: its clock against arrival. By stream: by how much channel 0 lags behind channel 1. */
  readonly #clocks: DriftFilter;
  readonly #lags: DriftFilter;
  /** By stream: when it was measured last, the difference of the delays that is no lag, and 1 after a standstill. */
  readonly #measuredSeconds: Float64Array;
  readonly #anchorUs: Float64Array;
  readonly #isInexact: Uint8Array;
  /** By channel: what had been corrected when the last window ended, and the gap that was ordered then. */
  readonly #correctedUs: Float64Array;
  readonly #orderedUs: Float64Array;
  /** By stream: parts of the window that have ended. */
  readonly #part: Uint8Array;
  /** By channel: parts in which it had packets, how many those were, and the shortest delays of the parts added up. */
  readonly #partsOf: Uint8Array;
  readonly #packetsIn: Float64Array;
  readonly #shortestSumUs: Float64Array;

  constructor(
    channels: number,
    packets: PacketRing,
    standstills: StandstillDetector,
    states = channelStates(channels),
  ) {
    const streams = Math.ceil(channels / 2);
    this.#packets = packets;
    this.#standstills = standstills;
    this.#states = states;
    this.#clocks = new DriftFilter(streams * 2);
    this.#lags = new DriftFilter(streams);
    this.#measuredSeconds = new Float64Array(streams);
    this.#anchorUs = new Float64Array(streams);
    this.#isInexact = new Uint8Array(streams);
    this.#correctedUs = new Float64Array(streams * 2);
    this.#orderedUs = new Float64Array(streams * 2);
    this.#part = new Uint8Array(streams);
    this.#partsOf = new Uint8Array(streams * 2);
    this.#packetsIn = new Float64Array(streams * 2);
    this.#shortestSumUs = new Float64Array(streams * 2);
  }

  /** @param clockRate RTP timestamp units a second; the same for both channels of a stream. */
  open(channel: number, clockRate: number): void {
    const stream = channel >> 1;
    this.#states[channel * CHANNEL_FIELDS + FIELD.US_PER_TICK] = US_PER_SECOND / clockRate;
    this.#states[windowOf(stream)] = Number.NEGATIVE_INFINITY;
    this.#clear(stream);
    this.#clocks.reset(channel);
    this.#lags.reset(stream);
    this.#isInexact[stream] = 0;
    this.#correctedUs[channel] = 0;
    this.#orderedUs[channel] = 0;
    this.#part[stream] = 0;
    this.#partsOf[channel] = 0;
    this.#packetsIn[channel] = 0;
  }

  /** Takes in the newest packet of its channel, after the standstill detector. */
  observe(channel: number, d: number): void {
    const states = this.#states;
    const at = channel * CHANNEL_FIELDS;
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    if (!(arrivalUs < (states[windowOf(channel >> 1)] as number))) this.#endWindow(channel >> 1, d);
    const delayUs = arrivalUs - (this.#packets.timestamp[d] as number) * (states[at + FIELD.US_PER_TICK] as number);
    if (delayUs < (states[at + FIELD.CLOCK_SHORTEST_US] as number)) states[at + FIELD.CLOCK_SHORTEST_US] = delayUs;
    states[at + FIELD.CLOCK_PACKETS] = (states[at + FIELD.CLOCK_PACKETS] as number) + 1;
  }

  /** How much faster the channel's clock runs than this node's, in ppm; null while that is not known to 30 ppm. */
  driftPpm(channel: number): number | null {
    return this.#clocks.rateDeviationPpm(channel) <= KNOWN_PPM ? -this.#clocks.ratePpm(channel) : null;
  }

  /** A part of a window ends, and with the last one the window. */
  #endWindow(stream: number, d: number): void {
    const nowUs = this.#packets.arrivalUs[d] as number;
    const endUs = this.#states[windowOf(stream)] as number;
    if (!Number.isFinite(endUs)) {
      this.#states[windowOf(stream)] = nowUs + PART_US;
      this.#clear(stream);
      return;
    }
    this.#endPart(stream * 2);
    this.#endPart(stream * 2 + 1);
    const parts = 1 + Math.floor((nowUs - endUs) / PART_US);
    this.#part[stream] = Math.min(PARTS, (this.#part[stream] as number) + parts);
    if (this.#part[stream] === PARTS) {
      const seconds = endUs / US_PER_SECOND;
      this.#measureClock(stream * 2, seconds);
      this.#measureClock(stream * 2 + 1, seconds);
      this.#measureLag(stream, seconds);
      this.#order(stream, nowUs / US_PER_SECOND);
      this.#part[stream] = 0;
      this.#partsOf.fill(0, stream * 2, stream * 2 + 2);
      this.#packetsIn.fill(0, stream * 2, stream * 2 + 2);
    }
    this.#states[windowOf(stream)] = endUs + parts * PART_US;
    this.#clear(stream);
  }

  /** Adds the shortest delay of the part to those of the window. */
  #endPart(channel: number): void {
    const at = channel * CHANNEL_FIELDS;
    const packets = this.#states[at + FIELD.CLOCK_PACKETS] as number;
    if (packets === 0) return;
    const sumUs = this.#partsOf[channel] === 0 ? 0 : (this.#shortestSumUs[channel] as number);
    this.#shortestSumUs[channel] = sumUs + (this.#states[at + FIELD.CLOCK_SHORTEST_US] as number);
    this.#partsOf[channel] = (this.#partsOf[channel] as number) + 1;
    this.#packetsIn[channel] = (this.#packetsIn[channel] as number) + packets;
  }

  #measureClock(channel: number, seconds: number): void {
    if (this.#packetsOf(channel) >= LEAST_PACKETS) this.#clocks.measure(channel, seconds, this.#shortestOf(channel));
  }

  #measureLag(stream: number, seconds: number): void {
    const [first, second] = [stream * 2, stream * 2 + 1];
    const isMixed = this.#takeCorrections(stream);
    if (isMixed || Math.min(this.#packetsOf(first), this.#packetsOf(second)) < LEAST_PACKETS) return;
    // Delays by the positions that packets have got.
    const delayUs = this.#shortestOf(first) - (this.#correctedUs[first] as number);
    const otherUs = this.#shortestOf(second) - (this.#correctedUs[second] as number);
    if (!this.#lags.isStarted(stream)) this.#anchorUs[stream] = delayUs - otherUs;
    const stepUs = this.#lags.measure(stream, seconds, delayUs - otherUs - (this.#anchorUs[stream] as number));
    if (stepUs !== 0) {
      this.#anchorUs[stream] = (this.#anchorUs[stream] as number) + stepUs;
      this.#lags.shift(stream, -stepUs);
      this.#isInexact[stream] = 0;
    }
    this.#measuredSeconds[stream] = seconds;
  }

  /**
   * Takes into account what has been corrected during the window, by this class or as a standstill. True when a part of
   * the window came before that, so that its shortest delays cannot be compared.
   */
  #takeCorrections(stream: number): boolean {
    let isMixed = false;
    let byOthersUs = 0;
    for (const channel of [stream * 2, stream * 2 + 1]) {
      const correctedUs = this.#standstills.scheduled.totalUs(channel);
      const changeUs = correctedUs - (this.#correctedUs[channel] as number);
      this.#correctedUs[channel] = correctedUs;
      if (changeUs === 0) continue;
      const sign = (channel & 1) === 0 ? 1 : -1;
      const orderedUs = this.#orderedUs[channel] as number;
      // A gap has whole ticks.
      const isOrdered =
        orderedUs > 0 &&
        Math.abs(changeUs - orderedUs) <= (this.#states[channel * CHANNEL_FIELDS + FIELD.US_PER_TICK] as number);
      if (isOrdered) this.#lags.shift(stream, -sign * changeUs);
      else byOthersUs += sign * changeUs;
      // What was ordered to be done at once was done before the first packet of the window.
      if (!isOrdered || orderedUs < LIMIT_US) isMixed = true;
      this.#orderedUs[channel] = 0;
    }
    if (byOthersUs !== 0) {
      this.#lags.blur(stream, STANDSTILL_ERROR_US);
      this.#isInexact[stream] = 1;
    }
    return isMixed;
  }

  /** Orders a gap for the channel that lags, if one does: by drift, or because the length of a standstill was not exact. */
  #order(stream: number, seconds: number): void {
    const lagUs = this.#lags.offsetAt(stream, seconds);
    const knownUs = Math.abs(lagUs) >= LARGE_US ? LARGE_KNOWN_US : KNOWN_US;
    const isKnown =
      this.#lags.measurements(stream) >= LEAST_MEASUREMENTS && this.#lags.offsetDeviationUs(stream) <= knownUs;
    if (!isKnown || seconds - (this.#measuredSeconds[stream] as number) > PREDICTION_SECONDS) return;
    const isGrowing = Math.sign(this.#lags.ratePpm(stream)) === Math.sign(lagUs);
    const isDrift = isGrowing && this.#lags.isDrift(stream, WINDOW_US / US_PER_SECOND);
    const isStandstill = this.#isInexact[stream] === 1 && Math.abs(lagUs) >= LIMIT_US;
    const isLag = isStandstill || (isDrift && Math.abs(lagUs) >= CONVENIENT_US);
    const lagging = stream * 2 + (lagUs > 0 ? 0 : 1);
    for (const channel of [stream * 2, stream * 2 + 1]) {
      if (this.#standstills.scheduled.isPending(channel) && this.#orderedUs[channel] === 0) continue;
      const gapUs = isLag && channel === lagging ? Math.abs(lagUs) : 0;
      this.#orderedUs[channel] = gapUs;
      this.#standstills.scheduled.schedule(channel, gapUs, gapUs < LIMIT_US);
    }
  }

  #clear(stream: number): void {
    for (const channel of [stream * 2, stream * 2 + 1]) {
      this.#states[channel * CHANNEL_FIELDS + FIELD.CLOCK_SHORTEST_US] = Number.POSITIVE_INFINITY;
      this.#states[channel * CHANNEL_FIELDS + FIELD.CLOCK_PACKETS] = 0;
    }
  }

  /** Mean of the shortest delays of the window's parts. */
  #shortestOf(channel: number): number {
    const count = this.#partsOf[channel] as number;
    return (this.#shortestSumUs[channel] as number) / count;
  }

  #packetsOf(channel: number): number {
    return this.#packetsIn[channel] as number;
  }
}

/** Where the end of a stream's window stands. */
function windowOf(stream: number): number {
  return stream * 2 * CHANNEL_FIELDS + FIELD.CLOCK_WINDOW_END_US;
}
