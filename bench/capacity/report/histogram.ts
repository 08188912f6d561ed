import { build, decodeFromCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** Microseconds, to three digits, from 1 µs to a minute. */
const HIGHEST_US = 60_000_000;

export type { Histogram };

export function newHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 32,
  });
}

/** A time before it could be is an error of the clock's last digit, and counts as none. */
export function recordUs(histogram: Histogram, us: number): void {
  histogram.recordValue(us <= 0 ? 0 : us >= HIGHEST_US ? HIGHEST_US : Math.round(us));
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export function percentilesOf(histogram: Histogram): Percentiles {
  return {
    p50: histogram.getValueAtPercentile(50),
    p99: histogram.getValueAtPercentile(99),
    p999: histogram.getValueAtPercentile(99.9),
    max: histogram.maxValue,
  };
}

export function mergeHistograms(encoded: readonly string[]): Histogram {
  const sum = newHistogram();
  for (const text of encoded) sum.add(decodeFromCompressedBase64(text, 32, false));
  return sum;
}

/** A point of the percentile curve; `share` is 0 to below 1. */
export interface CurvePoint {
  readonly share: number;
  readonly us: number;
}

/** The distribution from the fastest packet to the slowest, evenly spaced by nines. */
export function percentileCurve(histogram: Histogram, points = 160): CurvePoint[] {
  const nines = Math.log10(Math.max(histogram.totalCount, 10));
  return Array.from({ length: points + 1 }, (_, i) => {
    const share = 1 - 10 ** (-(nines * i) / points);
    // The last step leaves out one packet of all, the slowest: it is where the curve ends.
    return { share, us: i === points ? histogram.maxValue : histogram.getValueAtPercentile(share * 100) };
  });
}
