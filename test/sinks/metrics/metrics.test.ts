import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/core/clock.js';
import { zeroCounts } from '../../../src/core/counts.js';
import { LATENCY_BOUNDS_US, LatencyHistogram } from '../../../src/sinks/metrics/latency.js';
import { Metrics } from '../../../src/sinks/metrics/metrics.js';
import { frameView } from '../../support/frames.js';

const counts = (packetsReceived: number, bytesReceived = 0, packetsLost = 0) => ({
  ...zeroCounts(),
  packetsReceived,
  bytesReceived,
  packetsLost,
});

describe('latency', () => {
  it('is that of the sorted values, to three digits', () => {
    const property = fc.property(fc.array(fc.integer({ min: 0, max: 59_000_000 }), { minLength: 1 }), (values) => {
      const histogram = new LatencyHistogram();
      for (const [i, value] of values.entries()) {
        histogram.record(value);
        // Reading in between changes nothing.
        if (i % 7 === 0) histogram.read();
      }
      const sorted = [...values].sort((a, b) => a - b);
      const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
      const read = histogram.read();
      for (const [got, expected] of [
        [read.p50, at(0.5)],
        [read.p99, at(0.99)],
        [read.p999, at(0.999)],
        [read.max, at(1)],
      ] as const) {
        expect(Math.abs(got - expected)).toBeLessThanOrEqual(expected / 1000 + 1);
      }
      expect(read.count).toBe(values.length);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(Math.abs(read.mean - mean)).toBeLessThanOrEqual(mean / 1000 + 1);
    });
    fc.assert(property);
  });

  it('takes any value: fractions, clocks that step back, hours', () => {
    const histogram = new LatencyHistogram();
    expect(histogram.read()).toMatchObject({ count: 0, max: 0 });
    for (const value of [0.4, -5, Number.NaN, 1e12]) histogram.record(value);
    expect(histogram.read()).toMatchObject({ count: 4, p50: 0 });
    expect(histogram.read().max).toBe(60_000_000);
  });

  it('has cumulative buckets and a sum that only grow, however often it is read', () => {
    const histogram = new LatencyHistogram();
    const under = (us: number) => histogram.read().buckets[LATENCY_BOUNDS_US.indexOf(us)];
    for (const value of [100, 900, 51_000, 51_000, 53_000, 9_000_000]) histogram.record(value);
    expect([250, 1_000, 50_000, 52_000, 55_000, 5_000_000].map(under)).toEqual([1, 2, 2, 4, 5, 5]);
    histogram.record(100);
    expect([250, 1_000, 50_000, 5_000_000].map(under)).toEqual([2, 3, 3, 6]);
    const { count, sum } = histogram.read();
    expect(count).toBe(7);
    expect(Math.abs(sum - 9_156_100)).toBeLessThan(9_156_100 / 1000);
  });

  it('has a percentile of what came since the last reading', () => {
    const histogram = new LatencyHistogram();
    expect(histogram.readRecent(99)).toBe(0);
    for (let us = 1; us <= 100; us++) histogram.record(us);
    expect(histogram.readRecent(99)).toBe(99);
    // Others may read it in between.
    for (let us = 1_001; us <= 1_010; us++) histogram.record(us);
    histogram.read();
    expect(histogram.readRecent(50)).toBe(1_005);
    expect(histogram.readRecent(50)).toBe(0);
    expect(histogram.read().count).toBe(110);
  });

  it('is counted from arrival to decoding and to delivery, for packets that arrived', () => {
    const clock = new ManualClock(1_000_000);
    const metrics = new Metrics({ clock });
    metrics.frame(frameView({ arrivalUs: 940_000, processedUs: 990_000, deliveredUs: 1_000_000 }));
    metrics.frame(frameView({ arrivalUs: 0, processedUs: 0, lost: true, concealed: true }));
    expect(metrics.deliveredLatency()).toMatchObject({ count: 1, max: expect.closeTo(60_000, -2) });
    expect(metrics.processedLatency()).toMatchObject({ count: 1, max: expect.closeTo(50_000, -2) });
  });
});

describe('throughput', () => {
  it('is counted since the first stream, and for the last five seconds', () => {
    const clock = new ManualClock();
    const metrics = new Metrics({ clock });
    clock.advanceUs(60_000_000);
    metrics.streamOpened();
    let received = 0;
    // 50 packets a second for 10 s, then 100 a second for 10 s of which every fifth is lost.
    for (let second = 1; second <= 20; second++) {
      clock.advanceUs(1_000_000);
      received += second <= 10 ? 50 : 80;
      const lost = Math.max(0, second - 10) * 20;
      metrics.throughput(clock.nowUs(), counts(received, received * 160, lost));
    }
    const stats = metrics.throughput(clock.nowUs(), counts(received, received * 160, 200));
    expect(stats).toEqual({
      packetsPerSecond: 65,
      bytesPerSecond: 65 * 160,
      packetLossRate: 200 / 1500,
      recent: { packetsPerSecond: 80, bytesPerSecond: 12_800, packetLossRate: 0.2 },
    });
  });

  it('is that of five seconds to a reader whose timer is a little early', () => {
    const metrics = new Metrics({ clock: new ManualClock() });
    metrics.streamOpened();
    metrics.throughput(0, counts(0));
    metrics.throughput(5_003_000, counts(500));
    // 5 s without packets, but for the jitter of the timer.
    expect(metrics.throughput(9_999_000, counts(500)).recent.packetsPerSecond).toBe(0);
  });

  it('is nothing before there is anything, and never negative', () => {
    const metrics = new Metrics({ clock: new ManualClock() });
    const nothing = { packetsPerSecond: 0, bytesPerSecond: 0, packetLossRate: 0 };
    expect(metrics.throughput(0, counts(0))).toEqual({ ...nothing, recent: nothing });
    metrics.streamOpened();
    expect(metrics.throughput(0, counts(0))).toEqual({ ...nothing, recent: nothing });
    // A packet held for lost may arrive after all.
    metrics.throughput(1_000_000, counts(10, 0, 5));
    expect(metrics.throughput(8_000_000, counts(15, 0, 0)).recent.packetLossRate).toBe(0);
  });

  it('keeps few samples, however often it is read', () => {
    const metrics = new Metrics({ clock: new ManualClock() });
    metrics.streamOpened();
    let last = metrics.throughput(0, counts(0));
    for (let ms = 1; ms <= 20_000; ms++) last = metrics.throughput(ms * 1000, counts(ms));
    expect(last.recent.packetsPerSecond).toBeCloseTo(1000, 6);
  });
});

describe('the metrics line', () => {
  it('says it all in one line', () => {
    const clock = new ManualClock();
    const metrics = new Metrics({ clock });
    metrics.streamOpened();
    metrics.streamOpened();
    metrics.streamEnded();
    clock.advanceUs(5_000_000);
    metrics.frame(frameView({ arrivalUs: 4_940_000, processedUs: 4_990_000, deliveredUs: 5_000_000 }));
    const context = { counts: { ...counts(490, 78_400, 10), packetsLate: 3 }, drops: 2, backend: 'js' };
    expect(Metrics.line(metrics.snapshot(clock.nowUs(), context))).toBe(
      '[METRICS] streams: 1  PPS: 98.0  15.7 kB/s  loss: 2.00%  late: 3  latency: p50 60.0 ms p99 60.0 ms  drops: 2  backend: js',
    );
    expect(metrics.snapshot(clock.nowUs(), context)).toMatchObject({
      streams: 1,
      streamsOpened: 2,
      framesDelivered: 1,
      drops: 2,
      backend: 'js',
    });
  });
});
