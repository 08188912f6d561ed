import { FFT, PACKED } from '../../src/audio/neural/silero-weights.js';
import { mulberry32 } from './random.js';

/** Weights of a network that has learnt nothing, with the window and the tables of the real one. */
export function randomWeights(seed: number): Float32Array {
  const random = mulberry32(seed);
  const weights = Float32Array.from({ length: PACKED.length }, () => (random() - 0.5) / 4);
  for (let k = 0; k < FFT; k++) {
    weights[PACKED.window + k] = 0.5 - 0.5 * Math.cos((2 * Math.PI * k) / FFT);
    weights[PACKED.cosine + k] = Math.cos((2 * Math.PI * k) / FFT);
    weights[PACKED.sine + k] = Math.sin((2 * Math.PI * k) / FFT);
  }
  return weights;
}
