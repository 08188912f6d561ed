import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Level, measureLevel } from '../../src/audio/level.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';

const level: Level = { meanSquare: 0, peak: 0 };

function measured(pcm: Int16Array, at = 0, count = pcm.length): Level {
  measureLevel(SampleMemory.copyOf(pcm), at, count, level);
  return { ...level };
}

describe('measureLevel', () => {
  it('takes −32768 for full scale', () => {
    expect(measured(new Int16Array(160).fill(-32768))).toEqual({ meanSquare: 1, peak: 32768 });
    expect(measured(new Int16Array(160))).toEqual({ meanSquare: 0, peak: 0 });
    expect(measured(new Int16Array(0))).toEqual({ meanSquare: 0, peak: 0 });
  });

  it('measures a sine at its amplitude over the root of two', () => {
    const pcm = Int16Array.from({ length: 8000 }, (_, i) => Math.round(16384 * Math.sin((2 * Math.PI * i) / 80)));
    expect(Math.sqrt(measured(pcm).meanSquare)).toBeCloseTo(0.5 / Math.SQRT2, 5);
    expect(measured(pcm).peak).toBe(16384);
  });

  it('has the same bits as a sum of whole numbers, divided once', () => {
    fc.assert(
      fc.property(fc.int16Array({ minLength: 1, maxLength: 2000 }), fc.nat(), fc.nat(), (pcm, a, b) => {
        const at = a % pcm.length;
        const count = 1 + (b % (pcm.length - at));
        const samples = [...pcm.subarray(at, at + count)];
        const sum = samples.reduce((total, sample) => total + BigInt(sample) ** 2n, 0n);
        expect(measured(pcm, at, count)).toEqual({
          meanSquare: Number(sum) / (count * 2 ** 30),
          peak: Math.max(...samples.map(Math.abs)),
        });
      }),
    );
  });
});
