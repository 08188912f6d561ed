import { readFileSync } from 'node:fs';
import { decodePcma, decodePcmu } from '../audio/codecs/g711.js';
import { Resampler } from '../audio/resample.js';
import { SampleMemory } from '../audio/sample-memory.js';
import { parseAnyWav, type WavEncoding } from '../audio/wav.js';
import { SAMPLE_RATES } from '../core/codec.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import { audioFilesOf, readRecordedAudio } from '../sinks/recorder/files/recorded-audio.js';

/** One channel of a WAV file as packets carry it: G.711 as it is in the file, everything else as little-endian L16. */
export interface WavAudio {
  readonly codec: 'pcmu' | 'pcma' | 'l16';
  /** One that a stream can have. */
  readonly sampleRate: (typeof SAMPLE_RATES)[number];
  readonly bytesPerSample: 1 | 2;
  readonly payload: Uint8Array;
}

const MIN_RATE = 8_000;
const MAX_RATE = 48_000;
const G711_RATE = 8_000;
const BITS: Readonly<Record<WavEncoding, readonly number[]>> = {
  pcm: [8, 16, 24, 32],
  float: [32],
  pcma: [8],
  pcmu: [8],
};

/**
 * Reads one channel of an audio file of 8 to 48 kHz: WAV with PCM of 8, 16, 24 or 32 bits, floating point of 32 bits, A-law
 * or µ-law; FLAC; Ogg Opus; or the first audio of a recording's folder. Where a stream cannot have the file's rate, the
 * audio is brought to the next higher one that it can have.
 *
 * @throws TrunklineError FILE_FAILED, FILE_INVALID
 */
export function readAudio(path: string, channel = 0): WavAudio {
  const [file] = audioFilesOf(path);
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new TrunklineError('FILE_FAILED', `Cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return bytes.toString('latin1', 0, 4) === 'RIFF' ? wavAudio(bytes, channel) : decodedAudio(path, channel);
  } catch (error) {
    if (!(error instanceof TrunklineError) || error.message.startsWith(file)) throw error;
    throw new TrunklineError(error.code, `${file}: ${error.message}`, { cause: error });
  }
}

function decodedAudio(path: string, channel: number): WavAudio {
  const reader = readRecordedAudio(path, 1, channel);
  try {
    checkRate(reader.sampleRate);
    const pcm = new Int16Array(reader.samples);
    let done = 0;
    for (let got = 1; got > 0 && done < pcm.length; done += got) got = reader.read(pcm.subarray(done));
    if (done === 0) throw new TrunklineError('FILE_INVALID', 'This file has no samples.');
    return linear(pcm.slice(0, done), reader.sampleRate);
  } finally {
    reader.close();
  }
}

function checkRate(sampleRate: number): void {
  if (sampleRate >= MIN_RATE && sampleRate <= MAX_RATE) return;
  throw new TrunklineError('FILE_INVALID', `Its rate is ${sampleRate} Hz; 8,000 to 48,000 Hz can be read.`);
}

/** @throws TrunklineError FILE_INVALID */
export function wavAudio(bytes: Buffer, channel = 0): WavAudio {
  const { encoding, bitsPerSample, channels, sampleRate, dataOffset, dataLength } = parseAnyWav(bytes);
  if (!BITS[encoding].includes(bitsPerSample)) {
    throw new TrunklineError(
      'FILE_INVALID',
      `Samples of ${bitsPerSample} bits (${encoding}) cannot be read; convert it to 16-bit PCM.`,
    );
  }
  checkRate(sampleRate);
  if (channel >= channels) {
    throw new TrunklineError('FILE_INVALID', `There is no channel ${channel}: it has ${channels}, counted from 0.`);
  }
  const width = bitsPerSample / 8;
  const count = dataLength / (width * channels);
  if (count === 0) throw new TrunklineError('FILE_INVALID', 'This WAV file has no samples.');
  const at = (i: number): number => dataOffset + (i * channels + channel) * width;
  if (encoding === 'pcma' || encoding === 'pcmu') {
    const codes = Uint8Array.from({ length: count }, (_, i) => bytes[at(i)] as number);
    if (sampleRate === G711_RATE) return { codec: encoding, sampleRate, bytesPerSample: 1, payload: codes };
    return linear(decoded(encoding, codes), sampleRate);
  }
  const read = sampleReader(bytes, encoding, width);
  return linear(
    Int16Array.from({ length: count }, (_, i) => read(at(i))),
    sampleRate,
  );
}

/** Its samples, decoded. */
export function pcmOf({ codec, payload }: WavAudio): Int16Array {
  if (codec !== 'l16') return decoded(codec, payload);
  return new Int16Array(payload.buffer, payload.byteOffset, payload.length / 2);
}

function linear(pcm: Int16Array, fileRate: number): WavAudio {
  const sampleRate = SAMPLE_RATES.find((rate) => rate >= fileRate) ?? MAX_RATE;
  const samples = sampleRate === fileRate ? pcm : resampled(pcm, fileRate, sampleRate);
  const payload = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  return { codec: 'l16', sampleRate, bytesPerSample: 2, payload };
}

function resampled(pcm: Int16Array, from: number, to: number): Int16Array {
  const resampler = new Resampler(from, to, 1);
  const first = resampler.resample(pcm);
  // The last samples come out when there is input behind them.
  const rest = resampler.resample(new Int16Array(from / 50));
  const out = new Int16Array(Math.round((pcm.length * to) / from));
  out.set(first.subarray(0, out.length));
  out.set(rest.subarray(0, Math.max(0, out.length - first.length)), Math.min(first.length, out.length));
  return out;
}

function decoded(encoding: 'pcma' | 'pcmu', codes: Uint8Array): Int16Array {
  const out = new SampleMemory(new ArrayBuffer((codes.length * 2 + 3) & ~3));
  const decode = encoding === 'pcma' ? decodePcma : decodePcmu;
  decode(SampleMemory.copyOf(codes), 0, codes.length, out, 0);
  return out.samples.subarray(0, codes.length);
}

/** Reads a sample at an offset as 16 bits. PCM of 8 bits is unsigned in WAV, wider PCM signed. */
function sampleReader(bytes: Buffer, encoding: 'pcm' | 'float', width: number): (offset: number) => number {
  if (encoding === 'float') return (offset) => clamped(Math.round(bytes.readFloatLE(offset) * 32_768));
  switch (width) {
    case 1:
      return (offset) => ((bytes[offset] as number) - 128) << 8;
    case 2:
      return (offset) => bytes.readInt16LE(offset);
    case 3:
      return (offset) => bytes.readInt16LE(offset + 1);
    default:
      return (offset) => bytes.readInt16LE(offset + 2);
  }
}

function clamped(value: number): number {
  return Math.max(-32_768, Math.min(32_767, Number.isNaN(value) ? 0 : value));
}
