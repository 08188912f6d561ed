import { AGAINST_BY_DISTANCE, AGAINST_LEAST, BAND_WEIGHT, BIAS, FOR_WEIGHT } from './fusion-weights.js';

/**
 * How the verdicts of the network and the evidence of the adaptive detector become one. The network hears what is speech
 * where bands and levels cannot tell: in babble and loud noise, and that music and tones are none. The bands know the
 * background of this channel, in which people may be talking as well. Their log-odds are added with weights, which were
 * fitted offline (bench/quality/silence/fit/fit-fusion.ts). What the network has against speech counts the less, the less
 * speech stands above the background: it does not hear speech that loud noise nearly covers.
 *
 * The network is asked only where there is doubt. Below the lower limit the evidence of the bands is clear. Above the
 * upper limit it is speech or something else that is loud: there one verdict of speech holds for a while.
 */

/** Where it lies in a channel's state (../adaptive/state.ts), beside that of the adaptive detector. */
export const NEURAL_STATE = {
  /** 1 while there is a verdict of the network on the last window, and its log-odds. */
  HAS_VERDICT: 160,
  LOG_ODDS: 161,
  /** Smoothed evidence of the bands alone. */
  BAND_EVIDENCE: 162,
  /** DOUBT since the window at hand began. */
  IN_DOUBT: 163,
  /** Windows for which loud sound is still taken for speech. */
  CONFIRMED: 164,
} as const;

const DOUBT = { NONE: 0, IF_UNCONFIRMED: 1, YES: 2 };

/** Limits of the bands' evidence. */
const CLEARLY_SILENT = -2;
const LOUD = 3;
/** Windows of 32 ms for which a verdict of speech holds where it is loud. */
const CONFIRMED_WINDOWS = 12;
/** Share of a hop in the bands' evidence. */
const BAND_SMOOTHING = 0.73;
/** The most by which speech that stands out makes the network count more. */
export const MOST_DISTANCE = 6;
/** The most that each can count. The network can outvote the bands where a tone is loud. */
export const MOST_BAND_ODDS = 4;
const MOST_LOG_ODDS = 6;

/** Log-odds of a hop that the bands alone say `odds` of; `distance` is that of speech from the background. */
export function fuseOdds(state: Float64Array, base: number, odds: number, distance: number): number {
  const last = state[base + NEURAL_STATE.BAND_EVIDENCE] as number;
  const evidence = last + (odds - last) * BAND_SMOOTHING;
  state[base + NEURAL_STATE.BAND_EVIDENCE] = evidence;
  const doubt = evidence <= CLEARLY_SILENT ? DOUBT.NONE : evidence >= LOUD ? DOUBT.IF_UNCONFIRMED : DOUBT.YES;
  if (doubt > (state[base + NEURAL_STATE.IN_DOUBT] as number)) state[base + NEURAL_STATE.IN_DOUBT] = doubt;
  if (state[base + NEURAL_STATE.HAS_VERDICT] !== 1) return odds;
  const bands = BAND_WEIGHT * Math.min(odds, MOST_BAND_ODDS);
  const network = state[base + NEURAL_STATE.LOG_ODDS] as number;
  const against = AGAINST_LEAST + AGAINST_BY_DISTANCE * Math.min(distance, MOST_DISTANCE);
  return bands + network * (network > 0 ? FOR_WEIGHT : against) + BIAS;
}

/** Whether the network is to judge the window that is complete now. */
export function takeDoubt(state: Float64Array, base: number): boolean {
  const doubt = state[base + NEURAL_STATE.IN_DOUBT] as number;
  state[base + NEURAL_STATE.IN_DOUBT] = DOUBT.NONE;
  if (doubt !== DOUBT.IF_UNCONFIRMED) return doubt === DOUBT.YES;
  const confirmed = state[base + NEURAL_STATE.CONFIRMED] as number;
  if (confirmed === 0) return true;
  state[base + NEURAL_STATE.CONFIRMED] = confirmed - 1;
  return false;
}

export function setVerdict(state: Float64Array, base: number, logOdds: number): void {
  state[base + NEURAL_STATE.HAS_VERDICT] = 1;
  state[base + NEURAL_STATE.CONFIRMED] = logOdds > 0 ? CONFIRMED_WINDOWS : 0;
  state[base + NEURAL_STATE.LOG_ODDS] = Math.max(-MOST_LOG_ODDS, Math.min(MOST_LOG_ODDS, logOdds));
}

/** After a long gap. */
export function forgetVerdict(state: Float64Array, base: number): void {
  state[base + NEURAL_STATE.HAS_VERDICT] = 0;
  state[base + NEURAL_STATE.BAND_EVIDENCE] = 0;
}

/** The window was not judged. */
export function clearVerdict(state: Float64Array, base: number): void {
  state[base + NEURAL_STATE.HAS_VERDICT] = 0;
}
