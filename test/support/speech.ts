import { existsSync, readFileSync } from 'node:fs';
import { parseWav } from '../../src/audio/wav.js';
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
