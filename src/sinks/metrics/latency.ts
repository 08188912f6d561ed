import { build, type Histogram } from 'hdr-histogram-js';

/** Microseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly mean: number;
  readonly count: number;
  readonly sum: number;
  /** How many took no longer than each of LATENCY_BOUNDS_US; those that took longer are in `count` alone. */
  readonly buckets: readonly number[];
}

/** Close together around the fixed playout delays, of 50 and 100 ms. */
export const LATENCY_BOUNDS_US: readonly number[] = [
  ...[250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 40_000, 50_000, 52_000, 55_000, 60_000, 70_000, 80_000, 100_000],
  ...[105_000, 120_000, 150_000, 200_000, 300_000, 500_000, 1_000_000, 2_000_000, 5_000_000],
];

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
  #sum = 0;
  /** By LATENCY_BOUNDS_US, not cumulative. */
  readonly #bounded = new Float64Array(LATENCY_BOUNDS_US.length + 1);
  /** What has come since readRecent(). */
  readonly #recent = new Uint32Array(this.#counts.length);

  record(us: number): void {
    const value = us >= MAX_US ? MAX_US : us > 0 ? Math.round(us) : 0;
    const bucket = bucketOf(value);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    if (value > this.#max) this.#max = value;
  }

  /** All that has been recorded, as the library has it; its largest value is the lower edge of that one's bucket. */
  histogram(): Histogram {
    const h = this.#histogram;
    let bound = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      const count = this.#counts[bucket] as number;
      if (count === 0) continue;
      const lowest = lowestOf(bucket);
      while (lowest > (LATENCY_BOUNDS_US[bound] ?? Number.POSITIVE_INFINITY)) bound++;
      this.#bounded[bound] = (this.#bounded[bound] as number) + count;
      this.#recent[bucket] = (this.#recent[bucket] as number) + count;
      this.#sum += middleOf(bucket) * count;
      h.recordValueWithCount(lowest, count);
      this.#counts[bucket] = 0;
    }
    return h;
  }

  read(): Latency {
    const h = this.histogram();
    const buckets: number[] = [];
    let cumulative = 0;
    for (let bound = 0; bound < LATENCY_BOUNDS_US.length; bound++) {
      cumulative += this.#bounded[bound] as number;
      buckets.push(cumulative);
    }
    if (h.totalCount === 0) return { p50: 0, p99: 0, p999: 0, max: 0, mean: 0, count: 0, sum: 0, buckets };
    // A percentile is the upper edge of its bucket, which the largest value need not reach.
    const percentile = (share: number): number => Math.min(h.getValueAtPercentile(share), this.#max);
    return {
      p50: percentile(50),
      p99: percentile(99),
      p999: percentile(99.9),
      max: this.#max,
      // The library's own walks over all buckets by an iterator, which takes a millisecond.
      mean: Math.round((this.#sum / h.totalCount) * 10) / 10,
      count: h.totalCount,
      sum: this.#sum,
      buckets,
    };
  }

  /** The percentile, 0 to 100, of what was recorded since the last call; 0 when that is nothing. For one reader only. */
  readRecent(percentile: number): number {
    this.histogram();
    const recent = this.#recent;
    let count = 0;
    for (let bucket = 0; bucket < recent.length; bucket++) count += recent[bucket] as number;
    let left = Math.ceil((count * percentile) / 100);
    let at = 0;
    for (; at < recent.length && left > (recent[at] as number); at++) left -= recent[at] as number;
    recent.fill(0);
    return count === 0 ? 0 : lowestOf(at);
  }
}

/** Of whole microseconds up to MAX_US. */
function bucketOf(us: number): number {
  const shift = us < 2 * HALF_BUCKETS ? 0 : 32 - SUB_BUCKET_BITS - Math.clz32(us);
  return shift * HALF_BUCKETS + (us >>> shift);
}

function lowestOf(bucket: number): number {
  const shift = shiftOf(bucket);
  return (bucket - shift * HALF_BUCKETS) << shift;
}

function middleOf(bucket: number): number {
  return lowestOf(bucket) + ((1 << shiftOf(bucket)) - 1) / 2;
}

function shiftOf(bucket: number): number {
  return Math.max(0, Math.floor(bucket / HALF_BUCKETS) - 1);
}
