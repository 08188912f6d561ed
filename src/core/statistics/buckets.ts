/** What Buckets have counted; cumulative, as Prometheus has it. */
export interface BucketCounts {
  /** Upper edges, rising. */
  readonly bounds: readonly number[];
  /** Values up to each of the edges. What lies above the last one is in `count` alone. */
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** A histogram of a few fixed buckets, for values that come rarely: some comparisons each, no allocation. */
export class Buckets {
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;
  #count = 0;

  /** @param bounds upper edges, rising. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length);
  }

  add(value: number): void {
    this.#sum += value;
    this.#count++;
    for (let at = this.#bounds.length - 1; at >= 0 && value <= (this.#bounds[at] as number); at--) {
      this.#counts[at] = (this.#counts[at] as number) + 1;
    }
  }

  read(): BucketCounts {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum, count: this.#count };
  }
}
