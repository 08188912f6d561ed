import { join } from 'node:path';
import process from 'node:process';
import { addBlocks } from '../../../../src/audio/adaptive/bands.js';
import { initAdaptive } from '../../../../src/audio/adaptive/detector.js';
import { FEATURES, measureHop } from '../../../../src/audio/adaptive/features.js';
import { ADAPTIVE_STATE, ADAPTIVE_STATE_SLOTS } from '../../../../src/audio/adaptive/state.js';
import { decodePcmu, encodePcmu } from '../../../../src/audio/codecs/g711.js';
import { SampleMemory } from '../../../../src/audio/sample-memory.js';
import { readSpeech } from '../../../../src/evaluation/silence/labels.js';
import { speechFrames } from '../../../../src/evaluation/silence/score.js';
import { pcmOf, readAudio } from '../../../../src/evaluation/wav-audio.js';
import { SeededRandom } from '../../../../src/simulator/network/random.js';
import type { Condition } from '../../corpus/conditions.js';
import { corpus } from '../../corpus/corpus.js';
import { car, street, white } from '../../corpus/noise.js';
import { RATE } from '../../corpus/signal.js';

/** Length of each file of the tuning set, as `trunkline bench quality` makes it where nothing else is said. */
const SECONDS = 40;
export const HOP = 160;
const BEGIN_HOPS = 150;
const NOISES = ['white', 'car', 'street'] as const;
const NOISE_MAKERS = { white, car, street };
/** RMS of full scale. */
const NOISE_LEVELS = [0.001, 0.003, 0.01, 0.03, 0.1];
const SEED = 77;

/** Features of a stretch of sound, hop after hop, and which hops are speech. */
export interface Hops {
  readonly features: Float64Array;
  readonly speech: Uint8Array;
}

/** One file of the tuning set. */
export interface TuningFile extends Hops {
  readonly condition: Condition;
  readonly pcm: Int16Array;
}

/** Every file of the tuning set, which is made unless it is there. Its voices, prompts and languages are not those of the test set. */
export function* tuningFiles(): Generator<TuningFile> {
  const made = corpus({ set: 'tuning', seconds: SECONDS, log: (line) => process.stderr.write(`${line}\n`) });
  for (const condition of made.conditions) {
    for (const talker of made.talkers) {
      const file = join(made.folder, condition.name, talker);
      const pcm = pcmOf(readAudio(`${file}.wav`));
      const count = Math.floor(pcm.length / HOP);
      const speech = speechFrames(readSpeech(`${file}.json`), count);
      yield tuningFile(condition, pcm, speech);
      // A call may begin with speech.
      const first = speech.indexOf(1);
      const end = first + BEGIN_HOPS;
      yield tuningFile(condition, pcm.slice(first * HOP, end * HOP), speech.slice(first, end));
    }
  }
  yield* noiseAlone();
}

/** Calls in which nobody speaks. */
function* noiseAlone(): Generator<TuningFile> {
  for (const [number, noise] of NOISES.entries()) {
    const samples = NOISE_MAKERS[noise](SECONDS * RATE, new SeededRandom(SEED, number));
    for (const rms of NOISE_LEVELS) {
      const pcm = Int16Array.from(samples, (sample) => Math.max(-32_768, Math.min(32_767, 32_768 * rms * sample)));
      const decoded = new SampleMemory(new ArrayBuffer(2 * pcm.length));
      decodePcmu(SampleMemory.copyOf(encodePcmu(pcm)), 0, pcm.length, decoded, 0);
      yield tuningFile(
        { name: `${noise} alone`, groups: ['extra'], noise, levelDbfs: Number.NEGATIVE_INFINITY },
        decoded.samples,
        new Uint8Array(Math.floor(pcm.length / HOP)),
      );
    }
  }
}

function tuningFile(condition: Condition, pcm: Int16Array, speech: Uint8Array): TuningFile {
  return { condition, pcm, features: featuresOf(pcm, speech.length), speech };
}

function featuresOf(pcm: Int16Array, count: number): Float64Array {
  const state = new Float64Array(ADAPTIVE_STATE_SLOTS);
  initAdaptive(state, 0, 8000);
  const memory = SampleMemory.copyOf(pcm);
  const features = new Float64Array(count * FEATURES);
  for (let hop = 0; hop < count; hop++) {
    addBlocks(state, 0, memory, hop * HOP, state[ADAPTIVE_STATE.HOP_BLOCKS] as number);
    measureHop(state, 0, features.subarray(hop * FEATURES, (hop + 1) * FEATURES));
  }
  return features;
}

export function joined(parts: readonly Hops[]): Hops {
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

/** Noise of 5 and 10 dB counts more often: there is most to decide there, and easy lines are most of the corpus. */
export function timesOf({ groups, snrDb = 100 }: Condition): number {
  return groups.includes('noisy') && (snrDb === 5 || snrDb === 10) ? 4 : 1;
}
