import { FEATURES } from '../../../../src/audio/adaptive/features.js';
import { HIDDEN } from '../../../../src/audio/adaptive/weights.js';
import type { Hops } from './tuning-set.js';

/**
 * A perceptron with one hidden layer, fitted by stochastic gradient descent with Adam (Kingma and Ba, 2015) on the
 * cross-entropy. Its parameters lie in one array: weights of the hidden layer by feature, its biases, the weights of the
 * output, its bias.
 */
export const BIASES = FEATURES * HIDDEN;
export const OUTPUT = BIASES + HIDDEN;
const PARAMETERS = OUTPUT + HIDDEN + 1;
export const OUTPUT_BIAS_AT = PARAMETERS - 1;

const SEED = 20_260;
const BATCH = 256;
const PASSES = 3;
const DECAYS = [0.9, 0.999] as const;
/** Steps go down so that the result depends little on the last batches: share of the steps up to which a rate holds. */
const RATES = [
  { to: 0.5, rate: 0.004 },
  { to: 0.8, rate: 0.0012 },
  { to: 1, rate: 0.0003 },
] as const;

/** The odds of one hop; leaves the hidden sums in `hidden`. */
export function odds(weights: Float64Array, input: Float64Array, hidden: Float64Array): number {
  for (let j = 0; j < HIDDEN; j++) hidden[j] = weights[BIASES + j] as number;
  for (let k = 0, at = 0; k < FEATURES; k++, at += HIDDEN) {
    const value = input[k] as number;
    for (let j = 0; j < HIDDEN; j++) hidden[j] = (hidden[j] as number) + (weights[at + j] as number) * value;
  }
  let sum = weights[OUTPUT_BIAS_AT] as number;
  for (let j = 0; j < HIDDEN; j++) {
    const value = Math.max(0, hidden[j] as number);
    hidden[j] = value;
    sum += value * (weights[OUTPUT + j] as number);
  }
  return sum;
}

export function train(hops: Hops): Float64Array {
  const random = randomFrom(SEED);
  const { mean, deviation } = scalesOf(hops);
  const weights = Float64Array.from({ length: PARAMETERS }, () => (random() - 0.5) / 2);
  const adam = new Adam();
  const gradient = new Float64Array(PARAMETERS);
  const input = new Float64Array(FEATURES);
  const hidden = new Float64Array(HIDDEN);
  const steps = Math.floor((PASSES * hops.speech.length) / BATCH);
  for (let step = 1; step <= steps; step++) {
    gradient.fill(0);
    for (let n = 0; n < BATCH; n++) {
      const hop = Math.floor(random() * hops.speech.length);
      for (let k = 0; k < FEATURES; k++) {
        const value = hops.features[hop * FEATURES + k] as number;
        input[k] = (value - (mean[k] as number)) / (deviation[k] as number);
      }
      const error = 1 / (1 + Math.exp(-odds(weights, input, hidden))) - (hops.speech[hop] as number);
      addGradient(gradient, weights, input, hidden, error / BATCH);
    }
    const rate = RATES.find(({ to }) => step <= to * steps)?.rate ?? 0;
    adam.step(weights, gradient, rate);
  }
  return unscaled(weights, mean, deviation);
}

class Adam {
  readonly #first = new Float64Array(PARAMETERS);
  readonly #second = new Float64Array(PARAMETERS);
  #steps = 0;

  step(weights: Float64Array, gradient: Float64Array, rate: number): void {
    this.#steps++;
    const scales = DECAYS.map((decay) => 1 - decay ** this.#steps) as [number, number];
    for (const [i, slope] of gradient.entries()) {
      const first = DECAYS[0] * (this.#first[i] as number) + (1 - DECAYS[0]) * slope;
      const second = DECAYS[1] * (this.#second[i] as number) + (1 - DECAYS[1]) * slope * slope;
      this.#first[i] = first;
      this.#second[i] = second;
      weights[i] = (weights[i] as number) - (rate * first) / scales[0] / (Math.sqrt(second / scales[1]) + 1e-8);
    }
  }
}

function addGradient(
  gradient: Float64Array,
  weights: Float64Array,
  input: Float64Array,
  hidden: Float64Array,
  error: number,
): void {
  gradient[OUTPUT_BIAS_AT] = (gradient[OUTPUT_BIAS_AT] as number) + error;
  for (let j = 0; j < HIDDEN; j++) {
    if (hidden[j] === 0) continue;
    const back = error * (weights[OUTPUT + j] as number);
    gradient[OUTPUT + j] = (gradient[OUTPUT + j] as number) + error * (hidden[j] as number);
    gradient[BIASES + j] = (gradient[BIASES + j] as number) + back;
    for (let k = 0, at = j; k < FEATURES; k++, at += HIDDEN) {
      gradient[at] = (gradient[at] as number) + back * (input[k] as number);
    }
  }
}

/** Of xorshift32, 0 to 1: the fit must not depend on anything but the corpus. */
function randomFrom(seed: number): () => number {
  let word = seed;
  return () => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return (word >>> 0) / 2 ** 32;
  };
}

/** Mean and deviation of each feature, which the weights are fitted behind and then multiplied with. */
function scalesOf({ features, speech }: Hops): { mean: Float64Array; deviation: Float64Array } {
  const mean = new Float64Array(FEATURES);
  const deviation = new Float64Array(FEATURES);
  features.forEach((value, i) => {
    mean[i % FEATURES] = (mean[i % FEATURES] as number) + value / speech.length;
  });
  features.forEach((value, i) => {
    const from = value - (mean[i % FEATURES] as number);
    deviation[i % FEATURES] = (deviation[i % FEATURES] as number) + (from * from) / speech.length;
  });
  return { mean, deviation: deviation.map((variance) => Math.sqrt(variance) + 1e-6) };
}

/** Weights for features as they are. */
function unscaled(weights: Float64Array, mean: Float64Array, deviation: Float64Array): Float64Array {
  const result = weights.slice();
  for (let j = 0; j < HIDDEN; j++) {
    for (let k = 0; k < FEATURES; k++) {
      const weight = (weights[k * HIDDEN + j] as number) / (deviation[k] as number);
      result[k * HIDDEN + j] = weight;
      result[BIASES + j] = (result[BIASES + j] as number) - weight * (mean[k] as number);
    }
  }
  return result;
}
