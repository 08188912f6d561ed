import { LIMITS } from '../core/limits.js';
import { US_PER_MS, US_PER_SECOND } from '../core/units.js';
import { CHANNEL_FIELDS, channelStates, FIELD } from './channel-state.js';
import { ScheduledGaps } from './clock/scheduled-gaps.js';
import { CANDIDATE_TIMEOUT_US, KIND, type PacketRing } from './packet-ring.js';

/**
 * A stall: arrival falls behind the timestamps by at least this much from one packet to the next. On a network with
 * jitter it takes more, by twice the lag that is usual there, up to MAX_STALL_US.
 */
export const MIN_STALL_US = 80 * US_PER_MS;
const MAX_STALL_US = 300 * US_PER_MS;
/** A stall is judged only if the channel was this close to its shortest delay before it: the network had no backlog. */
const MAX_QUIET_LAG_US = 250 * US_PER_MS;
/** The packets after a stall have to arrive at the pace of their timestamps for this long. */
const CONFIRM_US = 35 * US_PER_MS;
/** After a short stall, on a network without jitter, they are held for this long at most until that is known. */
const SHORT_HOLD_US = 50 * US_PER_MS;
/** After a long stall they are held longer than the playout delay and have to do so for longer. */
const LONG_STALL_US = US_PER_SECOND;
const CONFIRM_LONG_US = 60 * US_PER_MS;
/** At least so many packets have to follow the first one. */
const CONFIRM_PACKETS = 2;
/** On a network with jitter, three packets at the right pace may be chance, and jitter can look like a burst: the shortest delays of two spans after the stall show whether the lag really falls. */
const WATCH_EARLY_US = 400 * US_PER_MS;
const WATCH_US = 2 * US_PER_SECOND;
/** A lag that changes by less than this, and a quarter of the usual lag, does not fall. */
const WATCH_TOLERANCE_US = 40 * US_PER_MS;
/** Delays that vary by more than this, and twice the usual lag, are those of a congested network. */
const MAX_WATCHED_SPREAD_US = 40 * US_PER_MS;
/** A network without jitter to speak of: the lag has not been above this of late. */
const CLEAN_SPREAD_US = 25 * US_PER_MS;
/** Of what it is above the current lag, the usual lag loses this part with each packet. */
const SPREAD_DECAY = 1 / 256;
/** At the pace: the delay changes by no more than this and half of the usual lag; by the second value with jitter. */
const CLEAN_TOLERANCE_US = 12 * US_PER_MS;
const JITTERY_TOLERANCE_US = 40 * US_PER_MS;
/** The shortest delay of each window is compared with that of the window before. */
const DRIFT_WINDOW_US = 15 * US_PER_SECOND;
/** So many steps from window to window must agree, to 30 ms and a quarter. */
const DRIFT_STEPS = 3;
const DRIFT_TOLERANCE_US = 30 * US_PER_MS;
/** No clock loses more than this in a window (5 %). What loses more is a network that builds up a backlog. */
const MAX_DRIFT_US = DRIFT_WINDOW_US / 20;
/** A lag that lasts is corrected when it has reached this. */
export const MIN_DRIFT_CORRECTION_US = 80 * US_PER_MS;
/** Timestamps this far ahead of the shortest delay are a clock that was set, not a faster network. */
const CLOCK_SET_US = US_PER_SECOND;

/** Whether a packet came after a stall that is not explained yet. */
export const STALL = {
  NONE: 0,
  /** The usual playout delay is long enough to find out. */
  SHORT: 1,
  /** It takes CANDIDATE_TIMEOUT_US. */
  LONG: 2,
} as const;
export type Stall = (typeof STALL)[keyof typeof STALL];

const STATE = {
  /** Near the shortest delay. */
  QUIET: 0,
  /** A stall, and nothing since that shows its cause. */
  STALLED: 1,
  /** The network has a backlog: packets caught up after a stall, or the delay grew step by step. */
  DELAYED: 2,
  /** A stall that the first packets after it have not explained: a burst, jitter, or a standstill. */
  WATCHED: 3,
} as const;

const NONE = -1;

/**
 * Finds senders that stood still: media time that falls behind arrival time and stays there.
 *
 * The *delay* of a packet is its arrival less its timestamp; the *lag* is its delay less the shortest one so far. Two
 * things make the lag grow at once: a network that held packets back, and a sender that sent nothing and did not advance
 * its numbers and timestamps (muted, on hold, or waiting for a reconnect). What follows tells them apart. After a network
 * delay the sender has gone on, so packets arrive faster than they play until the lag is gone. After a standstill there
 * is nothing to catch up with: packets arrive at the pace of their timestamps, and the lag stays. The playout delay is
 * long enough to see that after a short stall; after one of a second or more, packets are held for CANDIDATE_TIMEOUT_US
 * until it is clear which it was. The first packets of a burst end that at once.
 *
 * Worked example, 20 ms packets at 8 kHz: packet 49 (timestamp 7,840) arrives at 0.98 s, packet 50 (8,000) at 11.00 s,
 * 51 to 53 at 11.02, 11.04 and 11.06 s. The lag is 0, then 10 s for four packets and 60 ms: a standstill of 80,000 ticks
 * before packet 50. Had 51 to 53 arrived at 11.001 to 11.003 s, the lag would have fallen by 57 ms: a network delay.
 *
 * With jitter, a packet after a standstill may be faster than the one before it. The stall is then watched for two
 * seconds: after a network delay the shortest delay falls, or delays vary more than before; after a standstill neither.
 *
 * A slow sender clock is the same fault in slow motion: the lag grows by the same small step all the time, and no burst
 * takes it back. It is found by the shortest delays of four consecutive windows of 15 s, and corrected in steps of at
 * least 80 ms; a clock that is slow by 0.2 % adds 30 ms per window, so 120 ms are corrected every minute. A standstill
 * that jitter has concealed is found in the same way. The backlog of a network grows and shrinks unevenly.
 */
export class StandstillDetector {
  readonly #packets: PacketRing;
  readonly #states: Float64Array;
  /** STALLED: the first packet after the stall, its number, arrival and delay. */
  readonly #first: Int32Array;
  readonly #firstSequence: Float64Array;
  readonly #firstArrivalUs: Float64Array;
  readonly #firstDelayUs: Float64Array;
  /** STALLED: the shortest delay since, from when on the pace has been that of the timestamps, and for how many packets. */
  readonly #sinceShortestUs: Float64Array;
  readonly #pacedFromUs: Float64Array;
  readonly #paced: Int32Array;
  /** STALLED and WATCHED: the shortest delay of the first WATCH_EARLY_US, and of the time after that. */
  readonly #earlyShortestUs: Float64Array;
  readonly #lateShortestUs: Float64Array;
  readonly #longestUs: Float64Array;
  /** Of the window before: its shortest delay, and its step from the window before that. */
  readonly #lastShortestUs: Float64Array;
  readonly #lastStepUs: Float64Array;
  readonly #stepsAgreeing: Uint8Array;
  /** Gaps that are not due to a standstill, and how long all are. */
  readonly scheduled: ScheduledGaps;

  constructor(channels: number, packets: PacketRing, states = channelStates(channels)) {
    this.#packets = packets;
    this.#states = states;
    this.#first = new Int32Array(channels).fill(NONE);
    this.#firstSequence = new Float64Array(channels);
    this.#firstArrivalUs = new Float64Array(channels);
    this.#firstDelayUs = new Float64Array(channels);
    this.#sinceShortestUs = new Float64Array(channels);
    this.#pacedFromUs = new Float64Array(channels);
    this.#paced = new Int32Array(channels);
    this.#earlyShortestUs = new Float64Array(channels);
    this.#lateShortestUs = new Float64Array(channels);
    this.#longestUs = new Float64Array(channels);
    this.#lastShortestUs = new Float64Array(channels);
    this.#lastStepUs = new Float64Array(channels);
    this.#stepsAgreeing = new Uint8Array(channels);
    this.scheduled = new ScheduledGaps(channels, states);
  }

  /** @param clockRate RTP timestamp units a second. */
  open(channel: number, clockRate: number): void {
    this.#states[channel * CHANNEL_FIELDS + FIELD.US_PER_TICK] = US_PER_SECOND / clockRate;
    this.scheduled.open(channel);
    this.restart(channel);
  }

  /** The next packet begins a numbering, or its clock was set: no delay before can be compared with those after. */
  restart(channel: number): void {
    this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] = STATE.QUIET;
    this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] = Number.NaN;
    this.#states[channel * CHANNEL_FIELDS + FIELD.SPREAD_US] = 0;
    this.#first[channel] = NONE;
    this.#states[channel * CHANNEL_FIELDS + FIELD.WINDOW_END_US] = Number.NEGATIVE_INFINITY;
    this.#lastShortestUs[channel] = Number.NaN;
    this.#lastStepUs[channel] = Number.NaN;
    this.#stepsAgreeing[channel] = 0;
  }

  /** Whether the timestamp of a packet is ahead of its arrival by more than the longest gap. */
  isAheadOfTime(channel: number, d: number): boolean {
    const mediaUs =
      (this.#packets.timestamp[d] as number) * (this.#states[channel * CHANNEL_FIELDS + FIELD.US_PER_TICK] as number);
    const delayUs = (this.#packets.arrivalUs[d] as number) - mediaUs;
    return (
      delayUs <
      (this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] as number) - LIMITS.maxGapSeconds * US_PER_SECOND
    );
  }

  /** Takes in the newest packet of its channel. Says whether it should be held until a stall is explained. */
  observe(channel: number, d: number): Stall {
    const states = this.#states;
    const at = channel * CHANNEL_FIELDS;
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    const delayUs = arrivalUs - (this.#packets.timestamp[d] as number) * (states[at + FIELD.US_PER_TICK] as number);
    const stepUs = delayUs - (states[at + FIELD.DELAY_US] as number);
    const lagUs = delayUs - (states[at + FIELD.SHORTEST_US] as number);
    const timestampStepUs = arrivalUs - (states[at + FIELD.ARRIVAL_US] as number) - stepUs;
    states[at + FIELD.DELAY_US] = delayUs;
    states[at + FIELD.ARRIVAL_US] = arrivalUs;
    // The first packet (NaN), or one whose clock was set: far ahead, or back.
    if (!(lagUs >= -CLOCK_SET_US && timestampStepUs >= 0)) return this.#begin(channel, d);
    if (lagUs < 0) states[at + FIELD.SHORTEST_US] = delayUs;
    if (delayUs < (states[at + FIELD.WINDOW_SHORTEST_US] as number)) states[at + FIELD.WINDOW_SHORTEST_US] = delayUs;
    if (arrivalUs >= (states[at + FIELD.WINDOW_END_US] as number)) this.#endWindow(channel, d);
    if (this.scheduled.isPending(channel)) {
      this.#correct(channel, d, this.scheduled.take(channel, timestampStepUs, arrivalUs - lagUs));
    }
    if (
      this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] !== STATE.QUIET ||
      stepUs >= MIN_STALL_US ||
      lagUs > MAX_QUIET_LAG_US
    ) {
      return this.#afterStall(channel, d, stepUs, lagUs);
    }
    const aboveSpreadUs = lagUs - (states[at + FIELD.SPREAD_US] as number);
    if (aboveSpreadUs > 0) states[at + FIELD.SPREAD_US] = lagUs;
    else if (aboveSpreadUs < 0) states[at + FIELD.SPREAD_US] = lagUs - aboveSpreadUs * (1 - SPREAD_DECAY);
    return STALL.NONE;
  }

  /** The stream ends. A stall whose packets are still held is then taken for a standstill: no burst has followed. */
  settle(channel: number): void {
    if (this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] !== STATE.STALLED) return;
    const first = this.#heldFirst(channel);
    if (first !== NONE) this.#confirm(channel, first);
  }

  #begin(channel: number, d: number): Stall {
    this.restart(channel);
    const delayUs = this.#states[channel * CHANNEL_FIELDS + FIELD.DELAY_US] as number;
    this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] = delayUs;
    this.#states[channel * CHANNEL_FIELDS + FIELD.WINDOW_SHORTEST_US] = delayUs;
    this.#states[channel * CHANNEL_FIELDS + FIELD.WINDOW_END_US] =
      (this.#packets.arrivalUs[d] as number) + DRIFT_WINDOW_US;
    return STALL.NONE;
  }

  #afterStall(channel: number, d: number, stepUs: number, lagUs: number): Stall {
    const spreadUs = this.#states[channel * CHANNEL_FIELDS + FIELD.SPREAD_US] as number;
    const state = this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] as number;
    const isStall = stepUs >= Math.min(MAX_STALL_US, MIN_STALL_US + 2 * spreadUs);
    // A stall that follows on one that is not explained yet includes it.
    const isJudged = state === STATE.STALLED || lagUs - stepUs <= MAX_QUIET_LAG_US;
    if (isStall && isJudged) return this.#stall(channel, d, lagUs);
    if (state === STATE.WATCHED) return this.#watch(channel, d, lagUs);
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    const sinceStallUs = arrivalUs - (this.#firstArrivalUs[channel] as number);
    const delayUs = this.#states[channel * CHANNEL_FIELDS + FIELD.DELAY_US] as number;
    const changeUs = delayUs - (this.#firstDelayUs[channel] as number);
    const isLong = this.#isLongStall(channel);
    const isClean = spreadUs <= CLEAN_SPREAD_US;
    const toleranceUs = isClean ? CLEAN_TOLERANCE_US + spreadUs / 2 : JITTERY_TOLERANCE_US;
    if (state === STATE.STALLED && (changeUs < -toleranceUs || sinceStallUs >= WATCH_US)) {
      this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] = STATE.WATCHED;
      return this.#watch(channel, d, lagUs);
    }
    if (state !== STATE.STALLED) {
      this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] =
        lagUs <= MAX_QUIET_LAG_US ? STATE.QUIET : STATE.DELAYED;
      return STALL.NONE;
    }
    this.#noteDelay(channel, delayUs, sinceStallUs);
    this.#paced[channel] = (this.#paced[channel] as number) + 1;
    if (changeUs > toleranceUs) {
      this.#pacedFromUs[channel] = arrivalUs;
      this.#paced[channel] = 0;
    }
    if (delayUs < (this.#sinceShortestUs[channel] as number)) this.#sinceShortestUs[channel] = delayUs;
    const confirmUs = isLong ? CONFIRM_LONG_US : isClean ? CONFIRM_US : WATCH_US;
    const pacedUs = arrivalUs - (this.#pacedFromUs[channel] as number);
    if (pacedUs < confirmUs || (this.#paced[channel] as number) < CONFIRM_PACKETS) {
      if (isLong) return sinceStallUs < CANDIDATE_TIMEOUT_US ? STALL.LONG : STALL.NONE;
      return isClean && sinceStallUs < SHORT_HOLD_US ? STALL.SHORT : STALL.NONE;
    }
    const first = this.#heldFirst(channel);
    this.#confirm(channel, first === NONE ? d : first);
    return STALL.NONE;
  }

  /** Whether the lag after a stall falls, which the delay of one packet cannot show. Nothing is held for it. */
  #watch(channel: number, d: number, lagUs: number): Stall {
    const spreadUs = this.#states[channel * CHANNEL_FIELDS + FIELD.SPREAD_US] as number;
    const sinceStallUs = (this.#packets.arrivalUs[d] as number) - (this.#firstArrivalUs[channel] as number);
    this.#noteDelay(channel, this.#states[channel * CHANNEL_FIELDS + FIELD.DELAY_US] as number, sinceStallUs);
    if (lagUs <= Math.max(WATCH_TOLERANCE_US, spreadUs)) return this.#caughtUp(channel);
    if (sinceStallUs < WATCH_US) return STALL.NONE;
    const early = this.#earlyShortestUs[channel] as number;
    const late = this.#lateShortestUs[channel] as number;
    const shortest = Math.min(early, late);
    const isSteady =
      Math.abs(early - late) <= WATCH_TOLERANCE_US + spreadUs / 4 &&
      (this.#longestUs[channel] as number) - shortest <= MAX_WATCHED_SPREAD_US + 2 * spreadUs;
    if (isSteady && shortest - (this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] as number) >= MIN_STALL_US) {
      this.#sinceShortestUs[channel] = shortest;
      this.#confirm(channel, d);
    } else
      this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] =
        lagUs <= MAX_QUIET_LAG_US ? STATE.QUIET : STATE.DELAYED;
    return STALL.NONE;
  }

  /** It was a network delay. One that takes so long to catch up must not be trusted at the next stall. */
  #caughtUp(channel: number): Stall {
    const at = channel * CHANNEL_FIELDS;
    const stallUs = (this.#firstDelayUs[channel] as number) - (this.#states[at + FIELD.SHORTEST_US] as number);
    const usualUs = Math.min(stallUs, MAX_QUIET_LAG_US);
    if (usualUs > (this.#states[at + FIELD.SPREAD_US] as number)) this.#states[at + FIELD.SPREAD_US] = usualUs;
    this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] = STATE.QUIET;
    return STALL.NONE;
  }

  #noteDelay(channel: number, delayUs: number, sinceStallUs: number): void {
    const shortest = sinceStallUs <= WATCH_EARLY_US ? this.#earlyShortestUs : this.#lateShortestUs;
    if (delayUs < (shortest[channel] as number)) shortest[channel] = delayUs;
    if (delayUs > (this.#longestUs[channel] as number)) this.#longestUs[channel] = delayUs;
  }

  #isLongStall(channel: number): boolean {
    return (
      (this.#sinceShortestUs[channel] as number) -
        (this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] as number) >=
      LONG_STALL_US
    );
  }

  #stall(channel: number, d: number, lagUs: number): Stall {
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] = STATE.STALLED;
    this.#first[channel] = d;
    this.#firstSequence[channel] = this.#packets.sequence[d] as number;
    this.#firstArrivalUs[channel] = arrivalUs;
    this.#firstDelayUs[channel] = this.#states[channel * CHANNEL_FIELDS + FIELD.DELAY_US] as number;
    this.#sinceShortestUs[channel] = this.#states[channel * CHANNEL_FIELDS + FIELD.DELAY_US] as number;
    this.#earlyShortestUs[channel] = this.#firstDelayUs[channel] as number;
    this.#lateShortestUs[channel] = Number.POSITIVE_INFINITY;
    this.#longestUs[channel] = this.#firstDelayUs[channel] as number;
    this.#pacedFromUs[channel] = arrivalUs;
    this.#paced[channel] = 0;
    if (lagUs >= LONG_STALL_US) return STALL.LONG;
    return (this.#states[channel * CHANNEL_FIELDS + FIELD.SPREAD_US] as number) <= CLEAN_SPREAD_US
      ? STALL.SHORT
      : STALL.NONE;
  }

  /** The sender stood still before packet `d`. */
  #confirm(channel: number, d: number): void {
    const gapUs = (this.#sinceShortestUs[channel] as number) - this.#delayBeforeUs(channel);
    this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] = STATE.QUIET;
    this.#correct(channel, d, gapUs);
  }

  /** The delay that a standstill is measured from: a slow clock has raised the shortest one since, at its steady pace. */
  #delayBeforeUs(channel: number): number {
    const shortestUs = this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] as number;
    const driftUs = (this.#lastShortestUs[channel] as number) - shortestUs;
    const isDrift = (this.#stepsAgreeing[channel] as number) >= DRIFT_STEPS && driftUs < MIN_DRIFT_CORRECTION_US;
    return isDrift ? shortestUs + Math.max(0, driftUs) : shortestUs;
  }

  /** Of the packets that arrived after the stall, the one with the lowest number; −1 when they have been released. */
  #heldFirst(channel: number): number {
    const packets = this.#packets;
    let first = this.#first[channel] as number;
    const isHeld =
      packets.kind[first] !== KIND.FREE &&
      packets.channel[first] === channel &&
      packets.sequence[first] === this.#firstSequence[channel];
    if (!isHeld) return NONE;
    for (let before = packets.previous[first] as number; before !== NONE; before = packets.previous[before] as number) {
      if ((packets.arrivalUs[before] as number) < (this.#firstArrivalUs[channel] as number)) break;
      first = before;
    }
    return first;
  }

  #correct(channel: number, d: number, gapUs: number): void {
    const usPerTick = this.#states[channel * CHANNEL_FIELDS + FIELD.US_PER_TICK] as number;
    const gapTicks = Math.round(gapUs / usPerTick);
    this.#packets.standstillTicks[d] = (this.#packets.standstillTicks[d] as number) + gapTicks;
    this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] =
      (this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] as number) + gapUs;
    this.scheduled.made(channel, gapTicks * usPerTick);
  }

  /** A window ends: compares its shortest delay with those of the windows before it. */
  #endWindow(channel: number, d: number): void {
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    const shortestUs = this.#states[channel * CHANNEL_FIELDS + FIELD.WINDOW_SHORTEST_US] as number;
    const stepUs = shortestUs - (this.#lastShortestUs[channel] as number);
    const toleranceUs = DRIFT_TOLERANCE_US + Math.abs(stepUs) / 4;
    const isSteady =
      Math.abs(stepUs) <= MAX_DRIFT_US &&
      Math.abs(stepUs - (this.#lastStepUs[channel] as number)) <= toleranceUs &&
      arrivalUs - (this.#states[channel * CHANNEL_FIELDS + FIELD.WINDOW_END_US] as number) < DRIFT_WINDOW_US;
    const agreeing = isSteady ? Math.min((this.#stepsAgreeing[channel] as number) + 1, DRIFT_STEPS) : 1;
    this.#stepsAgreeing[channel] = agreeing;
    this.#lastStepUs[channel] = stepUs;
    this.#lastShortestUs[channel] = shortestUs;
    this.#states[channel * CHANNEL_FIELDS + FIELD.WINDOW_SHORTEST_US] = this.#states[
      channel * CHANNEL_FIELDS + FIELD.DELAY_US
    ] as number;
    this.#states[channel * CHANNEL_FIELDS + FIELD.WINDOW_END_US] = arrivalUs + DRIFT_WINDOW_US;
    const lagUs = shortestUs - (this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] as number);
    if (agreeing < DRIFT_STEPS || lagUs < MIN_DRIFT_CORRECTION_US) return;
    this.#states[channel * CHANNEL_FIELDS + FIELD.STALL_STATE] = STATE.QUIET;
    if (this.#lagOf(channel ^ 1) >= lagUs / 2) this.scheduled.scheduleBoth(channel, lagUs, arrivalUs);
    else this.#correct(channel, d, lagUs);
  }

  /** Of the last window; NaN when there was none. */
  #lagOf(channel: number): number {
    return (
      (this.#lastShortestUs[channel] as number) - (this.#states[channel * CHANNEL_FIELDS + FIELD.SHORTEST_US] as number)
    );
  }
}
