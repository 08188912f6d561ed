import { describe, expect, it } from 'vitest';
import { BurstGap } from '../../../src/rtp/quality/burst-gap.js';
import { seeded } from '../../support/rtp/replay.js';

const TICKS = 160;

/** `pattern`: L is a lost packet, a number so many received ones. */
function figures(pattern: string) {
  return figuresOf(pattern.split(' ').flatMap((word) => (word === 'L' ? [false] : new Array(Number(word)).fill(true))));
}

function figuresOf(isReceived: readonly boolean[]) {
  const bursts = new BurstGap(1);
  bursts.open(0);
  bursts.begin(0, 0, true);
  let received = 0;
  let runs = 0;
  for (const [i, one] of isReceived.entries()) {
    if (one) received++;
    else if (bursts.lost(0, received, i * TICKS, TICKS)) runs++;
  }
  bursts.reached(0, isReceived.length * TICKS);
  return { ...bursts.read(0, received, TICKS / 20), runs };
}

describe('bursts and gaps, RFC 3611 section 4.7.2', () => {
  it('are none without loss', () => {
    expect(figures('100')).toEqual({
      ...{ bursts: 0, burstDensity: 0, gapDensity: 0, burstDurationMs: 0, gapDurationMs: 2000, runs: 0 },
    });
  });

  it('tell a burst from a loss that stands alone', () => {
    // The first three losses are a burst of six packets; 40 + 20 + 1 + 30 packets are gaps.
    expect(figures('40 L 3 L L 20 L 30')).toEqual({
      ...{ bursts: 1, burstDensity: 0.5, gapDensity: 1 / 91, burstDurationMs: 120, runs: 3 },
      gapDurationMs: (800 + 1020) / 2,
    });
  });

  it('end a burst with 16 packets received in a row, and not with 15', () => {
    expect(figures('20 L 15 L 20')).toMatchObject({ bursts: 1, burstDensity: 2 / 17, gapDensity: 0 });
    expect(figures('20 L 16 L 20')).toMatchObject({ bursts: 0, gapDensity: 2 / 58 });
  });

  it('take the end for the beginning of a gap, as a report in between does', () => {
    expect(figures('20 L L')).toMatchObject({ bursts: 1, burstDensity: 1, burstDurationMs: 40, gapDurationMs: 400 });
    expect(figures('20 L')).toMatchObject({ bursts: 0, gapDensity: 1 / 21 });
  });

  it('agree with a count by hand on random loss', () => {
    const random = seeded(11);
    for (let round = 0; round < 50; round++) {
      const isReceived = Array.from({ length: 400 }, (_, i) => i === 0 || random() > (round % 10) / 20);
      const lost = isReceived.flatMap((one, i) => (one ? [] : [i]));
      const groups: number[][] = [];
      for (const i of lost) {
        const last = groups.at(-1);
        if (last !== undefined && i - (last.at(-1) as number) - 1 < 16) last.push(i);
        else groups.push([i]);
      }
      const bursts = groups.filter(({ length }) => length > 1);
      const inBursts = bursts.reduce((sum, group) => sum + (group.at(-1) as number) - (group[0] as number) + 1, 0);
      const lostInBursts = bursts.reduce((sum, { length }) => sum + length, 0);
      const result = figuresOf(isReceived);
      expect(result.bursts).toBe(bursts.length);
      expect(result.burstDensity).toBeCloseTo(inBursts === 0 ? 0 : lostInBursts / inBursts, 10);
      expect(result.gapDensity).toBeCloseTo(inBursts === 400 ? 0 : (lost.length - lostInBursts) / (400 - inBursts), 10);
      expect(result.burstDurationMs).toBeCloseTo(bursts.length === 0 ? 0 : (inBursts * 20) / bursts.length, 6);
      expect(result.runs).toBe(lost.filter((i) => isReceived[i - 1]).length);
    }
  });
});
