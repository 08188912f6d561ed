import { describe, expect, it } from 'vitest';
import type { Codec } from '../../../src/core/codec.js';
import { PacketColumns } from '../../../src/rtp/packet-columns.js';
import { PlayoutQuality } from '../../../src/rtp/quality/playout-quality.js';
import { ImpairmentPlan, NO_IMPAIRMENTS } from '../../../src/simulator/network/impairments.js';
import { SeededRandom } from '../../../src/simulator/network/random.js';

const TICKS = 160;
const PACKET_US = 20_000;

/** One channel of 20 ms packets; `isLost` says which are. */
function qualityOf(packets: number, isLost: (n: number) => boolean, codec: Codec = 'pcmu') {
  const quality = new PlayoutQuality(2);
  const rows = new PacketColumns(1);
  quality.open(1, 8000, codec);
  rows.channel[0] = 1;
  for (let n = 0; n < packets; n++) {
    if (n > 0 && isLost(n)) {
      quality.lost(1, n * TICKS, TICKS);
      quality.concealed(1, TICKS);
      continue;
    }
    rows.timestamp[0] = n * TICKS;
    rows.arrivalUs[0] = n * PACKET_US;
    quality.packet(rows, 0);
  }
  return quality.read(1);
}

describe('the quality of a channel', () => {
  it('is null without packets, and that of a perfect line without loss', () => {
    expect(qualityOf(0, () => false)).toMatchObject({ mosLqMin: null, mosLqMean: null, concealedMs: 0 });
    expect(qualityOf(1, () => false).mosLqMin).toBeCloseTo(4.41, 2);
    expect(qualityOf(3000, () => false).mosLqMean).toBeCloseTo(4.41, 2);
  });

  it('is taken over windows of ten seconds: the lowest is that of the bad one', () => {
    // A minute of which the third ten seconds lose each fifth packet.
    const { mosLqMin, mosLqMean, concealedMs } = qualityOf(3000, (n) => n >= 1000 && n < 1500 && n % 5 === 1);
    expect(mosLqMin).toBeCloseTo(2.61, 1);
    expect(mosLqMean).toBeGreaterThan(4);
    expect(mosLqMean).toBeLessThan(4.2);
    expect(concealedMs).toBe(100 * 20);
  });

  it('goes on with a window that has too few packets to judge it', () => {
    const quality = new PlayoutQuality(1);
    const rows = new PacketColumns(1);
    quality.open(0, 8000, 'pcmu');
    for (let n = 0; n < 15; n++) {
      rows.timestamp[0] = n * TICKS;
      rows.arrivalUs[0] = n * 5_000_000;
      quality.packet(rows, 0);
      if (n === 3) quality.lost(0, n * TICKS + 1, TICKS);
    }
    // One of 16 packets is no sign of ten seconds with 50 % loss.
    expect(quality.read(0).mosLqMin).toBeGreaterThan(3.5);
    expect(quality.latestMosLq(0)).toBeNaN();
  });

  it('falls with the loss that the simulator makes, for each codec', () => {
    for (const codec of ['pcmu', 'pcma', 'l16', 'opus'] as const) {
      const means = [0, 0.01, 0.03, 0.05, 0.1, 0.2].map((loss) => qualityOf(15_000, simulated(loss), codec));
      for (const figure of ['mosLqMin', 'mosLqMean'] as const) {
        const values = means.map((one) => one[figure] ?? Number.NaN);
        expect(values, `${codec} ${figure}`).toEqual([...values].sort((a, b) => b - a));
        expect(new Set(values).size).toBe(values.length);
      }
    }
  });

  it('falls when the same loss comes in longer bursts', () => {
    const runs = [1, 2, 4, 8].map((burst) => qualityOf(30_000, simulated(0.03, burst)));
    const means = runs.map(({ mosLqMean }) => mosLqMean ?? Number.NaN);
    expect(means).toEqual([...means].sort((a, b) => b - a));
    // More is lost within bursts, and less outside of them.
    const densities = runs.map(({ burstDensity }) => burstDensity);
    expect(densities).toEqual([...densities].sort((a, b) => a - b));
    for (const { burstDensity, gapDensity } of runs) expect(burstDensity).toBeGreaterThan(4 * gapDensity);
  });
});

/** The network of the simulator. */
function simulated(loss: number, burst = 1): (n: number) => boolean {
  const plan = new ImpairmentPlan({ ...NO_IMPAIRMENTS, loss, burst }, new SeededRandom(9));
  return () => plan.next(false).withheld;
}
