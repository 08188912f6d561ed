import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import {
  mergeHistograms,
  newHistogram,
  percentileCurve,
  percentilesOf,
  recordUs,
} from '../../bench/capacity/histogram.js';
import { LatencyMeter } from '../../bench/capacity/latency.js';
import { dueUs, interactionIds, type Load, sequenceBase, TICK_US, windowUs } from '../../bench/capacity/plan.js';
import { isValid, LATENESS_BOUNDS_US, median, medianPercentiles, medians } from '../../bench/capacity/statistics.js';

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
  const load: Load = { streams: 2, codec: 'pcmu', warmupTicks: 10, steadyTicks: 5 };
  const timetable = { startUs: 1e9, phaseUs: Float64Array.of(0, 7_000) };
  const hold = 50_000;

  it('counts from the moment each packet was due, and only in the window', () => {
    const meter = new LatencyMeter(load, hold);
    meter.begin(timetable);
    for (const index of [0, 1]) {
      for (let tick = 0; tick < 20; tick++) {
        const sequence = sequenceBase(index) + tick;
        const releasedUs = dueUs(timetable, index, sequence) + hold;
        meter.packet(index, sequence, releasedUs + 300, releasedUs + (tick === 12 ? 9_000 : 1_000));
      }
    }
    expect([meter.packets, meter.windowPackets]).toEqual([40, 10]);
    const { delivered, processed } = meter.encoded();
    expect(percentilesOf(mergeHistograms([processed]))).toMatchObject({ p50: 300, max: 300 });
    expect(percentilesOf(mergeHistograms([delivered])).p50).toBe(1_000);
    // HDR keeps three digits.
    expect(percentilesOf(mergeHistograms([delivered])).max).toBeGreaterThanOrEqual(9_000);
    expect(percentilesOf(mergeHistograms([delivered])).max).toBeLessThan(9_010);
  });

  it('has a window that agrees with the due times at its ends', () => {
    const { fromUs, toUs } = windowUs(load, timetable);
    expect(fromUs).toBe(dueUs(timetable, 0, sequenceBase(0) + load.warmupTicks));
    expect(toUs - fromUs).toBe(load.steadyTicks * TICK_US);
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
