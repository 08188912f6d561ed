import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import type { GeneratorReport } from '../processes/messages.js';
import { mergeHistograms, newHistogram, percentilesOf } from './histogram.js';

/**
 * A run counts only if its load was what it should have been. Lateness of the generator is latency that the subject
 * gets the blame for, and load that came in lumps: up to these bounds it says little, beyond them the run is marked
 * and left out. On two cores that the subject may fill, a few milliseconds are the scheduler's.
 */
export const LATENESS_BOUNDS_US = { p99: 5_000, max: 50_000 } as const;

export interface Lateness {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function latenessOf(encoded: readonly string[]): Lateness {
  const { p50, p99, max } = percentilesOf(mergeHistograms(encoded));
  return { p50, p99, max };
}

export function isPunctual({ p99, max }: Lateness): boolean {
  return p99 <= LATENESS_BOUNDS_US.p99 && max <= LATENESS_BOUNDS_US.max;
}

/** Whether the generator of a run kept its timetable. What a client left unread is not the generator's fault. */
export function isValid(generator: Pick<GeneratorReport, 'lateness'>): boolean {
  return isPunctual(latenessOf([generator.lateness]));
}

/** The middle one, or the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? Number.NaN) + upper) / 2;
}

/** The median of each field over objects of numbers that have the same fields. */
export function medians<K extends string>(rows: readonly Readonly<Record<K, number>>[]): Record<K, number> {
  const [first] = rows;
  const keys = first === undefined ? [] : (Object.keys(first) as K[]);
  return Object.fromEntries(keys.map((key) => [key, median(rows.map((row) => row[key]))])) as Record<K, number>;
}

/** Percentiles of each encoded histogram by itself, and of these the medians. */
export function medianPercentiles(encoded: readonly string[]): ReturnType<typeof percentilesOf> {
  return medians(
    encoded.map((text) => {
      const sum = newHistogram();
      sum.add(decodeFromCompressedBase64(text, 32, false));
      return { ...percentilesOf(sum) };
    }),
  );
}

/** To so many digits that count: more would claim what no measurement here has. */
export function rounded(value: number, digits = 4): number {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)) : value;
}
