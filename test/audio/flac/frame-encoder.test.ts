import { describe, expect, it } from 'vitest';
import { decodePcmu, encodePcmu } from '../../../src/audio/codecs/g711.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';
import { loadClips } from '../../../src/simulator/sound/speech.js';
import { mulberry32 } from '../../support/random.js';
import { flacFile } from '../../support/recorder/flac-file.js';
import { decodeFlac, hasFlac } from '../../support/recorder/flac-program.js';

const random = mulberry32(7);
const noise = (samples: number, peak: number, step = 1) =>
  Int16Array.from({ length: samples }, () => Math.round(((2 * random() - 1) * peak) / step) * step);
const SIGNALS: readonly (readonly [name: string, samples: Int16Array])[] = [
  ['white noise of full scale, which cannot be made smaller', noise(3000, 32_767)],
  [
    'the two extremes in turn, the worst for predictors',
    Int16Array.from({ length: 5000 }, (_, i) => (i % 2 ? 32_767 : -32_768)),
  ],
  ['digital silence', new Int16Array(2048)],
  ['a constant', new Int16Array(1500).fill(-32_768)],
  ['one sample', Int16Array.of(-7)],
  ['four samples', Int16Array.of(1, -2, 3, -4)],
  ['a click in silence', Int16Array.from({ length: 4096 }, (_, i) => (i === 2000 ? 30_000 : 0))],
  ['samples with three common zero bits', noise(4100, 20_000, 8)],
  ['a parabola', Int16Array.from({ length: 4096 }, (_, i) => Math.round((i - 2048) ** 2 / 150))],
  ['noise that grows', Int16Array.from({ length: 9000 }, (_, i) => Math.round((2 * random() - 1) * 1.0012 ** i))],
];

describe.skipIf(!hasFlac)('FLAC frames, as the reference implementation decodes them (needs flac)', () => {
  it.each(SIGNALS)('%s', (_, pcm) => {
    expect(decodeFlac(flacFile(pcm, { sampleRate: 8000, channels: 1 }))).toEqual(pcm);
  });

  it.each([8000, 11_025, 16_000, 44_100, 48_000])('have two channels at %i Hz', (sampleRate) => {
    const pcm = Int16Array.from(noise(2 * 9001, 900), (sample, i) => (i % 2 ? sample * 4 : sample));
    expect(decodeFlac(flacFile(pcm, { sampleRate, channels: 2 }))).toEqual(pcm);
  });

  it.each([0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x1f_ffff, 0x3ff_fffe])('are numbered across %i', (firstFrame) => {
    // The reference implementation checks the order of frames, and that the number is as long as it says.
    const pcm = noise(3072, 100);
    const file = flacFile(pcm, { sampleRate: 8000, channels: 1 }, firstFrame);
    expect(decodeFlac(file)).toEqual(pcm);
  });
});

/** What is recorded of speech that came as PCMU. */
function asPcmu(pcm: Int16Array): Int16Array {
  const out = SampleMemory.copyOf(new Int16Array(pcm.length));
  decodePcmu(SampleMemory.copyOf(encodePcmu(pcm)), 0, pcm.length, out, 0);
  return out.samples.slice(0, pcm.length);
}

it('makes speech that came as PCMU smaller than half of it', () => {
  for (const { name, pcm, sampleRate } of loadClips()) {
    const file = flacFile(asPcmu(pcm), { sampleRate, channels: 1 });
    expect(file.length / pcm.byteLength, name).toBeLessThan(0.5);
  }
});
