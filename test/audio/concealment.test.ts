import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concealLost, concealmentSlots, initConcealment, rememberForConcealment } from '../../src/audio/concealment.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { SAMPLE_RATES } from '../../src/core/codec.js';

function channel(sampleRate: number, decoded: Int16Array = new Int16Array(0), base = 5) {
  const state = SampleMemory.copyOf(new Int16Array(base + concealmentSlots(sampleRate) + 5).fill(77));
  initConcealment(state, base, sampleRate);
  const hear = (pcm: Int16Array, at = 0, count = pcm.length) =>
    rememberForConcealment(state, base, SampleMemory.copyOf(pcm), at, count);
  hear(decoded);
  const conceal = (count: number): number[] => {
    const out = SampleMemory.copyOf(new Int16Array(count + 2).fill(99));
    concealLost(state, base, out, 1, count);
    expect([out.samples[0], out.samples[count + 1]]).toEqual([99, 99]);
    return [...out.samples.subarray(1, count + 1)];
  };
  const end = base + concealmentSlots(sampleRate);
  const intact = () =>
    [...state.samples.subarray(0, base), ...state.samples.subarray(end, end + 5)].every((slot) => slot === 77);
  return { hear, conceal, intact };
}

/** The definition at the head of concealment.ts, sample by sample. */
function byDefinition(decoded: readonly number[], sampleRate: number, count: number): number[] {
  const n = sampleRate / 50;
  const history = [...Array<number>(n).fill(0), ...decoded].slice(-n);
  return Array.from({ length: count }, (_, k) => {
    const j = k % (2 * n);
    const sample = history[j < n ? n - 1 - j : j - n] as number;
    if (k < n / 2) return sample;
    if (k >= 3 * n) return 0;
    return Number((BigInt(sample) * BigInt(3 * n - k)) / BigInt(3 * n - n / 2));
  });
}

describe('concealment', () => {
  it('follows its definition, however sound and loss are cut into packets', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SAMPLE_RATES),
        fc.array(fc.int16Array({ maxLength: 1200 }), { maxLength: 4 }),
        fc.array(fc.nat(1500), { minLength: 1, maxLength: 6 }),
        fc.nat(5),
        (sampleRate, packets, losses, base) => {
          const { hear, conceal, intact } = channel(sampleRate, undefined, base);
          for (const packet of packets) hear(packet);
          const decoded = packets.flatMap((packet) => [...packet]);
          const total = losses.reduce((sum, count) => sum + count, 0);
          const expected = byDefinition(decoded, sampleRate, total);
          expect(losses.flatMap(conceal)).toEqual(expected);
          expect(intact()).toBe(true);
        },
      ),
    );
  });

  it('goes on without a step, and is gone after 60 ms', () => {
    const sine = Int16Array.from({ length: 160 }, (_, i) => 10000 * Math.sin(i / 10));
    const made = channel(8000, sine).conceal(800);
    expect(made[0]).toBe(sine[159]);
    const steps = made.slice(1).map((sample, i) => Math.abs(sample - (made[i] as number)));
    expect(Math.max(...steps)).toBeLessThan(1100);
    expect(Math.max(...made.slice(320, 480).map(Math.abs))).toBeLessThan(4100);
    expect(made.slice(480).every((sample) => sample === 0)).toBe(true);
  });

  it('starts again after a packet was decoded', () => {
    const { hear, conceal } = channel(8000, new Int16Array(160).fill(1000));
    conceal(2000);
    hear(Int16Array.of(9, 9, 2000, 9), 2, 1);
    expect(conceal(3)).toEqual([2000, 1000, 1000]);
  });

  it('is silence before the first packet', () => {
    expect(
      channel(16000)
        .conceal(500)
        .every((sample) => sample === 0),
    ).toBe(true);
  });
});
