import { closeBandHop, hasStarted, trackMinimum } from './minimum.js';
import { ADAPTIVE_STATE, BANDS, BLOCK_SAMPLES, MINIMUM } from './state.js';

/** Declared here, for the compiler: what a module imports, or exports by its declaration, is looked up each time. */
const A = ADAPTIVE_STATE;

/**
 * What the classifier looks at, all of it relative to the channel's own floor, background or speech, so that neither the
 * level nor the line matters. Levels and SNRs are logarithms to base 2 of power: 1 is 3 dB.
 */
const FEATURE = {
  /** Mean SNR of the bands: of this hop, and smoothed over 80 and 250 ms. */
  SNR: 0,
  SNR_80: 1,
  SNR_250: 2,
  /** The minimum of SNR_250 over 6.4 s: what the background itself reaches. High in babble, near 0 in steady noise. */
  BACKGROUND: 3,
  /** The SNR that speech has had on this channel. */
  SPEECH_SNR: 4,
  /** Level above its minimum of 3.2 s; below the level of speech; and the distance of the two. */
  ABOVE_FLOOR: 5,
  BELOW_SPEECH: 6,
  RANGE: 7,
  /** Standard deviation of the SNR over 200 ms: speech fluctuates with its syllables. */
  DEVIATION: 8,
  /** Maxima that decay within half a second and within one and a half, and a minimum that rises in between. */
  PEAK_SHORT: 9,
  PEAK_LONG: 10,
  TROUGH: 11,
  /** SNR of each band. */
  BAND: 12,
  /** Change of the SNR since the last hop. */
  CHANGE: 19,
  /** Smoothed level above its minimum. */
  SMOOTHED_ABOVE_FLOOR: 20,
  /** Mean change of the level from hop to hop over 200 ms: next to none in a tone. */
  UNSTEADINESS: 21,
  /** Mean change of the bands' levels against each other over 700 ms: a tone's shape stays, and music's within a note. */
  SHAPE_CHANGE: 22,
  /** How far the loudest 2 ms of a hop are above its mean, over 200 and 700 ms: high in a voice, which has pulses. */
  PULSE_200: 23,
  PULSE_700: 24,
} as const;

export { FEATURE };
export const FEATURES = 25;

/** Mean square that is added to each band, of samples divided by 8: −72 dBFS. Below it nothing is told apart. */
const LEAST = 1;
/** Share of a hop in the smoothed power of a band. */
const BAND_SMOOTHING = 0.6;
/** What a band of steady noise is above its minimum on average, and the SNR that is enough for certainty. */
const BIAS = 0.4;
const MOST_SNR = 8;
/** Highest floor of a band to begin with, as a mean square, and of the level as a logarithm: −56 dBFS. */
const FIRST_FLOOR = 40;
const FIRST_LEVEL_FLOOR = 8;
/** Speech is taken to be 15 dB above the floor, and 12 dB above the background, until there was some. */
const FIRST_RANGE = 5;
const FIRST_SPEECH_SNR = 4;
/** What the bands' changes against each other, and the pulses, are in speech. */
const FIRST_SHAPE_CHANGE = 0.28;
const FIRST_PULSE = 1.3;
/** Below the bands: share of a hop in the smoothed power, and what the floor rises by in a hop. */
const LOW_SMOOTHING = 0.3;
const LOW_RISE = 0.02;
/** Sub-windows of minimum statistics, in hops. */
const BACKGROUND_SUB_WINDOW = 40;
const LEVEL_SUB_WINDOW = 20;
/** Shares of a hop in what adapts to speech: quickly up, down within half a minute. */
const SPEECH_UP = 0.3;
const SPEECH_DOWN = 0.0007;

const double = new Float64Array(1);
const halves = new Int32Array(double.buffer);

/**
 * log2(value), exact at powers of two and a straight line between them: at most 0.09 (0.3 dB) too low. It is read off
 * the exponent and mantissa of the double, which costs little and has the same bits everywhere.
 */
export function roughLog2(value: number): number {
  double[0] = value;
  return (halves[1] as number) / 1048576 - 1023;
}

/** Mean square of full scale 1 as that of samples divided by 8. */
const FULL_SCALE = 2 ** 24;

/** Whether a stretch of that mean square (of full scale) is nearer to the channel's floor than to its speech. */
export function isNearFloor(state: Float64Array, base: number, meanSquare: number): boolean {
  const floor = state[base + A.LEVEL_FLOOR + MINIMUM.FLOOR] as number;
  const speech = state[base + A.SPEECH_LEVEL] as number;
  return roughLog2(meanSquare * FULL_SCALE + BANDS * LEAST) < (floor + speech) / 2;
}

/** Takes the energies of a whole hop in, and leaves the FEATURES of this hop in `features`. */
export function measureHop(state: Float64Array, base: number, features: Float64Array): void {
  const isFirst = state[base + A.HOPS] === 0;
  const total = measureBands(state, base, isFirst, features);
  measurePulse(state, base, isFirst, roughLog2(total), features);
  measureSnr(state, base, isFirst, features);
  measureLevels(state, base, isFirst, roughLog2(total), features);
  state[base + A.HOPS] = (state[base + A.HOPS] as number) + 1;
}

/** SNR of each band and their mean; returns the mean square of all bands together. */
function measureBands(state: Float64Array, base: number, isFirst: boolean, features: Float64Array): number {
  // A coefficient squared is eight times the square of its share of a sample.
  const scale = (state[base + A.HOP_BLOCKS] as number) * BLOCK_SAMPLES * BLOCK_SAMPLES;
  let sum = 0;
  let total = 0;
  let common = 0;
  for (let band = 0; band < BANDS; band++) {
    const power = (state[base + A.ENERGY + band] as number) / scale + LEAST;
    state[base + A.ENERGY + band] = 0;
    total += power;
    const last = state[base + A.SMOOTH + band] as number;
    const smooth = isFirst ? power : last + (power - last) * BAND_SMOOTHING;
    state[base + A.SMOOTH + band] = smooth;
    const log = roughLog2(smooth);
    const change = isFirst ? 0 : log - roughLog2(last);
    changes[band] = change;
    common += change;
    if (isFirst) state[base + A.FLOOR + band] = roughLog2(Math.min(power, FIRST_FLOOR));
    if (log < (state[base + A.BAND_MINIMUM + band] as number)) state[base + A.BAND_MINIMUM + band] = log;
    if (log < (state[base + A.FLOOR + band] as number)) state[base + A.FLOOR + band] = log;
    const above = log - (state[base + A.FLOOR + band] as number) - BIAS;
    const snr = above < 0 ? 0 : Math.min(above, MOST_SNR);
    features[FEATURE.BAND + band] = snr;
    sum += snr;
  }
  closeBandHop(state, base);
  features[FEATURE.SNR] = sum / BANDS;
  features[FEATURE.SHAPE_CHANGE] = measureShape(state, base, isFirst, common / BANDS);
  return total;
}

/** How the bands have changed in this hop, as logarithms. */
const changes = new Float64Array(BANDS);

/** The smoothed size of the bands' changes beside the change that all have in `common`. */
function measureShape(state: Float64Array, base: number, isFirst: boolean, common: number): number {
  let sum = 0;
  for (let band = 0; band < BANDS; band++) sum += Math.abs((changes[band] as number) - common);
  const last = isFirst ? FIRST_SHAPE_CHANGE : (state[base + A.SHAPE_CHANGE] as number);
  const smooth = last + (sum / BANDS - last) * 0.03;
  state[base + A.SHAPE_CHANGE] = smooth;
  return smooth;
}

/** Two blocks of squares as the mean square of a sample, eight times the square of a coefficient's share of it. */
const PAIR_SCALE = 2 * BLOCK_SAMPLES * BLOCK_SAMPLES;

function measurePulse(
  state: Float64Array,
  base: number,
  isFirst: boolean,
  level: number,
  features: Float64Array,
): void {
  const loudest = (state[base + A.LOUDEST_PAIR] as number) / PAIR_SCALE + BANDS * LEAST;
  state[base + A.LOUDEST_PAIR] = 0;
  const pulse = roughLog2(loudest) - level;
  if (isFirst) {
    state[base + A.PULSE_200] = FIRST_PULSE;
    state[base + A.PULSE_700] = FIRST_PULSE;
  }
  const pulse200 = (state[base + A.PULSE_200] as number) + (pulse - (state[base + A.PULSE_200] as number)) * 0.1;
  const pulse700 = (state[base + A.PULSE_700] as number) + (pulse - (state[base + A.PULSE_700] as number)) * 0.03;
  state[base + A.PULSE_200] = pulse200;
  state[base + A.PULSE_700] = pulse700;
  features[FEATURE.PULSE_200] = pulse200;
  features[FEATURE.PULSE_700] = pulse700;
}

/**
 * Takes in what lies below the bands, without DC, and returns how far it is above its floor, as a logarithm. That floor
 * only serves to date the end of speech: a minimum that rises by 3 dB a second is enough.
 */
export function measureLow(state: Float64Array, base: number): number {
  const blocks = state[base + A.HOP_BLOCKS] as number;
  const sum = state[base + A.LOW_SUM] as number;
  const energy = (state[base + A.LOW_ENERGY] as number) - (sum * sum) / blocks;
  state[base + A.LOW_ENERGY] = 0;
  state[base + A.LOW_SUM] = 0;
  const power = energy / (blocks * BLOCK_SAMPLES * BLOCK_SAMPLES) + LEAST;
  // This hop has been counted.
  const isFirst = state[base + A.HOPS] === 1;
  const last = state[base + A.LOW] as number;
  const smooth = isFirst ? power : last + (power - last) * LOW_SMOOTHING;
  state[base + A.LOW] = smooth;
  const risen = isFirst ? FIRST_LEVEL_FLOOR : (state[base + A.LOW_FLOOR] as number) + LOW_RISE;
  const floor = Math.min(roughLog2(smooth), risen);
  state[base + A.LOW_FLOOR] = floor;
  return roughLog2(power) - floor;
}

/** What follows from the mean SNR. */
function measureSnr(state: Float64Array, base: number, isFirst: boolean, features: Float64Array): void {
  const snr = features[FEATURE.SNR] as number;
  const snr80 = (state[base + A.SNR_80] as number) + (snr - (state[base + A.SNR_80] as number)) * 0.25;
  const last250 = state[base + A.SNR_250] as number;
  const snr250 = isFirst ? snr : last250 + (snr - last250) * 0.08;
  const from = snr - snr250;
  const variance = (state[base + A.VARIANCE] as number) + (from * from - (state[base + A.VARIANCE] as number)) * 0.1;
  if (isFirst) {
    state[base + A.BACKGROUND + MINIMUM.FLOOR] = Math.min(snr250, 1);
    state[base + A.SPEECH_SNR] = FIRST_SPEECH_SNR;
  }
  trackMinimum(state, base + A.BACKGROUND, snr250, BACKGROUND_SUB_WINDOW, true);
  const background = state[base + A.BACKGROUND + MINIMUM.FLOOR] as number;
  const speech = follow(state[base + A.SPEECH_SNR] as number, snr80, background);
  const peakShort = Math.max(snr, (state[base + A.PEAK_SHORT] as number) - 0.3);
  const peakLong = Math.max(snr, (state[base + A.PEAK_LONG] as number) - 0.1);
  const risen = (state[base + A.TROUGH] as number) + 0.2;
  const trough = Math.min(snr, risen);
  features[FEATURE.SNR_80] = snr80;
  features[FEATURE.SNR_250] = snr250;
  features[FEATURE.BACKGROUND] = background;
  features[FEATURE.SPEECH_SNR] = speech;
  features[FEATURE.DEVIATION] = Math.sqrt(variance);
  features[FEATURE.PEAK_SHORT] = peakShort;
  features[FEATURE.PEAK_LONG] = peakLong;
  features[FEATURE.TROUGH] = trough;
  features[FEATURE.CHANGE] = snr - (state[base + A.LAST_SNR] as number);
  state[base + A.SNR_80] = snr80;
  state[base + A.SNR_250] = snr250;
  state[base + A.VARIANCE] = variance;
  state[base + A.SPEECH_SNR] = speech;
  state[base + A.PEAK_SHORT] = peakShort;
  state[base + A.PEAK_LONG] = peakLong;
  state[base + A.TROUGH] = trough;
  state[base + A.LAST_SNR] = snr;
}

function measureLevels(
  state: Float64Array,
  base: number,
  isFirst: boolean,
  level: number,
  features: Float64Array,
): void {
  const last = state[base + A.LEVEL] as number;
  const smooth = isFirst ? level : last + (level - last) * 0.5;
  if (isFirst) {
    const floor = Math.min(level, FIRST_LEVEL_FLOOR);
    state[base + A.LEVEL_FLOOR + MINIMUM.FLOOR] = floor;
    state[base + A.SPEECH_LEVEL] = floor + FIRST_RANGE;
  }
  trackMinimum(state, base + A.LEVEL_FLOOR, smooth, LEVEL_SUB_WINDOW, hasStarted(state, base));
  const floor = state[base + A.LEVEL_FLOOR + MINIMUM.FLOOR] as number;
  const speech = follow(state[base + A.SPEECH_LEVEL] as number, smooth, floor);
  const change = isFirst ? 1 : Math.abs(level - (state[base + A.LAST_LEVEL] as number));
  const unsteadiness =
    (state[base + A.UNSTEADINESS] as number) + (change - (state[base + A.UNSTEADINESS] as number)) * 0.1;
  features[FEATURE.UNSTEADINESS] = unsteadiness;
  state[base + A.UNSTEADINESS] = unsteadiness;
  state[base + A.LAST_LEVEL] = level;
  features[FEATURE.ABOVE_FLOOR] = level - floor;
  features[FEATURE.BELOW_SPEECH] = speech - level;
  features[FEATURE.RANGE] = speech - floor;
  features[FEATURE.SMOOTHED_ABOVE_FLOOR] = smooth - floor;
  state[base + A.LEVEL] = smooth;
  state[base + A.SPEECH_LEVEL] = speech;
}

/** Follows the maxima of `value`, and forgets them towards `floor`. */
function follow(last: number, value: number, floor: number): number {
  return value > last ? last + (value - last) * SPEECH_UP : last + (floor - last) * SPEECH_DOWN;
}
