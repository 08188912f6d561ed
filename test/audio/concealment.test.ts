import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  concealLost,
  fitToNext,
  historySamples,
  MAX_HISTORY,
  pitchPeriod,
  samplesToFit,
} from '../../src/audio/concealment.js';
import { SAMPLE_RATES } from '../../src/core/codec.js';

const anyRate = fc.constantFrom(...SAMPLE_RATES);

/** The last samples of `decoded` as a history, zeros before them. */
function historyOf(decoded: Int16Array, sampleRate: number): Int16Array {
  const length = historySamples(sampleRate);
  const history = new Int16Array(MAX_HISTORY);
  const kept = decoded.subarray(Math.max(0, decoded.length - length));
  history.set(kept, length - kept.length);
  return history;
}

function conceal(decoded: Int16Array, sampleRate: number, counts: readonly number[]): Int16Array {
  const history = historyOf(decoded, sampleRate);
  const length = historySamples(sampleRate);
  const period = pitchPeriod(history, length, sampleRate);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const out = new Int16Array(total + 2).fill(99);
  let k = 0;
  for (const count of counts) {
    concealLost(history, length, period, sampleRate, k, out, 1 + k, count);
    k += count;
  }
  expect([out[0], out[total + 1]]).toEqual([99, 99]);
  return out.subarray(1, total + 1);
}

const sawtooth = (period: number, samples: number) =>
  Int16Array.from({ length: samples }, (_, i) => Math.floor(((i % period) * 20_000) / period) - 10_000);

/** The steps between successive samples. */
const steps = (samples: Int16Array) =>
  Array.from(samples.subarray(1), (sample, i) => Math.abs(sample - (samples[i] as number)));

describe('concealment', () => {
  it('goes on with the pitch period of each rate, and fades out from 10 to 60 ms', () => {
    for (const sampleRate of SAMPLE_RATES) {
      const tick = sampleRate / 100;
      for (const period of [tick / 2 + 1, Math.floor(0.8 * tick), Math.floor(1.3 * tick)]) {
        const sent = sawtooth(period, 20 * tick);
        const lost = sent.subarray(12 * tick);
        const made = conceal(sent.subarray(0, 12 * tick), sampleRate, [lost.length]);
        expect(made.subarray(0, tick)).toEqual(lost.subarray(0, tick));
        const gains = [1.5, 2.5, 3.5, 4.5, 5.5].map((at) => {
          const k = Math.round(at * tick);
          return (made[k] as number) / (lost[k] as number);
        });
        for (const [i, gain] of gains.entries()) expect(gain).toBeCloseTo(0.9 - 0.2 * i, 1);
        expect(made.subarray(6 * tick).every((sample) => sample === 0)).toBe(true);
      }
    }
  });

  it('is the same however the loss is cut into packets', () => {
    fc.assert(
      fc.property(
        anyRate,
        fc.int16Array({ maxLength: 3000 }),
        fc.array(fc.nat(1500), { minLength: 1, maxLength: 6 }),
        (sampleRate, decoded, counts) => {
          const total = counts.reduce((sum, count) => sum + count, 0);
          expect(conceal(decoded, sampleRate, counts)).toEqual(conceal(decoded, sampleRate, [total]));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('makes no step that speech did not have: neither at its beginning nor between one, two and three periods', () => {
    const voice = (i: number) => 6000 * Math.sin(i / 9) + 2500 * Math.sin(i / 4.4) + 900 * Math.sin(i / 50);
    const sent = Int16Array.from({ length: 1200 }, (_, i) => voice(i));
    const decoded = sent.subarray(0, 700);
    const made = conceal(decoded, 8000, [500]);
    const whole = Int16Array.of(...decoded, ...made);
    expect(Math.max(...steps(whole.subarray(690)))).toBeLessThan(1.15 * Math.max(...steps(sent)));
  });

  it('ends as the next packet begins', () => {
    const sent = sawtooth(67, 1600);
    for (const count of [40, 160, 320, 1200]) {
      const made = conceal(sent.subarray(0, 800), 8000, [count]);
      const alone = made.slice();
      // A packet at another phase than the repeated periods, so that without fitting there would be a step.
      const next = sent.subarray(830);
      const period = pitchPeriod(historyOf(sent.subarray(0, 800), 8000), historySamples(8000), 8000);
      expect(period).toBe(67);
      fitToNext(next.subarray(0, samplesToFit(period)), period, 8000, made, 0, count);
      expect(made.subarray(0, count - 160)).toEqual(alone.subarray(0, Math.max(0, count - 160)));
      const last = made[count - 1] as number;
      expect(Math.abs(last - (next[0] as number))).toBeLessThan(600);
    }
  });

  it('keeps within 16 bits whatever came before', () => {
    fc.assert(
      fc.property(anyRate, fc.array(fc.constantFrom(-32768, 32767), { maxLength: 400 }), (sampleRate, decoded) => {
        // Int16Array would wrap around: two neighbours at opposite limits that the history does not have.
        const pcm = Int16Array.from(decoded);
        const made = conceal(pcm, sampleRate, [sampleRate / 10]);
        const inHistory = new Set(steps(Int16Array.of(0, ...pcm)));
        if (!inHistory.has(65535)) expect(Math.max(0, ...steps(made))).toBeLessThan(65535);
      }),
    );
  });

  it('is silence before the first packet', () => {
    for (const sampleRate of SAMPLE_RATES) {
      expect(conceal(new Int16Array(0), sampleRate, [500]).every((sample) => sample === 0)).toBe(true);
    }
  });
});
