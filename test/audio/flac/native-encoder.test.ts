import { describe, expect, it } from 'vitest';
import { BitWriter } from '../../../src/audio/flac/bit-writer.js';
import { FlacFrameEncoder } from '../../../src/audio/flac/frame-encoder.js';
import { nativeFlacEncoder } from '../../../src/native/flac-encoder.js';
import { loadClips } from '../../../src/simulator/sound/speech.js';
import { nativeMissing } from '../../support/engine/shard-rig.js';
import { mulberry32 } from '../../support/random.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

const { TRUNKLINE_SEED, TRUNKLINE_E2E } = process.env;
const SEED = Number(TRUNKLINE_SEED ?? 41);
const ROUNDS = TRUNKLINE_E2E === 'full' ? 20_000 : 400;

/** Noise, tones, steps, ramps and silence, in any mixture, with any zero bits in common. */
function randomBlock(random: () => number, samples: number): Int16Array {
  const peak = 2 ** (random() * 15.01);
  const step = 2 ** Math.floor(random() * 6);
  const kinds = Array.from({ length: 1 + Math.floor(random() * 4) }, () => Math.floor(random() * 6));
  return Int16Array.from({ length: samples }, (_, i) => {
    const kind = kinds[Math.floor((i * kinds.length) / samples)];
    const value =
      kind === 0
        ? 2 * random() - 1
        : kind === 1
          ? Math.sin(i / 9)
          : kind === 2
            ? Math.sign(Math.sin(i))
            : kind === 3
              ? (i % 200) / 200
              : kind === 4
                ? 2 * random() ** 9
                : 0;
    return Math.max(-32_768, Math.min(32_767, Math.round((value * peak) / step) * step));
  });
}

/** Codes one block by both encoders and compares the bytes. */
function compare(pcm: Int16Array, channels: 1 | 2, sampleRate: number, number: number): void {
  const format = { sampleRate, channels };
  const js = new FlacFrameEncoder(format);
  const [ours, theirs] = [new Uint8Array(js.maxFrameBytes + 3), new Uint8Array(js.maxFrameBytes + 3)];
  const count = pcm.length / channels;
  const end = js.encode(pcm, 0, count, number, new BitWriter(ours), 3);
  const native = nativeFlacEncoder(format, js.blockSamples, pcm, theirs);
  expect(native?.encode(0, count, number, 3)).toBe(end);
  expect(Buffer.compare(ours.subarray(0, end), theirs.subarray(0, end))).toBe(0);
}

describe.skipIf(missing !== undefined)('the native encoder of FLAC frames (needs the native module)', () => {
  it(`makes the bytes of the JavaScript encoder of ${ROUNDS} random blocks (seed ${SEED})`, () => {
    const random = mulberry32(SEED);
    for (let round = 0; round < ROUNDS; round++) {
      const channels = random() < 0.5 ? 1 : 2;
      const sampleRate = [8000, 11_025, 16_000, 48_000][Math.floor(random() * 4)] as number;
      const most = sampleRate > 24_000 ? 4096 : 1024;
      const count = random() < 0.4 ? most : 1 + Math.floor(random() * most);
      compare(randomBlock(random, count * channels), channels, sampleRate, Math.floor(random() * 2 ** 31));
    }
  });

  it('makes them of blocks of any short length', () => {
    const random = mulberry32(SEED);
    for (let count = 1; count <= 70; count++) compare(randomBlock(random, 2 * count), 2, 8000, count);
  });

  it('makes them of speech', () => {
    for (const { pcm, sampleRate } of loadClips().slice(0, 3)) {
      const block = new FlacFrameEncoder({ sampleRate, channels: 1 }).blockSamples;
      for (let at = 0, number = 0; at < pcm.length; at += block) {
        compare(pcm.slice(at, at + block), 1, sampleRate, number++);
      }
    }
  });

  it('refuses what lies outside its arrays', () => {
    const native = nativeFlacEncoder(
      { sampleRate: 8000, channels: 2 },
      1024,
      new Int16Array(2048),
      new Uint8Array(5000),
    );
    for (const [at, count, outAt] of [
      [1, 1024, 0],
      [0, 1025, 0],
      [0, 0, 0],
      [4_000_000_000, 1, 0],
      [0, 1024, 1000],
      [0, 1024, 4_000_000_000],
    ] as const) {
      expect(() => native?.encode(at, count, 0, outAt)).toThrow(/There (are|is) no/);
    }
    expect(native?.encode(0, 1024, 0, 0)).toBeGreaterThan(0);
  });
});
