import { Bench } from 'tinybench';
import { TrunklineError } from '../../src/core/errors.js';
import { describeMachine, type Machine } from '../machine.js';
import { audioHookCases } from './audiohook.js';
import { genesysCases } from './genesys.js';
import { mediaCases } from './media.js';
import { ringCases } from './ring.js';
import { rtpCases } from './rtp.js';
import { workerCases } from './worker.js';

export interface MicroResult {
  readonly name: string;
  readonly unit: string;
  /** Of one step, over the samples. */
  readonly nanoseconds: { readonly p50: number; readonly mean: number; readonly p99: number };
  readonly samples: number;
  /** Its fastest sample as a multiple of that of the case that it is compared with: what a busy machine bends least. */
  readonly ratio?: number;
}

export interface MicroReport {
  readonly machine: Machine;
  readonly node: string;
  readonly results: readonly MicroResult[];
}

export interface MicroOptions {
  /** A few milliseconds each: shows that they run, not how fast. */
  readonly smoke: boolean;
  /** Only cases whose name contains this. */
  readonly only: string;
}

const TIME_MS = 500;
const SMOKE_TIME_MS = 5;

export async function runMicro(options: MicroOptions): Promise<MicroReport> {
  const time = options.smoke ? SMOKE_TIME_MS : TIME_MS;
  const bench = new Bench({
    time,
    warmupTime: time / 2,
    iterations: options.smoke ? 4 : 64,
    warmupIterations: 4,
    retainSamples: true,
    throws: true,
  });
  const all = [
    ...rtpCases(),
    ...genesysCases(),
    ...audioHookCases(),
    ...ringCases(),
    ...mediaCases(),
    ...workerCases(),
  ];
  const cases = all.filter(({ name }) => name.includes(options.only));
  if (cases.length === 0) {
    const names = all.map(({ name }) => name).join('\n');
    throw new TrunklineError('CONFIG_INVALID', `No step has "${options.only}" in its name. They are:\n${names}`);
  }
  for (const one of cases) bench.add(one.name, () => one.run(), { async: false });
  await bench.run();
  const latencyOf = (name: string) => {
    const result = bench.getTask(name)?.result;
    if (result?.state !== 'completed') throw new Error(`The benchmark "${name}" did not complete.`);
    return result.latency;
  };
  const results = cases.map(({ name, unit, steps, beside }) => {
    const { min, p50, mean, p99, samplesCount: samples } = latencyOf(name);
    const nanoseconds = (ms: number): number => Number(((ms * 1e6) / steps).toPrecision(4));
    const isThere = cases.some((other) => other.name === beside);
    return {
      name,
      unit,
      nanoseconds: { p50: nanoseconds(p50), mean: nanoseconds(mean), p99: nanoseconds(p99) },
      samples,
      ...(beside !== undefined && isThere ? { ratio: Number((min / latencyOf(beside).min).toPrecision(3)) } : {}),
    };
  });
  return { machine: describeMachine(), node: process.version, results };
}

export function microTable({ machine, node, results }: MicroReport): string {
  const rows = [
    ['step', 'p50 ns', 'mean ns', 'p99 ns', 'of one'],
    ...results.map(({ name, unit, ratio, nanoseconds: { p50, mean, p99 } }) => [
      ...[name, `${p50}`, `${mean}`, `${p99}`],
      ratio === undefined ? unit : `${unit}, ${ratio} × the first`,
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  return [`${machine.cpu}, ${machine.cores} cores, load ${machine.loadBefore} before; Node ${node}`, ...lines].join(
    '\n',
  );
}
