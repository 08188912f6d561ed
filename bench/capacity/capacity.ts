import { US_PER_SECOND } from '../../src/core/units.js';
import { describeMachine, type Machine } from '../machine.js';
import { type CurvePoint, mergeHistograms, type Percentiles, percentileCurve } from './histogram.js';
import type { SubjectKind, SubjectReport } from './messages.js';
import type { CapacityOptions } from './options.js';
import { type Load, type LoadCodec, MAX_TICKS, TICKS_PER_SECOND } from './plan.js';
import { type RunReport, runDecodeLoop, runSubject } from './run.js';
import { isValid, type Lateness, latenessOf, median, medianPercentiles, medians, rounded } from './statistics.js';

const BASELINES = ['bareWs', 'tutorial'] as const;
type Baseline = (typeof BASELINES)[number];

/** One number of streams: medians over the valid rounds, counts added up over them. */
export interface CapacityRun {
  readonly streams: number;
  readonly codec: LoadCodec;
  readonly record: boolean;
  readonly packetsSent: number;
  readonly packetsDelivered: number;
  readonly dropped: number;
  /**
   * Where packets were lost, by the counter that saw it. `withheld`: by the generator, from a client a second behind;
   * `undelivered`: seen by no counter, and not through a second after the end of the load.
   */
  readonly droppedWhere: Readonly<Record<string, number>>;
  /** User and system, all threads of the process. */
  readonly cpuMicrosPerPacket: number;
  readonly cpuThreadsMicrosPerPacket: { readonly main: number; readonly others: number };
  /** CPU of the baselines, likewise, and what the node's is of it. */
  readonly baseline: Readonly<Record<Baseline, number>>;
  readonly ratio: Readonly<Record<Baseline, number>>;
  readonly baselines: Readonly<Record<Baseline, BaselineRun>>;
  /**
   * Opus only: a plain loop over the JavaScript path's decoder (libopus in WebAssembly), and what the threads beside
   * the main one use of it.
   */
  readonly decodeLoop: {
    readonly decoder: 'opusscript';
    readonly cpuMicrosPerPacket: number;
    readonly ratio: number;
  } | null;
  /** From due to delivered, the hold taken off. */
  readonly latencyMicros: Percentiles;
  /** From due to decoded, the hold taken off. */
  readonly latencyProcessedMicros: Percentiles;
  readonly eventLoopDelayMillis: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly rssBytes: { readonly before: number; readonly after: number };
  /** What the main thread's heap has grown by in the steady window, collected at both ends. */
  readonly heapGrowthBytes: number;
  readonly generator: { readonly latenessMicros: Lateness; readonly cpuMicrosPerPacket: number };
  readonly rounds: { readonly valid: number; readonly invalid: number };
  /** False when the generator lagged in every round; the figures are then those of invalid rounds. */
  readonly valid: boolean;
}

export interface BaselineRun {
  readonly cpuMicrosPerPacket: number;
  readonly packetsSent: number;
  readonly packetsDelivered: number;
  /** Took less than 99 % of what was due, or was a second behind: its CPU a packet stands, its latency has no end. */
  readonly saturated: boolean;
  readonly valid: boolean;
  readonly latencyMicros: Percentiles | null;
}

export interface CapacityReport {
  readonly machine: Machine;
  readonly node: string;
  readonly backend: string;
  readonly runs: readonly CapacityRun[];
}

/** Latency curves for the pictures, which would only be in the way in the JSON. */
export interface LatencyCurves {
  readonly streams: number;
  readonly curves: readonly {
    /** `decoded` is the node's, too. */
    readonly series: 'node' | 'decoded' | 'tutorial';
    readonly points: readonly CurvePoint[];
  }[];
}

export type Progress = (line: string) => void;

export async function runCapacity(
  options: CapacityOptions,
  progress: Progress,
): Promise<{ readonly report: CapacityReport; readonly curves: readonly LatencyCurves[] }> {
  const machine = describeMachine();
  const runs: CapacityRun[] = [];
  const curves: LatencyCurves[] = [];
  let backend = '';
  for (const streams of options.sweep) {
    const load: Load = {
      streams,
      codec: options.codec,
      warmupTicks: Math.round(options.warmup * TICKS_PER_SECOND),
      steadyTicks: Math.round(options.seconds * TICKS_PER_SECOND),
    };
    if (load.warmupTicks + load.steadyTicks > MAX_TICKS) throw new RangeError('A run lasts at most 3.8 hours.');
    const rounds = await alternate(load, options, progress);
    const decodeLoop = load.codec === 'opus' ? median(rounds.decodeLoops) : undefined;
    runs.push(summarise(load, options, rounds, decodeLoop));
    curves.push(curvesOf(load, rounds));
    backend = rounds.node[0]?.subject.backend ?? backend;
  }
  return { report: { machine, node: process.version, backend, runs }, curves };
}

interface Rounds extends Record<SubjectKind, RunReport[]> {
  readonly decodeLoops: number[];
}

/** Node and baselines in turn, so that whatever else the machine does meets them alike. */
async function alternate(load: Load, options: CapacityOptions, progress: Progress): Promise<Rounds> {
  const rounds: Rounds = { node: [], bareWs: [], tutorial: [], decodeLoops: [] };
  for (let round = 0; round < options.repeat; round++) {
    for (const kind of ['node', ...BASELINES] as const) {
      const run = await runSubject(kind, load, options);
      rounds[kind].push(run);
      progress(describeRun(kind, load, round + 1, options.repeat, run));
    }
    if (load.codec === 'opus') rounds.decodeLoops.push(await runDecodeLoop(load));
  }
  return rounds;
}

function describeRun(kind: SubjectKind, load: Load, round: number, rounds: number, run: RunReport): string {
  const { p99, max } = latenessOf([run.generator.lateness]);
  const lag = isValid(run.generator) ? '' : `, INVALID: generator late by ${p99} µs at p99, ${max} µs at most`;
  const missing = run.generator.packetsSent - run.subject.packetsDelivered;
  return (
    `${load.streams} ${load.codec} streams, round ${round} of ${rounds}, ${kind}: ` +
    `${cpuOf(run.subject).toFixed(2)} µs a packet, ${missing} of ${run.generator.packetsSent} missing${lag}`
  );
}

function cpuOf({ usage, packetsWhileMeasured }: SubjectReport): number {
  return usage.cpuUs / packetsWhileMeasured;
}

/** The rounds that count: the valid ones, or all of them, and then nothing is valid. */
function counting(runs: readonly RunReport[]): { readonly runs: readonly RunReport[]; readonly valid: boolean } {
  const valid = runs.filter((run) => isValid(run.generator));
  return valid.length > 0 ? { runs: valid, valid: true } : { runs, valid: false };
}

function total(runs: readonly RunReport[], of: (run: RunReport) => number): number {
  return runs.reduce((sum, run) => sum + of(run), 0);
}

function summarise(load: Load, options: CapacityOptions, rounds: Rounds, decodeLoop: number | undefined): CapacityRun {
  const { runs, valid } = counting(rounds.node);
  const usages = runs.map(({ subject }) => subject.usage);
  const packetsSent = total(runs, ({ generator }) => generator.packetsSent + generator.packetsWithheld);
  const packetsDelivered = total(runs, ({ subject }) => subject.packetsDelivered);
  const cpu = median(runs.map(({ subject }) => cpuOf(subject)));
  const main = median(runs.map(({ subject }) => subject.usage.mainCpuUs / subject.packetsWhileMeasured));
  const others = median(runs.map(({ subject }) => sum(subject.usage.otherCpuUs) / subject.packetsWhileMeasured));
  const baselines = { bareWs: summariseBaseline(rounds.bareWs), tutorial: summariseBaseline(rounds.tutorial) };
  return {
    streams: load.streams,
    codec: load.codec,
    record: options.record,
    packetsSent,
    packetsDelivered,
    dropped: packetsSent - packetsDelivered,
    droppedWhere: lossesOf(runs),
    cpuMicrosPerPacket: rounded(cpu),
    cpuThreadsMicrosPerPacket: { main: rounded(main), others: rounded(others) },
    baseline: { bareWs: baselines.bareWs.cpuMicrosPerPacket, tutorial: baselines.tutorial.cpuMicrosPerPacket },
    ratio: {
      bareWs: rounded(cpu / baselines.bareWs.cpuMicrosPerPacket, 3),
      tutorial: rounded(cpu / baselines.tutorial.cpuMicrosPerPacket, 3),
    },
    baselines,
    decodeLoop:
      decodeLoop === undefined
        ? null
        : { decoder: 'opusscript', cpuMicrosPerPacket: rounded(decodeLoop), ratio: rounded(others / decodeLoop, 3) },
    latencyMicros: medianPercentiles(present(runs.map(({ subject }) => subject.delivered))),
    latencyProcessedMicros: medianPercentiles(present(runs.map(({ subject }) => subject.processed))),
    eventLoopDelayMillis: roundedFields(
      medians(usages.map(({ eventLoopDelayMillis }) => ({ ...eventLoopDelayMillis }))),
    ),
    rssBytes: medians(usages.map(({ rssBytes }) => ({ ...rssBytes }))),
    heapGrowthBytes: median(usages.map(({ heapBytes }) => heapBytes.after - heapBytes.before)),
    generator: {
      latenessMicros: latenessOf(runs.map(({ generator }) => generator.lateness)),
      cpuMicrosPerPacket: rounded(median(runs.map(({ generator }) => generator.cpuMicrosPerPacket))),
    },
    rounds: { valid: valid ? runs.length : 0, invalid: rounds.node.length - (valid ? runs.length : 0) },
    valid,
  };
}

function summariseBaseline(all: readonly RunReport[]): BaselineRun {
  const { runs, valid } = counting(all);
  const packetsSent = total(runs, ({ generator }) => generator.packetsSent + generator.packetsWithheld);
  const packetsDelivered = total(runs, ({ subject }) => subject.packetsDelivered);
  const latencies = present(runs.map(({ subject }) => subject.delivered));
  const latencyMicros = latencies.length === 0 ? null : medianPercentiles(latencies);
  return {
    cpuMicrosPerPacket: rounded(median(runs.map(({ subject }) => cpuOf(subject)))),
    packetsSent,
    packetsDelivered,
    saturated: packetsDelivered < packetsSent * 0.99 || (latencyMicros?.p50 ?? 0) > US_PER_SECOND,
    valid,
    latencyMicros,
  };
}

function lossesOf(runs: readonly RunReport[]): Record<string, number> {
  const losses: Record<string, number> = {};
  const add = (name: string, count: number): void => {
    if (count > 0) losses[name] = (losses[name] ?? 0) + count;
  };
  for (const { subject, generator } of runs) {
    add('withheld', generator.packetsWithheld);
    for (const [name, count] of Object.entries(subject.losses)) add(name, count);
    const { lost = 0, ringFull = 0, arenaFull = 0 } = subject.losses;
    add('undelivered', generator.packetsSent - subject.packetsDelivered - lost - ringFull - arenaFull);
  }
  return losses;
}

function curvesOf(load: Load, rounds: Rounds): LatencyCurves {
  const curve = (
    series: LatencyCurves['curves'][number]['series'],
    kind: SubjectKind,
    of: 'delivered' | 'processed',
  ): LatencyCurves['curves'] => {
    const encoded = present(counting(rounds[kind]).runs.map(({ subject }) => subject[of]));
    return encoded.length === 0 ? [] : [{ series, points: percentileCurve(mergeHistograms(encoded)) }];
  };
  return {
    streams: load.streams,
    curves: [
      ...curve('tutorial', 'tutorial', 'delivered'),
      ...curve('decoded', 'node', 'processed'),
      ...curve('node', 'node', 'delivered'),
    ],
  };
}

function present<T>(values: readonly (T | undefined)[]): T[] {
  return values.filter((value): value is T => value !== undefined);
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function roundedFields<K extends string>(row: Readonly<Record<K, number>>): Record<K, number> {
  return Object.fromEntries(Object.entries<number>(row).map(([key, value]) => [key, rounded(value)])) as Record<
    K,
    number
  >;
}
