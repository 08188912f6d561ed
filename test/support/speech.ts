import { existsSync, readFileSync } from 'node:fs';
import { parseWav } from '../../src/audio/wav.js';
import { resampleCircular } from '../../src/simulator/sound/resample.js';
import { type Clip, loadClips } from '../../src/simulator/sound/speech.js';
import { mulberry32 } from './random.js';

const FILE = new URL('../../../shared/corpora/speech/test_silence_voice_8000.wav', import.meta.url);

export const hasSpeechFile = existsSync(FILE);

/** 25.7 s of speech and pauses at 8 kHz; only when hasSpeechFile. */
export function speechFile(): Int16Array {
  const bytes = readFileSync(FILE);
  const { dataOffset, dataLength } = parseWav(bytes);
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset + dataOffset, bytes.byteOffset + dataOffset + dataLength));
}

/** White noise of the RMS given, of full scale. */
export function noise(rms: number, samples: number, seed = 1): Int16Array {
  const random = mulberry32(seed);
  const peak = rms * 32768 * Math.sqrt(3);
  return Int16Array.from({ length: samples }, () => Math.round(peak * (2 * random() - 1)));
}

/** Stretches of noise, one after another: RMS of full scale, and milliseconds. */
export function stretches(sampleRate: number, ...parts: readonly (readonly [rms: number, ms: number])[]): Int16Array {
  return Int16Array.from(parts.flatMap(([rms, ms], i) => [...noise(rms, (ms * sampleRate) / 1000, i + 1)]));
}

/** Loud enough to be speech and no noise of the line. */
const LOUD = 1500;

/**
 * Words of the simulator's synthetic voices at 8 kHz, each a few hundred milliseconds, with line noise of exactly
 * `pausesMs` around them: a pause, words, a pause, …, a pause.
 */
export function speechWithPauses(pausesMs: readonly number[]): Int16Array {
  const words = loadClips()
    .slice(0, pausesMs.length - 1)
    .map(firstWords);
  const parts = pausesMs.flatMap((ms, i) => [
    noise(0.0006, ms * 8, i + 1),
    words[i % words.length] ?? new Int16Array(0),
  ]);
  return Int16Array.from(parts.slice(0, 2 * pausesMs.length - 1).flatMap((part) => [...part]));
}

/** From the first loud sample to the last one before a quarter of a second without any. */
function firstWords({ pcm, sampleRate }: Clip): Int16Array {
  const sound = resampleCircular(pcm, sampleRate, 8000);
  const loud = [...sound.keys()].filter((at) => Math.abs(sound[at] as number) >= LOUD);
  const end = loud.findIndex((at, i) => (loud[i + 1] ?? Number.POSITIVE_INFINITY) - at > 2000);
  return sound.slice(loud[0], loud[end]);
}
