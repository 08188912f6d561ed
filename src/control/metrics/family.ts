import type { BucketCounts } from '../../core/statistics/buckets.js';

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
  /** Of a histogram: the family's name with `_bucket`, `_sum` or `_count`. */
  readonly metricName?: string;
}

/** All samples of one metric at one moment. */
export interface Family {
  /** With its prefix and its unit; a counter ends in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly Sample[];
}

/** Values with their labels. */
export type Values = number | Iterable<readonly [labels: Labels, value: number]>;

const PREFIX = 'trunkline_';

/** @param name without prefix and `_total`. */
export function counter(name: string, help: string, values: Values): Family {
  return { name: `${PREFIX}${name}_total`, help, type: 'counter', samples: samplesOf(values) };
}

export function gauge(name: string, help: string, values: Values): Family {
  return { name: `${PREFIX}${name}`, help, type: 'gauge', samples: samplesOf(values) };
}

/** @param scale what bounds and sum are multiplied by, to come to the unit of the name. */
export function histogram(
  name: string,
  help: string,
  values: Iterable<readonly [labels: Labels, counts: BucketCounts]>,
  scale = 1,
): Family {
  const full = `${PREFIX}${name}`;
  const samples: Sample[] = [];
  for (const [labels, { bounds, counts, sum, count }] of values) {
    const bucket = (le: number, value: number): void => {
      samples.push({
        labels: { le: Number.isFinite(le) ? String(le) : '+Inf', ...labels },
        value,
        metricName: `${full}_bucket`,
      });
    };
    for (const [at, bound] of bounds.entries()) bucket(rounded(bound * scale), counts[at] ?? 0);
    bucket(Number.POSITIVE_INFINITY, count);
    samples.push({ labels, value: rounded(sum * scale), metricName: `${full}_sum` });
    samples.push({ labels, value: count, metricName: `${full}_count` });
  }
  return { name: full, help, type: 'histogram', samples };
}

/** Every entry of a record of counts, with its name as the label `label`. */
export function byName(
  label: string,
  counts: Readonly<Partial<Record<string, number>>>,
): (readonly [Labels, number])[] {
  return Object.entries(counts).map(([name, value]) => [{ [label]: name }, value ?? 0]);
}

/**
 * Counters that may step back, because what was taken for lost arrives after all, or because they are read while a file
 * is exchanged for another. Prometheus would take a step back for a restart; the highest value so far is given instead.
 */
export class Monotonic {
  readonly #highest = new Map<string, number>();

  of(key: string, value: number): number {
    const highest = Math.max(value, this.#highest.get(key) ?? 0);
    this.#highest.set(key, highest);
    return highest;
  }
}

function samplesOf(values: Values): Sample[] {
  if (typeof values === 'number') return [{ value: values }];
  return Array.from(values, ([labels, value]) => ({ labels, value }));
}

/** 0.052 and not 0.052000000000000005. */
function rounded(value: number): number {
  return Number(value.toPrecision(12));
}
