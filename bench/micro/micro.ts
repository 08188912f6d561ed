import { Bench, type Task } from 'tinybench';
import { TrunklineError } from '../../src/core/errors.js';
import { median } from '../capacity/report/statistics.js';
import { describeProvenance, type Provenance, provenanceLines } from '../provenance.js';
import { audioHookCases } from './audiohook.js';
import { formatCases } from './formats.js';
import { genesysCases } from './genesys.js';
import { mediaCases } from './media.js';
import { metricsCases } from './metrics.js';
import type { MicroCase } from './micro-case.js';
import { recorderCases } from './recorder.js';
import { ringCases } from './ring.js';
import { rtpCases } from './rtp.js';
import { workerCases } from './worker.js';

export interface MicroResult {
  readonly name: string;
  readonly unit: string;
  /** Of one step, over the samples of a round; medians of the rounds. */
  readonly nanoseconds: { readonly p50: number; readonly mean: number; readonly p99: number };
  /** The p50 of each round. */
  readonly rounds: readonly number[];
  /** Half the distance between the slowest and the fastest round, in percent of the median round. */
  readonly spreadPercent: number;
  /** Of all rounds. */
  readonly samples: number;
  /** Its fastest sample as a multiple of that of the case that it is compared with: what a busy machine bends least. */
  readonly ratio?: number;
}

export interface MicroReport extends Provenance {
  readonly results: readonly MicroResult[];
}

export interface MicroOptions {
  /** A few milliseconds each: shows that they run, not how fast. */
  readonly smoke: boolean;
  /** Only cases whose name contains this. */
  readonly only: string;
}

/** Every case once in each round, so that a disturbance of the machine meets one round of all and not all of one. */
const ROUNDS = 5;
const ROUND_MS = 120;
const SMOKE_ROUND_MS = 5;

type Latency = Extract<NonNullable<Task['result']>, { latency: unknown }>['latency'];

export async function runMicro(options: MicroOptions): Promise<MicroReport> {
  const provenance = describeProvenance(options.smoke);
  const cases = chosenCases(options.only);
  const rounds: Map<string, Latency>[] = [];
  for (let round = 0; round < (options.smoke ? 2 : ROUNDS); round++) rounds.push(await runRound(cases, options.smoke));
  const results = cases.map((one) => resultOf(one, cases, rounds));
  return { ...provenance, results };
}

function chosenCases(only: string): MicroCase[] {
  const all = [
    ...rtpCases(),
    ...genesysCases(),
    ...audioHookCases(),
    ...ringCases(),
    ...mediaCases(),
    ...workerCases(),
    ...recorderCases(),
    ...formatCases(),
    ...metricsCases(),
  ];
  const cases = all.filter(({ name }) => name.includes(only));
  if (cases.length > 0) return cases;
  const names = all.map(({ name }) => name).join('\n');
  throw new TrunklineError('CONFIG_INVALID', `No step has "${only}" in its name. They are:\n${names}`);
}

async function runRound(cases: readonly MicroCase[], smoke: boolean): Promise<Map<string, Latency>> {
  const time = smoke ? SMOKE_ROUND_MS : ROUND_MS;
  const bench = new Bench({
    time,
    warmupTime: time / 2,
    iterations: smoke ? 4 : 16,
    warmupIterations: 4,
    retainSamples: true,
    throws: true,
  });
  for (const one of cases) bench.add(one.name, () => one.run(), { async: false });
  await bench.run();
  return new Map(
    cases.map(({ name }) => {
      const result = bench.getTask(name)?.result;
      if (result?.state !== 'completed') throw new Error(`The benchmark "${name}" did not complete.`);
      return [name, result.latency];
    }),
  );
}

function resultOf(
  { name, unit, steps, beside }: MicroCase,
  cases: readonly MicroCase[],
  rounds: readonly ReadonlyMap<string, Latency>[],
): MicroResult {
  const latencies = (of: string): Latency[] => rounds.flatMap((round) => round.get(of) ?? []);
  const own = latencies(name);
  const nanoseconds = (ms: number): number => Number(((ms * 1e6) / steps).toPrecision(4));
  const medians = own.map(({ p50 }) => nanoseconds(p50));
  const p50 = median(medians);
  const fastest = (of: string): number => Math.min(...latencies(of).map(({ min }) => min));
  const isThere = cases.some((other) => other.name === beside);
  return {
    name,
    unit,
    nanoseconds: {
      p50,
      mean: nanoseconds(median(own.map(({ mean }) => mean))),
      p99: nanoseconds(median(own.map(({ p99 }) => p99))),
    },
    rounds: medians,
    spreadPercent: Number((((Math.max(...medians) - Math.min(...medians)) / 2 / p50) * 100).toPrecision(2)),
    samples: own.reduce((sum, { samplesCount }) => sum + samplesCount, 0),
    ...(beside !== undefined && isThere ? { ratio: Number((fastest(name) / fastest(beside)).toPrecision(3)) } : {}),
  };
}

export function microTable(report: MicroReport): string {
  const rows = [
    ['step', 'p50 ns', 'spread', 'mean ns', 'p99 ns', 'of one'],
    ...report.results.map(({ name, unit, ratio, spreadPercent, nanoseconds: { p50, mean, p99 } }) => [
      ...[name, `${p50}`, `±${spreadPercent} %`, `${mean}`, `${p99}`],
      ratio === undefined ? unit : `${unit}, ${ratio} × the first`,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  return [...provenanceLines(report), ...lines].join('\n');
}
