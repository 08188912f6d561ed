/** The ratio of two geometric means, and where the true one lies with a confidence of 95 %. */
export interface RatioInterval {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

const CONFIDENCE = 0.95;

/**
 * Welch's t interval (Welch 1947) for the difference of the means of the logarithms of two samples, taken back to a
 * ratio: noise of a benchmark multiplies, and the rounds of two files need not scatter alike. Undefined with fewer than
 * two values on a side, or with one that is not positive.
 */
export function ratioInterval(before: readonly number[], after: readonly number[]): RatioInterval | undefined {
  if (Math.min(before.length, after.length) < 2 || [...before, ...after].some((value) => !(value > 0))) {
    return undefined;
  }
  const [a, b] = [before, after].map((values) => moments(values.map(Math.log))) as [Moments, Moments];
  const difference = b.mean - a.mean;
  const ratio = Math.exp(difference);
  const error = a.meanVariance + b.meanVariance;
  if (error === 0) return { ratio, low: ratio, high: ratio };
  const freedom = error ** 2 / (a.meanVariance ** 2 / (before.length - 1) + b.meanVariance ** 2 / (after.length - 1));
  const reach = studentQuantile((1 + CONFIDENCE) / 2, freedom) * Math.sqrt(error);
  return { ratio, low: Math.exp(difference - reach), high: Math.exp(difference + reach) };
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

interface Moments {
  readonly mean: number;
  /** Of the mean: the sample's variance by its size. */
  readonly meanVariance: number;
}

function moments(values: readonly number[]): Moments {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, meanVariance: squares / (values.length - 1) / values.length };
}

/** Below which a share of Student's t distribution lies; `share` above one half. By bisection. */
export function studentQuantile(share: number, freedom: number): number {
  let low = 0;
  let high = 1;
  while (studentShare(high, freedom) < share) high *= 2;
  for (let step = 0; step < 100; step++) {
    const middle = (low + high) / 2;
    if (studentShare(middle, freedom) < share) low = middle;
    else high = middle;
  }
  return high;
}

/** The share below `t` ≥ 0: 1 − I(ν / (ν + t²); ν/2, 1/2) / 2 (Abramowitz and Stegun 26.7.1 and 26.5.27). */
function studentShare(t: number, freedom: number): number {
  return 1 - incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;
}

/** The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log(1 - x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
  // Lentz's method, from the front.
  const tiny = 1e-300;
  let fraction = 1;
  let c = 1;
  let d = 0;
  for (let term = 0; term < 1_000; term++) {
    const m = Math.floor(term / 2);
    const numerator =
      term === 0
        ? 1
        : term % 2 === 0
          ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
          : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + numerator * d || tiny);
    c = 1 + numerator / c || tiny;
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-14) break;
  }
  return front * (fraction - 1);
}

/** Lanczos's approximation with g = 7, for arguments of one half and more. */
function logGamma(z: number): number {
  const x = z - 1;
  const sum = LANCZOS.reduce((all, term, i) => all + term / (x + i + 1), 0.99999999999980993);
  const t = x + LANCZOS.length - 0.5;
  return 0.5 * Math.log(2 * Math.PI) + (x + 0.5) * Math.log(t) - t + Math.log(sum);
}

const LANCZOS: readonly number[] = [
  ...[676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059],
  ...[12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7],
];
