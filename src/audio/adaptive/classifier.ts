import { FEATURES } from './features.js';
import { HIDDEN, HIDDEN_BIAS, HIDDEN_WEIGHTS, OUTPUT_BIAS, OUTPUT_WEIGHTS } from './weights.js';

const hidden = new Float64Array(HIDDEN);

/**
 * Combines the features of a hop into one number, the logarithm of the odds that it is speech: six sums of weighted
 * features, each cut off below 0, and a weighted sum of those (a perceptron with one hidden layer). Weights are numbers
 * in weights.ts; they were fitted offline, as bench/quality describes. The native path adds in the same order.
 */
export function classify(features: Float64Array): number {
  for (let j = 0; j < HIDDEN; j++) hidden[j] = HIDDEN_BIAS[j] as number;
  for (let k = 0, at = 0; k < FEATURES; k++, at += HIDDEN) {
    const feature = features[k] as number;
    for (let j = 0; j < HIDDEN; j++) {
      hidden[j] = (hidden[j] as number) + (HIDDEN_WEIGHTS[at + j] as number) * feature;
    }
  }
  let odds = OUTPUT_BIAS;
  for (let j = 0; j < HIDDEN; j++) {
    const value = hidden[j] as number;
    if (value > 0) odds += (OUTPUT_WEIGHTS[j] as number) * value;
  }
  return odds;
}
