import { build, type Histogram } from 'hdr-histogram-js';

/** Microseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly mean: number;
  readonly count: number;
}

/** What takes longer counts as this long. */
const MAX_US = 60_000_000;

/**
 * An HDR histogram of microseconds, exact to three digits from 1 µs to a minute.
 *
 * Plain 32-bit counts (68 kB): one record costs about 50 ns. The packed form of the library saves memory and costs a
 * tree walk a record; its WebAssembly form has to be loaded asynchronously and freed by hand for no gain at this size.
 */
export class LatencyHistogram {
  readonly #histogram: Histogram = build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: MAX_US,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });

  record(us: number): void {
    this.#histogram.recordValue(us >= MAX_US ? MAX_US : us >= 0 ? Math.round(us) : 0);
  }

  read(): Latency {
    const h = this.#histogram;
    if (h.totalCount === 0) return { p50: 0, p99: 0, p999: 0, max: 0, mean: 0, count: 0 };
    return {
      p50: h.getValueAtPercentile(50),
      p99: h.getValueAtPercentile(99),
      p999: h.getValueAtPercentile(99.9),
      max: h.maxValue,
      mean: Math.round(h.mean * 10) / 10,
      count: h.totalCount,
    };
  }
}
