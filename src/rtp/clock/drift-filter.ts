/** Before anything is measured: clocks are within this of each other, as a standard deviation in ppm. */
const PRIOR_PPM = 300;
/** Temperature moves a crystal by about 1 ppm a minute; variance per second. */
const RATE_NOISE = 1 / 60;
/** The shortest delay of a network is not constant; variance in µs² per second. */
const OFFSET_NOISE = 100 ** 2;
/** Of one measurement: its standard deviation, in µs, as it is assumed at first, at least and at most. */
const NOISE = { first: 1_500, least: 300, most: 20_000 } as const;
/** Weight of one measurement in that: it rises at once and falls slowly. */
const NOISE_WEIGHT = { rising: 1 / 4, falling: 1 / 16 } as const;
/** The rate is known less well by this after each measurement that, with those before it, was not where it predicts. */
const FORGET_PPM = 50;
/** Weight of one measurement in the mean error. */
const BIAS_WEIGHT = 1 / 3;
/** A measurement this many standard deviations off, but at least and at most so many µs, does not count. */
const GATE = { deviations: 4, leastUs: 3_000, mostUs: 12_000 } as const;
/** While the offset itself is not known to this, there is no upper limit to the gate. */
const UNKNOWN_US = 10_000;
/** A rate counts when it is known to this many standard deviations. */
const SIGNIFICANT = 3;
/** So many of them in a row are a step. */
const STEP_AFTER = 3;

const VALUE = {
  /** Seconds, µs and ppm: at the latest measurement. */
  AT: 0,
  OFFSET: 1,
  RATE: 2,
  /** Their covariance. */
  P_OFFSET: 3,
  P_BOTH: 4,
  P_RATE: 5,
  NOISE: 6,
  OUTLIERS: 7,
  /** Mean of the latest errors of the prediction, in µs. */
  BIAS: 8,
  /** Measurements since the beginning or the latest step. */
  MEASUREMENTS: 9,
} as const;
const VALUES = 10;

/**
 * Follows an offset between two clocks that grows at a nearly constant rate: a Kalman filter with the state (offset in µs,
 * rate in µs per second, that is ppm), one for each track. It is given one measurement every few seconds, such as the
 * shortest delay in that time: jitter does not reach it.
 *
 * A step (another route, a buffer somewhere, a restart) is no drift. A measurement far from the prediction is left out,
 * and after the third in a row it begins again there. How much measurements vary is learnt as well, so that a jittery
 * network needs longer to convince it.
 *
 * Worked example: delays that grow by 2 ms every 5 s are 400 ppm. After four measurements with an error of 1 ms each, the
 * rate is known to 90 ppm, after twelve to 17 ppm.
 */
export class DriftFilter {
  readonly #values: Float64Array;

  constructor(tracks: number) {
    this.#values = new Float64Array(tracks * VALUES);
  }

  reset(track: number): void {
    this.#values.fill(0, track * VALUES, (track + 1) * VALUES);
    this.#values[track * VALUES + VALUE.AT] = Number.NaN;
  }

  isStarted(track: number): boolean {
    return !Number.isNaN(this.#values[track * VALUES + VALUE.AT] as number);
  }

  /** Takes a measurement. Returns by how much the offset has stepped: 0 as a rule. */
  measure(track: number, seconds: number, offsetUs: number): number {
    const values = this.#values;
    const at = track * VALUES;
    if (!this.isStarted(track)) {
      this.#begin(at, seconds, offsetUs);
      return 0;
    }
    const elapsed = this.#predict(at, seconds);
    const noise = (values[at + VALUE.NOISE] as number) ** 2;
    const error = offsetUs - (values[at + VALUE.OFFSET] as number);
    const pOffset = values[at + VALUE.P_OFFSET] as number;
    const variance = pOffset + noise;
    const mostUs = pOffset > UNKNOWN_US ** 2 ? Number.POSITIVE_INFINITY : GATE.mostUs;
    const gateUs = Math.min(mostUs, Math.max(GATE.leastUs, GATE.deviations * Math.sqrt(variance)));
    if (Math.abs(error) > gateUs) return this.#outlier(at, error);
    values[at + VALUE.OUTLIERS] = 0;
    values[at + VALUE.MEASUREMENTS] = (values[at + VALUE.MEASUREMENTS] as number) + 1;
    const bias = values[at + VALUE.BIAS] as number;
    values[at + VALUE.BIAS] = bias + (error - bias) * BIAS_WEIGHT;
    const pBoth = values[at + VALUE.P_BOTH] as number;
    values[at + VALUE.OFFSET] = (values[at + VALUE.OFFSET] as number) + (pOffset / variance) * error;
    values[at + VALUE.RATE] = (values[at + VALUE.RATE] as number) + (pBoth / variance) * error;
    values[at + VALUE.P_OFFSET] = (pOffset * noise) / variance;
    values[at + VALUE.P_BOTH] = (pBoth * noise) / variance;
    values[at + VALUE.P_RATE] = (values[at + VALUE.P_RATE] as number) - (pBoth * pBoth) / variance;
    this.#learnNoise(at, error * error - pOffset);
    if (this.#isBiased(at, elapsed)) {
      values[at + VALUE.P_RATE] = (values[at + VALUE.P_RATE] as number) + FORGET_PPM ** 2;
    }
    return 0;
  }

  /** Offset at a time not before the latest measurement. */
  offsetAt(track: number, seconds: number): number {
    const at = track * VALUES;
    const elapsed = seconds - (this.#values[at + VALUE.AT] as number);
    return (this.#values[at + VALUE.OFFSET] as number) + elapsed * (this.#values[at + VALUE.RATE] as number);
  }

  /** The offset has been changed by `byUs`, exactly. */
  shift(track: number, byUs: number): void {
    const at = track * VALUES;
    this.#values[at + VALUE.OFFSET] = (this.#values[at + VALUE.OFFSET] as number) + byUs;
  }

  /** The offset has been changed by something that is known to `deviationUs` only. */
  blur(track: number, deviationUs: number): void {
    const at = track * VALUES;
    this.#values[at + VALUE.P_OFFSET] = (this.#values[at + VALUE.P_OFFSET] as number) + deviationUs ** 2;
  }

  /** Measurements since the beginning or the latest step. */
  measurements(track: number): number {
    return this.#values[track * VALUES + VALUE.MEASUREMENTS] as number;
  }

  /** Whether the offset grows steadily: the rate is far above its deviation, and predicts the latest measurements. */
  isDrift(track: number, intervalSeconds: number): boolean {
    const isKnown = Math.abs(this.ratePpm(track)) > SIGNIFICANT * this.rateDeviationPpm(track);
    return isKnown && !this.#isBiased(track * VALUES, intervalSeconds);
  }

  ratePpm(track: number): number {
    return this.#values[track * VALUES + VALUE.RATE] as number;
  }

  /** Standard deviation of the rate; infinite before the first measurement. */
  rateDeviationPpm(track: number): number {
    return this.isStarted(track)
      ? Math.sqrt(Math.max(0, this.#values[track * VALUES + VALUE.P_RATE] as number))
      : Number.POSITIVE_INFINITY;
  }

  offsetDeviationUs(track: number): number {
    return Math.sqrt(Math.max(0, this.#values[track * VALUES + VALUE.P_OFFSET] as number));
  }

  #begin(at: number, seconds: number, offsetUs: number): void {
    const values = this.#values;
    values[at + VALUE.AT] = seconds;
    values[at + VALUE.OFFSET] = offsetUs;
    values[at + VALUE.RATE] = 0;
    values[at + VALUE.P_OFFSET] = NOISE.first ** 2;
    values[at + VALUE.P_BOTH] = 0;
    values[at + VALUE.P_RATE] = PRIOR_PPM ** 2;
    values[at + VALUE.NOISE] = NOISE.first;
    values[at + VALUE.OUTLIERS] = 0;
    values[at + VALUE.BIAS] = 0;
    values[at + VALUE.MEASUREMENTS] = 1;
  }

  #predict(at: number, seconds: number): number {
    const values = this.#values;
    const elapsed = Math.max(0, seconds - (values[at + VALUE.AT] as number));
    const pBoth = values[at + VALUE.P_BOTH] as number;
    const pRate = values[at + VALUE.P_RATE] as number;
    values[at + VALUE.AT] = seconds;
    values[at + VALUE.OFFSET] = (values[at + VALUE.OFFSET] as number) + elapsed * (values[at + VALUE.RATE] as number);
    values[at + VALUE.P_OFFSET] =
      (values[at + VALUE.P_OFFSET] as number) + elapsed * (2 * pBoth + elapsed * pRate + OFFSET_NOISE);
    values[at + VALUE.P_BOTH] = pBoth + elapsed * pRate;
    values[at + VALUE.P_RATE] = pRate + elapsed * RATE_NOISE;
    return elapsed;
  }

  /** Whether the latest measurements were not where the rate predicts them: after a step that has raised it, say. */
  #isBiased(at: number, elapsed: number): boolean {
    const byRateUs = Math.abs(this.#values[at + VALUE.RATE] as number) * elapsed;
    const toleranceUs = byRateUs / 4 + (this.#values[at + VALUE.NOISE] as number) / 2;
    return Math.abs(this.#values[at + VALUE.BIAS] as number) > toleranceUs;
  }

  #outlier(at: number, error: number): number {
    const values = this.#values;
    const outliers = (values[at + VALUE.OUTLIERS] as number) + 1;
    values[at + VALUE.OUTLIERS] = outliers;
    values[at + VALUE.NOISE] = Math.min(NOISE.most, (values[at + VALUE.NOISE] as number) * 1.25);
    if (outliers < STEP_AFTER) return 0;
    values[at + VALUE.OUTLIERS] = 0;
    const noise = values[at + VALUE.NOISE] as number;
    this.#begin(at, values[at + VALUE.AT] as number, (values[at + VALUE.OFFSET] as number) + error);
    values[at + VALUE.NOISE] = noise;
    return error;
  }

  #learnNoise(at: number, variance: number): void {
    const before = (this.#values[at + VALUE.NOISE] as number) ** 2;
    const within = Math.min(NOISE.most ** 2, Math.max(NOISE.least ** 2, variance));
    const weight = within > before ? NOISE_WEIGHT.rising : NOISE_WEIGHT.falling;
    this.#values[at + VALUE.NOISE] = Math.sqrt(before + (within - before) * weight);
  }
}
