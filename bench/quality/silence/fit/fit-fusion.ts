import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { classify } from '../../../../src/audio/adaptive/classifier.js';
import { feedAdaptive, initAdaptive, skipAdaptive } from '../../../../src/audio/adaptive/detector.js';
import { FEATURE, FEATURES } from '../../../../src/audio/adaptive/features.js';
import { ADAPTIVE_STATE, ADAPTIVE_STATE_SLOTS } from '../../../../src/audio/adaptive/state.js';
import {
  clearVerdict,
  MOST_BAND_ODDS,
  MOST_DISTANCE,
  NEURAL_STATE,
  setVerdict,
  takeDoubt,
} from '../../../../src/audio/neural/fusion.js';
import { Silero } from '../../../../src/audio/neural/silero.js';
import { PACKED } from '../../../../src/audio/neural/silero-weights.js';
import { SpeechWindows } from '../../../../src/audio/neural/speech-windows.js';
import { SampleMemory } from '../../../../src/audio/sample-memory.js';
import { DETECTOR_ID } from '../../../../src/core/events.js';
import { SpeechModel } from '../../../../src/engine/threads/speech-model.js';
import { HOP, type TuningFile, timesOf, tuningFiles } from './tuning-set.js';

/**
 * Fits the weights by which the neural silence detector adds the log-odds of the bands and of the network
 * (src/audio/neural/fusion.ts) to the tuning set of the corpus, as the detector would have them: only the windows are
 * judged that are in doubt, and a verdict counts from the next frame on. It is a logistic regression, by Newton's method.
 * Needs the classifier's weights to be fitted before (fit-classifier.ts). Writes fusion-weights.ts and fusion_weights.rs
 * into the folder that is given; without a folder, to src/audio/neural and native/dsp/src/audio:
 *
 *     node dist/bench/quality/silence/fit/fit-fusion.js [FOLDER]
 */

const SHIPPED = { ts: 'src/audio/neural', rs: 'native/dsp/src/audio' };
const INPUTS = 5;
const STEPS = 25;
/** Keeps the matrix regular. */
const RIDGE = 1e-6;

/** Hops that there is a verdict on: INPUTS numbers each, whether they are speech, and how often each counts. */
interface Examples {
  readonly inputs: number[];
  readonly speech: number[];
  readonly times: number[];
}

function collect(file: TuningFile, silero: Silero, packed: Float32Array, examples: Examples): void {
  const state = new Float64Array(ADAPTIVE_STATE_SLOTS);
  initAdaptive(state, 0, 8000);
  state[ADAPTIVE_STATE.DETECTOR] = DETECTOR_ID.neural;
  skipAdaptive(state, 0, 0);
  const memory = SampleMemory.copyOf(file.pcm);
  const windows = new SpeechWindows(packed, 8000);
  windows.seek(0);
  const edges = new Float64Array(16);
  const times = timesOf(file.condition);
  let isJudged = false;
  for (const [hop, isSpeech] of file.speech.entries()) {
    if (isJudged) setVerdict(state, 0, windows.window.logOdds);
    isJudged = false;
    const features = file.features.subarray(hop * FEATURES, (hop + 1) * FEATURES);
    if (state[NEURAL_STATE.HAS_VERDICT] === 1) {
      examples.inputs.push(...inputsOf(features, state[NEURAL_STATE.LOG_ODDS] as number));
      examples.speech.push(isSpeech);
      examples.times.push(times);
    }
    feedAdaptive(state, 0, memory, hop * HOP, HOP, hop * HOP, edges, 0);
    for (let at = hop * HOP; at < (hop + 1) * HOP; ) {
      at = windows.take(memory, at, (hop + 1) * HOP);
      if (!windows.isComplete) break;
      const isInDoubt = takeDoubt(state, 0);
      windows.complete(isInDoubt);
      if (isInDoubt) windows.window.logOdds = silero.run(windows.window.input, windows.window.state);
      else clearVerdict(state, 0);
      isJudged = isInDoubt;
    }
  }
}

/** What fuseOdds() multiplies with BAND_WEIGHT, FOR_WEIGHT, AGAINST_LEAST, AGAINST_BY_DISTANCE and BIAS. */
function inputsOf(features: Float64Array, network: number): number[] {
  const distance = (features[FEATURE.SPEECH_SNR] as number) - (features[FEATURE.BACKGROUND] as number);
  const against = Math.min(network, 0);
  const bands = Math.min(classify(features), MOST_BAND_ODDS);
  return [bands, Math.max(network, 0), against, against * Math.min(distance, MOST_DISTANCE), 1];
}

function regression({ inputs, speech, times }: Examples): number[] {
  let weights = new Array<number>(INPUTS).fill(0);
  for (let step = 0; step < STEPS; step++) {
    const rows = Array.from({ length: INPUTS }, (_, k) => {
      const row = new Array<number>(INPUTS + 1).fill(0);
      row[k] = RIDGE;
      return row;
    });
    for (const [n, isSpeech] of speech.entries()) {
      let odds = 0;
      for (let k = 0; k < INPUTS; k++) odds += (weights[k] as number) * (inputs[n * INPUTS + k] as number);
      const share = 1 / (1 + Math.exp(-odds));
      const weight = (times[n] as number) * share * (1 - share);
      const error = (times[n] as number) * (isSpeech - share);
      for (const [k, row] of rows.entries()) {
        const value = inputs[n * INPUTS + k] as number;
        for (let j = 0; j < INPUTS; j++) {
          row[j] = (row[j] as number) + weight * value * (inputs[n * INPUTS + j] as number);
        }
        row[INPUTS] = (row[INPUTS] as number) + error * value;
      }
    }
    const change = solve(rows);
    weights = weights.map((value, k) => value + (change[k] as number));
  }
  return weights;
}

/** Gauss's elimination; the matrix is positive definite, so that no rows need to be exchanged. */
function solve(rows: number[][]): number[] {
  for (const [k, pivot] of rows.entries()) {
    for (const [n, row] of rows.entries()) {
      if (n === k) continue;
      const factor = (row[k] as number) / (pivot[k] as number);
      for (let j = k; j <= INPUTS; j++) row[j] = (row[j] as number) - factor * (pivot[j] as number);
    }
  }
  return rows.map((row, k) => (row[INPUTS] as number) / (row[k] as number));
}

function literal(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function typeScript(weights: readonly string[]): string {
  const [bands, forSpeech, least, byDistance, bias] = weights;
  return `// Fitted by bench/quality/silence/fit/fit-fusion.ts. native/dsp/src/audio/fusion_weights.rs has the same numbers.

/** Weights of the bands, and of a network that is for speech. */
export const BAND_WEIGHT = ${bands};
export const FOR_WEIGHT = ${forSpeech};
/** Weight of a network that is against speech: where speech hardly stands out, and for each 3 dB by which it does. */
export const AGAINST_LEAST = ${least};
export const AGAINST_BY_DISTANCE = ${byDistance};
export const BIAS = ${bias};
`;
}

function rust(weights: readonly string[]): string {
  const names = ['BAND_WEIGHT', 'FOR_WEIGHT', 'AGAINST_LEAST', 'AGAINST_BY_DISTANCE', 'BIAS'];
  const lines = weights.map((text, k) => `pub const ${names[k]}: f64 = ${/[.e]/.test(text) ? text : `${text}.0`};\n`);
  return `//! Fitted by bench/quality/silence/fit/fit-fusion.ts. src/audio/neural/fusion-weights.ts has the same numbers.

${lines.join('')}`;
}

const memory = new SharedArrayBuffer(PACKED.length * Float32Array.BYTES_PER_ELEMENT);
new SpeechModel({ memory, speechWeights: { offset: 0 } }).load();
const packed = new Float32Array(memory);
const silero = new Silero(packed);
const examples: Examples = { inputs: [], speech: [], times: [] };
for (const file of tuningFiles()) collect(file, silero, packed, examples);
const weights = regression(examples).map(literal);
process.stdout.write(`${examples.speech.length} hops with a verdict of the network: weights ${weights.join(', ')}\n`);
const folder = process.argv[2];
if (folder !== undefined) mkdirSync(folder, { recursive: true });
writeFileSync(join(folder ?? SHIPPED.ts, 'fusion-weights.ts'), typeScript(weights));
writeFileSync(join(folder ?? SHIPPED.rs, 'fusion_weights.rs'), rust(weights));
