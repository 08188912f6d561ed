import { US_PER_MS, US_PER_SECOND } from '../../../src/core/units.js';
import type { Provenance } from '../../provenance.js';
import type { Load, LoadCodec, SourceName } from '../load/plan.js';
import {
  BASELINES,
  type Baseline,
  type CallsReport,
  type OpusImplementation,
  type SubjectKind,
  type SubjectReport,
} from '../processes/messages.js';
import type { RunReport } from '../run.js';
import { type CurvePoint, mergeHistograms, type Percentiles } from './histogram.js';
import { type Figures, figuresOf, medianFigures, type RoundFigures } from './round-figures.js';
import { isValid, type Lateness, latenessOf, median, medianPercentiles, medians, rounded } from './statistics.js';

/** One number of streams: medians over the valid rounds, counts added up over them. */
export interface CapacityRun {
  readonly source: SourceName;
  readonly streams: number;
  readonly codec: LoadCodec;
  /** Sound in a packet, which is a frame of both channels where the source is AudioHook. */
  readonly packetMillis: number;
  readonly record: boolean;
  readonly encrypt: boolean;
  readonly packetsSent: number;
  readonly packetsDelivered: number;
  readonly dropped: number;
  /**
   * Where packets were lost, by the counter that saw it. `withheld`: by the generator, whose connection was gone or a
   * second behind; `undelivered`: seen by no counter, and not through a second after the end of the load.
   */
  readonly droppedWhere: Readonly<Record<string, number>>;
  /** User and system, all threads of the process. */
  readonly cpuMicrosPerPacket: number;
  /** The same by thread; `others` are those of Node and V8 and, when recording, the recorder. */
  readonly cpuThreadsMicrosPerPacket: ThreadsCpu;
  /** The same CPU as seconds of it in a second. */
  readonly coresUsed: number;
  /** CPU of the baselines, likewise, and what the node's is of it; null for one that was not run. */
  readonly baseline: Readonly<Record<Baseline, number | null>>;
  readonly ratio: Readonly<Record<Baseline, number | null>>;
  readonly baselines: Readonly<Record<Baseline, BaselineRun | null>>;
  /** Opus only: a plain loop over the decoder that the shards have, on the same packets. */
  readonly decodeLoop: {
    readonly decoder: OpusImplementation;
    readonly cpuMicrosPerPacket: number;
    /** What the workers use of it: the shards alone, unless it is recorded as well. */
    readonly ratio: number;
  } | null;
  /** From due to delivered, without the playout delay. */
  readonly latencyMicros: Percentiles;
  /** From due to decoded, without the playout delay. */
  readonly latencyProcessedMicros: Percentiles;
  /** Where the load is what connects and asks. */
  readonly calls: Calls | null;
  readonly eventLoopDelayMillis: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly rssBytes: { readonly idle: number; readonly before: number; readonly after: number };
  /**
   * What the main thread's heap, and the buffers that hang on it, have grown by in the steady window, collected at both
   * ends. Some 300 kB are code that was compiled meanwhile; in a long window what matters is how little more it is.
   */
  readonly heapGrowthBytes: number;
  readonly externalGrowthBytes: number;
  readonly generator: { readonly latenessMicros: Lateness; readonly cpuMicrosPerPacket: number };
  readonly rounds: { readonly valid: number; readonly invalid: number };
  /** Medians of everything that a round says, for node and baselines, over the same rounds; null for one not run. */
  readonly medians: Readonly<Record<SubjectKind, Figures | null>>;
  /** Every round in its order, the invalid ones too: what `bench compare` compares. */
  readonly perRound: Readonly<Record<SubjectKind, readonly RoundFigures[]>>;
  /** False when the generator lagged in every round; the figures are then those of invalid rounds. */
  readonly valid: boolean;
}

export interface ThreadsCpu {
  readonly main: number;
  /** Shards and, when recording, the recorder. */
  readonly workers: number;
  readonly others: number;
}

/** Sessions that the generator opened and talked with. */
export interface Calls {
  readonly openRate: number;
  /** From `open` to `opened`. */
  readonly openedMicros: Percentiles;
  /** From when the call was due to `opened`: connection, signature and all. */
  readonly connectedMicros: Percentiles;
  /** From when a ping was due to its pong. */
  readonly pingMicros: Percentiles;
  readonly pings: number;
  /** What went wrong, by name, zeros left out. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface BaselineRun {
  readonly cpuMicrosPerPacket: number;
  readonly coresUsed: number;
  readonly packetsSent: number;
  readonly packetsDelivered: number;
  /** Took less than 99 % of what was due, or was a second behind: its CPU a packet stands, its latency has no end. */
  readonly saturated: boolean;
  readonly valid: boolean;
  readonly latencyMicros: Percentiles | null;
  readonly calls: Calls | null;
}

export interface CapacityReport extends Provenance {
  readonly backend: string;
  /** All that was asked for, but numbers of streams and rounds: files with others are not comparable. */
  readonly settings: Readonly<Record<string, unknown>>;
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

/** Everything that was measured at one number of streams. */
export interface Rounds extends Readonly<Record<SubjectKind, RunReport[]>> {
  readonly decodeLoops: number[];
}

export function cpuOf({ usage, packetsWhileMeasured }: SubjectReport): number {
  return usage.cpuUs / packetsWhileMeasured;
}

/** The decoder that the shards of the node have. */
export function decoderOf(runs: readonly RunReport[]): OpusImplementation {
  return runs.every(({ subject }) => subject.backend === 'native') ? 'libopus' : 'webassembly';
}

/** Threads have no names here, but a worker under load is busier than any other thread but the main one. */
export function threadsOf({ usage, workers, packetsWhileMeasured }: SubjectReport): ThreadsCpu {
  const { main, others } = usage.threads;
  const cpuOfAll = (uses: typeof others): number => total(uses.map(({ cpuUs }) => cpuUs)) / packetsWhileMeasured;
  return {
    main: main.cpuUs / packetsWhileMeasured,
    workers: cpuOfAll(others.slice(0, workers)),
    others: cpuOfAll(others.slice(workers)),
  };
}

/** Packets of the window; of a subject that did not look, all that are missing are taken for the window's. */
export function deliveredOf({ subject, generator }: RunReport): number {
  return subject.packetsDelivered ?? generator.packetsSent - (generator.packetsInAll - subject.packetsInAll);
}

/** The rounds that count: the valid ones, or all of them, and then nothing is valid. */
export function counting(runs: readonly RunReport[]): { readonly runs: readonly RunReport[]; readonly valid: boolean } {
  const valid = runs.filter((run) => isValid(run.generator));
  return valid.length > 0 ? { runs: valid, valid: true } : { runs, valid: false };
}

export function summarise(
  load: Load,
  { record, encrypt }: Pick<CapacityRun, 'record' | 'encrypt'>,
  rounds: Rounds,
): CapacityRun {
  const { runs, valid } = counting(rounds.node);
  const usages = runs.map(({ subject }) => subject.usage);
  const packetsSent = sentIn(runs);
  const packetsDelivered = total(runs.map(deliveredOf));
  const cpu = median(runs.map(({ subject }) => cpuOf(subject)));
  const threads = medians(runs.map(({ subject }) => ({ ...threadsOf(subject) })));
  const baselines = byBaseline((kind) => summariseBaseline(load, rounds[kind]));
  const roundOf = (run: RunReport): RoundFigures =>
    figuresOf(run, load.streams, sentIn([run]) - Math.round(deliveredOf(run)));
  const decodeLoop = rounds.decodeLoops.length === 0 ? undefined : median(rounds.decodeLoops);
  return {
    source: load.source,
    streams: load.streams,
    codec: load.codec,
    packetMillis: load.tickUs / US_PER_MS,
    record,
    encrypt,
    packetsSent,
    packetsDelivered,
    dropped: packetsSent - packetsDelivered,
    droppedWhere: lossesOf(runs),
    cpuMicrosPerPacket: rounded(cpu),
    cpuThreadsMicrosPerPacket: roundedFields(threads),
    coresUsed: coresOf(runs),
    baseline: byBaseline((kind) => baselines[kind]?.cpuMicrosPerPacket ?? null),
    ratio: byBaseline((kind) => {
      const baseline = baselines[kind];
      return baseline === null ? null : rounded(cpu / baseline.cpuMicrosPerPacket, 3);
    }),
    baselines,
    decodeLoop:
      decodeLoop === undefined
        ? null
        : {
            decoder: decoderOf(runs),
            cpuMicrosPerPacket: rounded(decodeLoop),
            ratio: rounded(threads.workers / decodeLoop, 3),
          },
    latencyMicros: medianPercentiles(runs.flatMap(({ subject }) => subject.delivered ?? [])),
    latencyProcessedMicros: medianPercentiles(runs.flatMap(({ subject }) => subject.processed ?? [])),
    calls: callsOf(load, runs),
    eventLoopDelayMillis: roundedFields(
      medians(usages.map(({ eventLoopDelayMillis }) => ({ ...eventLoopDelayMillis }))),
    ),
    rssBytes: medians(usages.map(({ rssBytes }) => ({ ...rssBytes }))),
    heapGrowthBytes: median(usages.map(({ heapBytes }) => heapBytes.after - heapBytes.before)),
    externalGrowthBytes: median(usages.map(({ externalBytes }) => externalBytes.after - externalBytes.before)),
    generator: {
      latenessMicros: latenessOf(runs.map(({ generator }) => generator.lateness)),
      cpuMicrosPerPacket: rounded(median(runs.map(({ generator }) => generator.cpuMicrosPerPacket))),
    },
    medians: bySubject((kind) => medianFigures(counting(rounds[kind]).runs.map(roundOf))),
    perRound: bySubject((kind) => rounds[kind].map(roundOf)),
    rounds: { valid: valid ? runs.length : 0, invalid: rounds.node.length - (valid ? runs.length : 0) },
    valid,
  };
}

function summariseBaseline(load: Load, all: readonly RunReport[]): BaselineRun | null {
  if (all.length === 0) return null;
  const { runs, valid } = counting(all);
  const packetsSent = sentIn(runs);
  const packetsDelivered = total(runs.map(deliveredOf));
  const latencies = runs.flatMap(({ subject }) => subject.delivered ?? []);
  const latencyMicros = latencies.length === 0 ? null : medianPercentiles(latencies);
  return {
    cpuMicrosPerPacket: rounded(median(runs.map(({ subject }) => cpuOf(subject)))),
    coresUsed: coresOf(runs),
    packetsSent,
    packetsDelivered,
    saturated: packetsDelivered < packetsSent * 0.99 || (latencyMicros?.p50 ?? 0) > US_PER_SECOND,
    valid,
    latencyMicros,
    calls: callsOf(load, runs),
  };
}

/** Offered, that is. */
function sentIn(runs: readonly RunReport[]): number {
  return total(runs.map(({ generator }) => generator.packetsSent + generator.packetsWithheld));
}

function coresOf(runs: readonly RunReport[]): number {
  return rounded(median(runs.map(({ subject: { usage } }) => usage.cpuUs / usage.elapsedUs)));
}

function callsOf({ openRate }: Load, runs: readonly RunReport[]): Calls | null {
  const reports = runs.flatMap(({ generator }) => generator.calls ?? []);
  if (reports.length === 0) return null;
  const percentiles = (of: (report: CallsReport) => string): Percentiles => medianPercentiles(reports.map(of));
  const errors: Record<string, number> = {};
  for (const report of reports) addTo(errors, report.errors);
  return {
    openRate,
    openedMicros: percentiles(({ opened }) => opened),
    connectedMicros: percentiles(({ connected }) => connected),
    pingMicros: percentiles(({ pinged }) => pinged),
    pings: mergeHistograms(reports.map(({ pinged }) => pinged)).totalCount,
    errors,
  };
}

function lossesOf(runs: readonly RunReport[]): Record<string, number> {
  const losses: Record<string, number> = {};
  for (const run of runs) {
    const { subject, generator } = run;
    const undelivered = Math.round(generator.packetsSent - deliveredOf(run) - subject.losses.known);
    addTo(losses, { withheld: generator.packetsWithheld, ...subject.losses.counters, undelivered });
  }
  return losses;
}

function addTo(sums: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) if (count > 0) sums[name] = (sums[name] ?? 0) + count;
}

function byBaseline<T>(of: (kind: Baseline) => T): Record<Baseline, T> {
  return Object.fromEntries(BASELINES.map((kind) => [kind, of(kind)])) as Record<Baseline, T>;
}

function bySubject<T>(of: (kind: SubjectKind) => T): Record<SubjectKind, T> {
  return { node: of('node'), ...byBaseline(of) };
}

function total(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function roundedFields<K extends string>(row: Readonly<Record<K, number>>): Record<K, number> {
  return Object.fromEntries(Object.entries<number>(row).map(([key, value]) => [key, rounded(value)])) as Record<
    K,
    number
  >;
}
