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

/** What takes longer counts as this long: a minute. */
const MAX_US = 60_000_000;
/** HDR buckets of three digits: 2048 values one by one, then 1024 to each doubling. */
const SUB_BUCKET_BITS = 11;
const HALF_BUCKETS = 1 << (SUB_BUCKET_BITS - 1);

/**
 * An HDR histogram of microseconds, exact to three digits from 1 µs to a minute.
 *
 * The library's own record takes the logarithm of each value, about 300 ns, and there are two values a frame. So values
 * are counted here in the same buckets, found by their leading zeros in 10 ns, and passed to the library when they are
 * read. (Its packed form walks a tree a record, its WebAssembly form is loaded asynchronously and freed by
 * hand.)
 */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(bucketOf(MAX_US) + 1);
  readonly #histogram: Histogram = build({
    bitBucketSize: 64,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: MAX_US,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });
  #max = 0;

  record(us: number): void {
    const value = us >= MAX_US ? MAX_US : us > 0 ? Math.round(us) : 0;
    const bucket = bucketOf(value);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    if (value > this.#max) this.#max = value;
  }

  /** All that has been recorded, as the library has it; its largest value is the lower edge of that one's bucket. */
  histogram(): Histogram {
    const h = this.#histogram;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      const count = this.#counts[bucket] as number;
      if (count === 0) continue;
      h.recordValueWithCount(lowestOf(bucket), count);
      this.#counts[bucket] = 0;
    }
    return h;
  }

  read(): Latency {
    const h = this.histogram();
    if (h.totalCount === 0) return { p50: 0, p99: 0, p999: 0, max: 0, mean: 0, count: 0 };
    // A percentile is the upper edge of its bucket, which the largest value need not reach.
    const percentile = (share: number): number => Math.min(h.getValueAtPercentile(share), this.#max);
    return {
      p50: percentile(50),
      p99: percentile(99),
      p999: percentile(99.9),
      max: this.#max,
      mean: Math.round(h.mean * 10) / 10,
      count: h.totalCount,
    };
  }
}

/** Of whole microseconds up to MAX_US. */
function bucketOf(us: number): number {
  const shift = us < 2 * HALF_BUCKETS ? 0 : 32 - SUB_BUCKET_BITS - Math.clz32(us);
  return shift * HALF_BUCKETS + (us >>> shift);
}

function lowestOf(bucket: number): number {
  const shift = Math.max(0, Math.floor(bucket / HALF_BUCKETS) - 1);
  return (bucket - shift * HALF_BUCKETS) << shift;
}
