import { FEATURES } from './features.js';
import { HIDDEN, HIDDEN_BIAS, HIDDEN_WEIGHTS, OUTPUT_BIAS, OUTPUT_WEIGHTS } from './weights.js';

// What a module declares itself is a constant to the compiler; what it imports is looked up each time.
const bias = HIDDEN_BIAS;
const weights = HIDDEN_WEIGHTS;
const output = OUTPUT_WEIGHTS;
const end = FEATURES * HIDDEN;

/**
 * Combines the features of a hop into one number, the logarithm of the odds that it is speech: six sums of weighted
 * features, each cut off below 0, and a weighted sum of those (a perceptron with one hidden layer). Weights are numbers
 * in weights.ts; they were fitted offline, as bench/quality describes. The native path adds in the same order.
 *
 * The six sums are variables and no array, so that they stay in registers: in memory, each of the 25 additions to a sum
 * would wait for the one before to be written and read again.
 */
export function classify(features: Float64Array): number {
  let sum0 = bias[0] as number;
  let sum1 = bias[1] as number;
  let sum2 = bias[2] as number;
  let sum3 = bias[3] as number;
  let sum4 = bias[4] as number;
  let sum5 = bias[5] as number;
  for (let at = 0, next = 0; at < end; at += 6, next++) {
    const feature = features[next] as number;
    sum0 += (weights[at] as number) * feature;
    sum1 += (weights[at + 1] as number) * feature;
    sum2 += (weights[at + 2] as number) * feature;
    sum3 += (weights[at + 3] as number) * feature;
    sum4 += (weights[at + 4] as number) * feature;
    sum5 += (weights[at + 5] as number) * feature;
  }
  let odds = OUTPUT_BIAS;
  if (sum0 > 0) odds += (output[0] as number) * sum0;
  if (sum1 > 0) odds += (output[1] as number) * sum1;
  if (sum2 > 0) odds += (output[2] as number) * sum2;
  if (sum3 > 0) odds += (output[3] as number) * sum3;
  if (sum4 > 0) odds += (output[4] as number) * sum4;
  if (sum5 > 0) odds += (output[5] as number) * sum5;
  return odds;
}
