import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { addBlocks } from '../../../src/audio/adaptive/bands.js';
import { initAdaptive } from '../../../src/audio/adaptive/detector.js';
import { FEATURES, measureHop } from '../../../src/audio/adaptive/features.js';
import { ADAPTIVE_STATE, ADAPTIVE_STATE_SLOTS } from '../../../src/audio/adaptive/state.js';
import { HIDDEN } from '../../../src/audio/adaptive/weights.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';
import { readSpeech } from '../../../src/evaluation/silence/labels.js';
import { speechFrames } from '../../../src/evaluation/silence/score.js';
import { pcmOf, readWavAudio } from '../../../src/evaluation/wav-audio.js';
import { corpus } from '../corpus/corpus.js';

/**
 * Fits the weights of the adaptive silence detector's classifier (src/audio/adaptive/classifier.ts) to the tuning set of
 * the corpus, whose voices, prompts and languages are not those of the test set: a perceptron with one hidden layer, by
 * stochastic gradient descent with Adam (Kingma and Ba, 2015) on the cross-entropy. Prints how many hops of the tuning set
 * are right, and writes weights.ts and weights.rs into the folder that is given:
 *
 *     node dist/bench/quality/silence/fit-classifier.js FOLDER
 */

const SECONDS = 60;
const HOP = 160;
const PASSES = 12;
const RATE = 0.002;
const DECAYS = [0.9, 0.999] as const;
/** Weights of the hidden layer by feature, its biases, the weights of the output, its bias. */
const OUTPUT = (FEATURES + 1) * HIDDEN;
const PARAMETERS = OUTPUT + HIDDEN + 1;

interface Hops {
  readonly features: Float64Array;
  readonly speech: Uint8Array;
}

function hopsOf(pcm: Int16Array, segments: ReturnType<typeof readSpeech>): Hops {
  const count = Math.floor(pcm.length / HOP);
  const state = new Float64Array(ADAPTIVE_STATE_SLOTS);
  initAdaptive(state, 0, 8000);
  const memory = SampleMemory.copyOf(pcm);
  const features = new Float64Array(count * FEATURES);
  for (let hop = 0; hop < count; hop++) {
    addBlocks(state, 0, memory, hop * HOP, state[ADAPTIVE_STATE.HOP_BLOCKS] as number);
    measureHop(state, 0, features.subarray(hop * FEATURES, (hop + 1) * FEATURES));
  }
  return { features, speech: speechFrames(segments, count) };
}

function tuningSet(): Hops {
  const made = corpus({ set: 'tuning', seconds: SECONDS, log: (line) => process.stderr.write(`${line}\n`) });
  const parts = made.conditions.flatMap(({ name }) =>
    made.talkers.map((talker) => {
      const file = join(made.folder, name, talker);
      return hopsOf(pcmOf(readWavAudio(`${file}.wav`)), readSpeech(`${file}.json`));
    }),
  );
  const count = parts.reduce((sum, { speech }) => sum + speech.length, 0);
  const all: Hops = { features: new Float64Array(count * FEATURES), speech: new Uint8Array(count) };
  let at = 0;
  for (const { features, speech } of parts) {
    all.features.set(features, at * FEATURES);
    all.speech.set(speech, at);
    at += speech.length;
  }
  return all;
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

/** The odds of one hop; leaves the hidden sums in `hidden`. */
function odds(weights: Float64Array, input: Float64Array, hidden: Float64Array): number {
  let sum = weights[PARAMETERS - 1] as number;
  for (let j = 0; j < HIDDEN; j++) {
    let value = weights[FEATURES * HIDDEN + j] as number;
    for (let k = 0; k < FEATURES; k++) value += (weights[k * HIDDEN + j] as number) * (input[k] as number);
    hidden[j] = Math.max(0, value);
    sum += (hidden[j] as number) * (weights[OUTPUT + j] as number);
  }
  return sum;
}

function train(hops: Hops): Float64Array {
  const random = randomFrom(20_260);
  const { mean, deviation } = scalesOf(hops);
  const weights = Float64Array.from({ length: PARAMETERS }, () => (random() - 0.5) / 2);
  const first = new Float64Array(PARAMETERS);
  const second = new Float64Array(PARAMETERS);
  const gradient = new Float64Array(PARAMETERS);
  const input = new Float64Array(FEATURES);
  const hidden = new Float64Array(HIDDEN);
  const batch = 256;
  const steps = Math.floor((PASSES * hops.speech.length) / batch);
  for (let step = 1; step <= steps; step++) {
    gradient.fill(0);
    for (let n = 0; n < batch; n++) {
      const hop = Math.floor(random() * hops.speech.length);
      for (let k = 0; k < FEATURES; k++) {
        const value = hops.features[hop * FEATURES + k] as number;
        input[k] = (value - (mean[k] as number)) / (deviation[k] as number);
      }
      const error = 1 / (1 + Math.exp(-odds(weights, input, hidden))) - (hops.speech[hop] as number);
      addGradient(gradient, weights, input, hidden, error / batch);
    }
    for (let i = 0; i < PARAMETERS; i++) {
      const slope = gradient[i] as number;
      first[i] = DECAYS[0] * (first[i] as number) + (1 - DECAYS[0]) * slope;
      second[i] = DECAYS[1] * (second[i] as number) + (1 - DECAYS[1]) * slope * slope;
      const ahead = (first[i] as number) / (1 - DECAYS[0] ** step);
      const size = Math.sqrt((second[i] as number) / (1 - DECAYS[1] ** step)) + 1e-8;
      weights[i] = (weights[i] as number) - (RATE * ahead) / size;
    }
  }
  return unscaled(weights, mean, deviation);
}

function addGradient(
  gradient: Float64Array,
  weights: Float64Array,
  input: Float64Array,
  hidden: Float64Array,
  error: number,
): void {
  const add = (at: number, value: number) => {
    gradient[at] = (gradient[at] as number) + value;
  };
  add(PARAMETERS - 1, error);
  for (let j = 0; j < HIDDEN; j++) {
    if (hidden[j] === 0) continue;
    add(OUTPUT + j, error * (hidden[j] as number));
    const back = error * (weights[OUTPUT + j] as number);
    add(FEATURES * HIDDEN + j, back);
    for (let k = 0; k < FEATURES; k++) add(k * HIDDEN + j, back * (input[k] as number));
  }
}

/** Weights for features as they are. */
function unscaled(weights: Float64Array, mean: Float64Array, deviation: Float64Array): Float64Array {
  const result = weights.slice();
  for (let j = 0; j < HIDDEN; j++) {
    for (let k = 0; k < FEATURES; k++) {
      const weight = (weights[k * HIDDEN + j] as number) / (deviation[k] as number);
      result[k * HIDDEN + j] = weight;
      result[FEATURES * HIDDEN + j] = (result[FEATURES * HIDDEN + j] as number) - weight * (mean[k] as number);
    }
  }
  return result;
}

/** Rows of numbers with four digits, as both languages write them. */
function rows(values: Float64Array, from: number, count: number, open: string, close: string): string {
  const text = Array.from(values.subarray(from, from + count), (value) => {
    const digits = String(Number(value.toPrecision(4)));
    return digits.includes('.') || digits.includes('e') ? digits : `${digits}.0`;
  });
  const lines: string[] = [];
  for (let at = 0; at < count; at += HIDDEN) lines.push(`${open}${text.slice(at, at + HIDDEN).join(', ')}${close}`);
  return lines.join('\n');
}

function write(folder: string, weights: Float64Array): void {
  const biases = FEATURES * HIDDEN;
  const last = Number((weights[PARAMETERS - 1] as number).toPrecision(4));
  const inTs = (from: number, count: number) => `new Float64Array([\n${rows(weights, from, count, '  ', ',')}\n]);`;
  const inRust = (from: number) => rows(weights, from, HIDDEN, '[', ']');
  writeFileSync(
    join(folder, 'weights.ts'),
    `export const HIDDEN = ${HIDDEN};
export const HIDDEN_WEIGHTS = ${inTs(0, biases)}
export const HIDDEN_BIAS = ${inTs(biases, HIDDEN)}
export const OUTPUT_WEIGHTS = ${inTs(OUTPUT, HIDDEN)}
export const OUTPUT_BIAS = ${last};
`,
  );
  writeFileSync(
    join(folder, 'weights.rs'),
    `pub const HIDDEN: usize = ${HIDDEN};
pub const HIDDEN_WEIGHTS: [[f64; HIDDEN]; ${FEATURES}] = [
${rows(weights, 0, biases, '    [', '],')}
];
pub const HIDDEN_BIAS: [f64; HIDDEN] = ${inRust(biases)};
pub const OUTPUT_WEIGHTS: [f64; HIDDEN] = ${inRust(OUTPUT)};
pub const OUTPUT_BIAS: f64 = ${last};
`,
  );
}

const hops = tuningSet();
const weights = train(hops);
const hidden = new Float64Array(HIDDEN);
const right = hops.speech.reduce((sum, isSpeech, hop) => {
  const features = hops.features.subarray(hop * FEATURES, (hop + 1) * FEATURES);
  return sum + (odds(weights, features, hidden) > 0 === (isSpeech === 1) ? 1 : 0);
}, 0);
process.stdout.write(`${((100 * right) / hops.speech.length).toFixed(1)} % of ${hops.speech.length} hops are right\n`);
write(process.argv[2] ?? '.', weights);
