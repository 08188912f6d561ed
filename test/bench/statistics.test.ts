import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import { dueUs, interactionIds, isInWindow, type Timetable } from '../../bench/capacity/load/plan.js';
import { evenPhase, Rota } from '../../bench/capacity/load/rota.js';
import { LatencyMeter } from '../../bench/capacity/processes/latency.js';
import {
  mergeHistograms,
  newHistogram,
  percentileCurve,
  percentilesOf,
  recordUs,
} from '../../bench/capacity/report/histogram.js';
import {
  isValid,
  LATENESS_BOUNDS_US,
  median,
  medianPercentiles,
  medians,
} from '../../bench/capacity/report/statistics.js';

function encoded(values: readonly number[]): string {
  const histogram = newHistogram();
  for (const value of values) recordUs(histogram, value);
  return encodeIntoCompressedBase64(histogram);
}

describe('median', () => {
  it('is the middle one, whatever the order', () => expect(median([9, 1, 5])).toBe(5));
  it('is between the two in the middle', () => expect(median([4, 1, 2, 100])).toBe(3));
  it('does not touch what it is given', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
  it('of nothing is no number', () => expect(median([])).toBeNaN());
  it('is taken field by field', () => {
    const rows = [
      { a: 1, b: 30 },
      { a: 2, b: 10 },
      { a: 9, b: 20 },
    ];
    expect(medians(rows)).toEqual({ a: 2, b: 20 });
  });
});

describe('validity of a run', () => {
  const many = (us: number, count: number): number[] => Array.from({ length: count }, () => us);

  it('stands while the generator keeps its timetable', () => {
    expect(isValid({ lateness: encoded(many(200, 1000)) })).toBe(true);
  });

  it('is lost when one write in fifty is late', () => {
    const lateness = encoded([...many(200, 980), ...many(LATENESS_BOUNDS_US.p99 * 2, 20)]);
    expect(isValid({ lateness })).toBe(false);
  });

  it('stands with one late write in a thousand, and is lost when that one is very late', () => {
    const late = (us: number): string => encoded([...many(200, 999), us]);
    expect(isValid({ lateness: late(LATENESS_BOUNDS_US.max / 2) })).toBe(true);
    expect(isValid({ lateness: late(LATENESS_BOUNDS_US.max * 1.1) })).toBe(false);
  });
});

describe('latency', () => {
  const tickUs = 20_000;
  // Ten ticks of warm-up and five of window; the second stream's packets come 7 ms after the first one's.
  const timetable: Timetable = {
    zeroUs: Float64Array.of(1e9, 1e9 + 7_000),
    tickUs,
    fromUs: 1e9 + 10 * tickUs,
    toUs: 1e9 + 15 * tickUs,
  };

  function metered(parts: number): LatencyMeter {
    const meter = new LatencyMeter();
    meter.begin(timetable);
    for (const index of [0, 1]) {
      for (let tick = 0; tick < 20; tick++) {
        const due = dueUs(timetable, index, tick);
        for (let part = 0; part < parts; part++) {
          meter.packet(index, tick, 1 / parts, due + 300, due + (tick === 12 ? 9_000 : 1_000));
        }
      }
    }
    return meter;
  }

  it.each([1, 2])('counts from the moment each packet was due, and only in the window, in %i parts', (parts) => {
    const meter = metered(parts);
    const { delivered, processed, packetsDelivered } = meter.report();
    expect([meter.packets, packetsDelivered]).toEqual([40, 10]);
    expect(percentilesOf(mergeHistograms([processed]))).toMatchObject({ p50: 300, max: 300 });
    expect(percentilesOf(mergeHistograms([delivered])).p50).toBe(1_000);
    // HDR keeps three digits.
    expect(percentilesOf(mergeHistograms([delivered])).max).toBeGreaterThanOrEqual(9_000);
    expect(percentilesOf(mergeHistograms([delivered])).max).toBeLessThan(9_010);
  });

  it('counts before the window is known, and says nothing of latency', () => {
    const meter = new LatencyMeter();
    meter.packet(0, 3, 1, 5, 6);
    expect(meter.packets).toBe(1);
    expect(meter.report().packetsDelivered).toBe(0);
  });

  it('has as many packets of each stream in the window as it has ticks, whatever the phase', () => {
    for (const phase of [0, 1, 6_999, 19_999]) {
      const shifted = {
        ...timetable,
        zeroUs: Float64Array.of(1e12 + phase),
        fromUs: 1e12 + 55_555,
        toUs: 1e12 + 155_555,
      };
      const ticks = Array.from({ length: 40 }, (_, tick) => dueUs(shifted, 0, tick));
      expect(ticks.filter((us) => isInWindow(shifted, us))).toHaveLength(5);
    }
  });

  it('is reported as the median of each round by itself', () => {
    expect(medianPercentiles([encoded([100]), encoded([300]), encoded([200])])).toMatchObject({ p50: 200, max: 200 });
  });

  it('has a curve that never falls and ends at the maximum', () => {
    const histogram = mergeHistograms([encoded(Array.from({ length: 1_000 }, (_, i) => i + 1))]);
    const curve = percentileCurve(histogram);
    const micros = curve.map(({ us }) => us);
    expect(micros).toEqual([...micros].sort((a, b) => a - b));
    expect(micros.at(-1)).toBe(histogram.maxValue);
  });
});

it('names interactions as the platform does, each once', () => {
  const ids = interactionIds(4_000);
  expect(new Set(ids).size).toBe(4_000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
});

describe('a rota', () => {
  it('gives each its turn once in a period, in the order in which they are due', () => {
    const rota = new Rota(['a', 'b', 'c'], 1_000, 100, (name) => ({ a: 0.5, b: 0, c: 0.25 })[name] ?? 0, 1);
    const turns = Array.from({ length: 7 }, () => ({ dueUs: rota.dueUs, who: rota.take() }));
    expect(turns.map(({ who }) => who).join('')).toBe('bcabcab');
    expect(turns.map(({ dueUs }) => dueUs)).toEqual([1_000, 1_025, 1_050, 1_100, 1_125, 1_150, 1_200]);
  });

  it('has turns at the moments of its grid only', () => {
    const rota = new Rota([0.01, 0.19, 0.21, 0.99], 5, 100, (phase) => phase, 20);
    const turns = Array.from({ length: 5 }, () => [rota.dueUs, rota.take()]);
    expect(turns).toEqual([
      [5, 0.01],
      [5, 0.19],
      [25, 0.21],
      [85, 0.99],
      [105, 0.01],
    ]);
  });

  it('with nobody on it is never due', () => {
    const rota = new Rota<string>([], 0, 100, () => 0, 1);
    expect(rota.dueUs).toBe(Number.POSITIVE_INFINITY);
    expect(() => rota.take()).toThrow(RangeError);
  });

  it('spreads any number over the period evenly', () => {
    for (const count of [10, 100, 1_000]) {
      const phases = Array.from({ length: count }, (_, index) => evenPhase(index)).sort((a, b) => a - b);
      const gaps = phases.map((phase, i) => (phases[i + 1] ?? 1) - phase);
      expect(Math.max(...gaps)).toBeLessThan(3 / count);
    }
  });
});
