/** One second of a node. */
export interface HistorySample {
  readonly packetsPerSecond: number;
  readonly lostPerSecond: number;
  /** Packets that the node dropped itself. */
  readonly droppedPerSecond: number;
  /** From arrival to delivery, the playout delay included. */
  readonly latencyP99Ms: number;
  /** Of all threads of the process. */
  readonly cpuCores: number;
  /** Share of the time in which the main thread has worked. */
  readonly mainUtilisation: number;
  readonly streams: number;
  readonly rssBytes: number;
}

/** The samples of the last quarter of an hour, the oldest first; columns of equal length. */
export type History = { readonly intervalSeconds: number; readonly at: string[] } & {
  readonly [Column in keyof HistorySample]: number[];
};

export const HISTORY_COLUMNS = [
  ...(['packetsPerSecond', 'lostPerSecond', 'droppedPerSecond', 'latencyP99Ms'] as const),
  ...(['cpuCores', 'mainUtilisation', 'streams', 'rssBytes'] as const),
];
const INTERVAL_SECONDS = 1;
const SAMPLES = 900;

/** A ring of samples in typed arrays: 65 kB, however long a node runs. */
export class HistoryRing {
  readonly #atMs = new Float64Array(SAMPLES);
  readonly #columns = HISTORY_COLUMNS.map((name) => [name, new Float64Array(SAMPLES)] as const);
  #next = 0;
  #filled = 0;

  add(atMs: number, sample: HistorySample): void {
    this.#atMs[this.#next] = atMs;
    for (const [name, column] of this.#columns) column[this.#next] = sample[name];
    this.#next = (this.#next + 1) % SAMPLES;
    this.#filled = Math.min(SAMPLES, this.#filled + 1);
  }

  /** @param sinceMs Leaves out the samples up to this time, wall clock in milliseconds. */
  read(sinceMs = Number.NEGATIVE_INFINITY): History {
    const first = (this.#next - this.#filled + SAMPLES) % SAMPLES;
    let skipped = 0;
    while (skipped < this.#filled && (this.#atMs[(first + skipped) % SAMPLES] as number) <= sinceMs) skipped++;
    const inOrder = (column: Float64Array): number[] =>
      Array.from({ length: this.#filled - skipped }, (_, n) => column[(first + skipped + n) % SAMPLES] as number);
    const columns = this.#columns.map(([name, column]) => [name, inOrder(column).map(rounded)] as const);
    return {
      intervalSeconds: INTERVAL_SECONDS,
      at: inOrder(this.#atMs).map((ms) => new Date(ms).toISOString()),
      ...(Object.fromEntries(columns) as Record<keyof HistorySample, number[]>),
    };
  }
}

/** Four digits are more than a chart shows, and make a third of the text. */
function rounded(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4));
}
