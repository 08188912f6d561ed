import { encodePcmu } from '../../../src/audio/codecs/g711.js';
import { Resampler } from '../../../src/audio/resample.js';
import { parseAnyWav } from '../../../src/audio/wav.js';

/** Samples of full scale 1 at RATE. */
export type Signal = Float64Array;

/** Samples a second of the whole corpus. */
export const RATE = 8_000;

/** Band of a telephone line (ITU-T G.712). */
const BAND_HZ = [300, 3_400] as const;
const BAND_TAPS = 161;
const FULL_SCALE = 32_768;
const FORMAT_PCMU = 7;
const WAV_HEADER_BYTES = 58;

export interface Recorded {
  readonly sampleRate: number;
  readonly pcm: Int16Array;
}

/** The first channel of a WAV file of 16 bits. */
export function fromWav(bytes: Buffer): Recorded {
  const { sampleRate, channels, dataOffset, dataLength } = parseAnyWav(bytes);
  const length = dataLength / (2 * channels);
  return { sampleRate, pcm: Int16Array.from({ length }, (_, i) => bytes.readInt16LE(dataOffset + 2 * channels * i)) };
}

/** At RATE, and with the band of a telephone line. */
export function toLine({ sampleRate, pcm }: Recorded): Signal {
  let samples = pcm;
  if (sampleRate !== RATE) {
    const resampler = new Resampler(sampleRate, RATE, 1);
    const parts = [resampler.resample(pcm), resampler.resample(new Int16Array(sampleRate / 50))];
    samples = Int16Array.from(parts.flatMap((part) => [...part]));
  }
  return bandLimited(Float64Array.from(samples, (sample) => sample / FULL_SCALE));
}

let bandKernel: Signal | undefined;

/** Without delay: the filter is symmetric. */
export function bandLimited(signal: Signal): Signal {
  bandKernel ??= bandPass(BAND_HZ[0] / RATE, BAND_HZ[1] / RATE, BAND_TAPS);
  const kernel = bandKernel;
  const half = (BAND_TAPS - 1) / 2;
  return signal.map((_, at) => {
    let sum = 0;
    const first = Math.max(0, half - at);
    const last = Math.min(BAND_TAPS - 1, signal.length - 1 - at + half);
    for (let tap = first; tap <= last; tap++) sum += (kernel[tap] as number) * (signal[at + tap - half] as number);
    return sum;
  });
}

/** Difference of two low-passes (sinc, Blackman window); frequencies as parts of the rate. */
function bandPass(low: number, high: number, taps: number): Signal {
  const half = (taps - 1) / 2;
  return Float64Array.from({ length: taps }, (_, i) => {
    const x = i - half;
    const phase = (2 * Math.PI * i) / (taps - 1);
    const window = 0.42 - 0.5 * Math.cos(phase) + 0.08 * Math.cos(2 * phase);
    const ideal =
      x === 0 ? 2 * (high - low) : (Math.sin(2 * Math.PI * high * x) - Math.sin(2 * Math.PI * low * x)) / (Math.PI * x);
    return ideal * window;
  });
}

/** Root of the mean square of the samples from `from` to `to`. */
export function rms(signal: Signal, from = 0, to = signal.length): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += (signal[i] as number) ** 2;
  return Math.sqrt(sum / Math.max(1, to - from));
}

export function fromDecibels(decibels: number): number {
  return 10 ** (decibels / 20);
}

export function scaled(signal: Signal, factor: number): Signal {
  return signal.map((sample) => sample * factor);
}

/** Adds `signal` from position `at` on to `sum`; what lies beyond its end is left out. */
export function addTo(sum: Signal, signal: Signal, at: number, factor = 1): void {
  const count = Math.min(signal.length, sum.length - at);
  for (let i = 0; i < count; i++) sum[at + i] = (sum[at + i] as number) + factor * (signal[i] as number);
}

/** Lets the first and the last samples rise and fall in a straight line. */
export function faded(signal: Signal, samples: number): Signal {
  return signal.map((sample, i) => sample * Math.min(1, (i + 1) / samples, (signal.length - i) / samples));
}

/** A WAV file of µ-law. */
export function ulawWav(signal: Signal): Buffer {
  const pcm = Int16Array.from(signal, (sample) =>
    Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round(sample * FULL_SCALE))),
  );
  const codes = encodePcmu(pcm);
  const header = Buffer.alloc(WAV_HEADER_BYTES);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(WAV_HEADER_BYTES - 8 + codes.length + (codes.length & 1), 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(18, 16);
  header.writeUInt16LE(FORMAT_PCMU, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(RATE, 24);
  header.writeUInt32LE(RATE, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('fact', 38, 'latin1');
  header.writeUInt32LE(4, 42);
  header.writeUInt32LE(codes.length, 46);
  header.write('data', 50, 'latin1');
  header.writeUInt32LE(codes.length, 54);
  return Buffer.concat([header, codes, Buffer.alloc(codes.length & 1)]);
}
