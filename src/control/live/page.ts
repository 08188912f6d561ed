/** What is sorted by. */
export type Value = number | string;

/** A place in the order: the value that is sorted by, then the id, then the begin. */
export interface Place {
  readonly value: Value;
  readonly id: string;
  readonly startedAtMs: number;
}

/**
 * The first so many of any number of candidates, in order, without sorting all: a heap whose top is the last one that is
 * kept. A candidate that does not belong to them costs one comparison, one that does costs the logarithm of their number.
 */
export class Page<Candidate extends Place> {
  readonly #capacity: number;
  readonly #sign: number;
  readonly #after: Place | undefined;
  readonly #heap: Candidate[] = [];
  #isMore = false;
  /** Candidates so far, those before `after` included. */
  total = 0;

  /** @param after Candidates up to this place are only counted. */
  constructor(capacity: number, descending: boolean, after: Place | undefined) {
    this.#capacity = capacity;
    this.#sign = descending ? -1 : 1;
    this.#after = after;
  }

  /** True when there are more than are kept. */
  get isMore(): boolean {
    return this.#isMore;
  }

  add(candidate: Candidate): void {
    this.total++;
    if (this.#after !== undefined && this.#compare(candidate, this.#after) <= 0) return;
    const heap = this.#heap;
    if (heap.length < this.#capacity) {
      heap.push(candidate);
      this.#rise(heap.length - 1);
      return;
    }
    this.#isMore = true;
    if (heap[0] === undefined || this.#compare(candidate, heap[0]) >= 0) return;
    heap[0] = candidate;
    this.#sink();
  }

  /** Those that are kept, in order. */
  sorted(): Candidate[] {
    return this.#heap.toSorted((a, b) => this.#compare(a, b));
  }

  #rise(from: number): void {
    const heap = this.#heap;
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (this.#compareAt(at, parent) <= 0) return;
      [heap[at], heap[parent]] = [heap[parent] as Candidate, heap[at] as Candidate];
      at = parent;
    }
  }

  #sink(): void {
    const heap = this.#heap;
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      if (left >= heap.length) return;
      const child = left + 1 < heap.length && this.#compareAt(left + 1, left) > 0 ? left + 1 : left;
      if (this.#compareAt(child, at) <= 0) return;
      [heap[at], heap[child]] = [heap[child] as Candidate, heap[at] as Candidate];
      at = child;
    }
  }

  #compareAt(a: number, b: number): number {
    return this.#compare(this.#heap[a] as Candidate, this.#heap[b] as Candidate);
  }

  #compare(a: Place, b: Place): number {
    return this.#sign * (order(a.value, b.value) || order(a.id, b.id) || order(a.startedAtMs, b.startedAtMs));
  }
}

function order(a: Value, b: Value): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
