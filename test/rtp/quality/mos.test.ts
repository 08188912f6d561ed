import { describe, expect, it } from 'vitest';
import { burstRatio, IMPAIRMENT, mosLq, mosOfR, rFactor } from '../../../src/rtp/quality/mos.js';

describe('the E-model', () => {
  it('gives the R factor of a connection without impairment, and its MOS', () => {
    expect(rFactor({ ie: 0, bpl: 1 }, 0, 1)).toBe(93.2);
    expect(mosOfR(93.2)).toBeCloseTo(4.41, 2);
  });

  it('maps R to MOS as G.107 Annex B does', () => {
    // ITU-T G.107 table B.1: the lower limits of R and MOS of each category of satisfaction.
    for (const [r, mos] of [
      [90, 4.34],
      [80, 4.03],
      [70, 3.6],
      [60, 3.1],
      [50, 2.58],
    ] as const) {
      // 4.024 is 4.03 there.
      expect(Math.abs(mosOfR(r) - mos)).toBeLessThan(0.01);
    }
    expect(mosOfR(0)).toBe(1);
    expect(mosOfR(3)).toBe(1);
    expect(mosOfR(-20)).toBe(1);
    expect(mosOfR(100)).toBe(4.5);
    expect(mosOfR(120)).toBe(4.5);
  });

  it('gives the impairments that G.113 lists for G.729A with voice activity detection: Ie 11, Bpl 19', () => {
    for (const [lossPercent, impairment] of [
      [0, 11],
      [0.5, 13],
      [1, 15],
      [1.5, 17],
      [2, 19],
      [3, 23],
      [4, 26],
      [8, 36],
      [16, 49],
    ] as const) {
      // The table has what listening tests gave; Bpl was fitted to it.
      const byFormula = 93.2 - rFactor({ ie: 11, bpl: 19 }, lossPercent, 1);
      expect(Math.abs(byFormula - impairment), `${lossPercent} %`).toBeLessThan(0.6);
    }
  });

  it('tells bursts from random loss by the burst ratio', () => {
    // 10 % random loss: runs of 1 / 0.9 packets.
    expect(burstRatio(900, 100, 90)).toBeCloseTo(1, 10);
    expect(burstRatio(900, 100, 45)).toBeCloseTo(2, 10);
    expect(burstRatio(900, 100, 100)).toBe(1);
    expect(burstRatio(500, 0, 0)).toBe(1);
    // G.107: Ie-eff = 95 · 10 / (10 / 2 + 25.1).
    expect(rFactor(IMPAIRMENT.pcmu, 10, 2)).toBeCloseTo(93.2 - 950 / 30.1, 10);
  });

  it('falls with loss and with burstiness, for each codec', () => {
    for (const impairment of Object.values(IMPAIRMENT)) {
      const byLoss = [0, 1, 3, 5, 10, 20, 50].map((percent) =>
        mosLq(impairment, 10_000 - percent * 100, percent * 100, percent * 100),
      );
      const byBurst = [1, 2, 4, 8].map((length) => mosLq(impairment, 9_500, 500, 500 / length));
      for (const falling of [byLoss, byBurst]) {
        expect(falling).toEqual([...falling].sort((a, b) => b - a));
        expect(new Set(falling).size).toBe(falling.length);
      }
    }
  });
});
