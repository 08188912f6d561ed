import type { FigureName } from '../capacity/report/round-figures.js';
import type { Result, ResultRound, ResultRun } from './result-file.js';
import { geometricMean, type RatioInterval, ratioInterval } from './welch.js';

/** One figure at one number of streams, in both files. Geometric means over the valid rounds. */
export interface Row {
  readonly streams: number;
  readonly figure: string;
  readonly before: number;
  readonly after: number;
  readonly rounds: readonly [before: number, after: number];
  /** After ÷ before; undefined with fewer than two valid rounds in a file. */
  readonly interval: RatioInterval | undefined;
}

export interface Dropped {
  readonly streams: number;
  readonly before: string;
  readonly after: string;
}

export interface Comparison {
  readonly before: Result;
  readonly after: Result;
  /** Why the figures must not be compared, or must be with care. Empty when nothing speaks against it. */
  readonly differences: readonly string[];
  readonly rows: readonly Row[];
  readonly dropped: readonly Dropped[];
}

type Kind = keyof ResultRun['perRound'];
type Values = (run: ResultRun) => readonly number[];

/** Less is better of all but the last of them. */
const FIGURES: readonly (readonly [figure: string, values: Values])[] = [
  ['CPU, µs a packet', ofNode('cpuMicrosPerPacket')],
  ['main thread, µs a packet', ofNode('mainMicrosPerPacket')],
  ['workers, µs a packet', ofNode('workersMicrosPerPacket')],
  ['kernel, µs a packet', ofNode('kernelMicrosPerPacket')],
  ['CPU ÷ bareWs', overBaseline('bareWs')],
  ['CPU ÷ tutorial', overBaseline('tutorial')],
  ['CPU ÷ plain node', overBaseline('plain')],
  ['bareWs, µs a packet', (run) => valuesOf(run, 'bareWs', 'cpuMicrosPerPacket')],
  ['thread switches a packet', ofNode('switchesPerPacket')],
  ['latency p50, µs', ofNode('p50Micros')],
  ['latency p99, µs', ofNode('p99Micros')],
  ['latency p99.9, µs', ofNode('p999Micros')],
  ['ping p99, µs', ofNode('pingP99Micros')],
  ['resident memory, bytes', ofNode('rssBytes')],
  ['packets in a socket read', ofNode('packetsPerRead')],
];

/** Compares two results, of which `before` is the one that the other is measured against. */
export function compareResults(before: Result, after: Result): Comparison {
  const pairs = before.runs.flatMap((run) => {
    const other = after.runs.find(({ streams }) => streams === run.streams);
    return other === undefined ? [] : [[run, other] as const];
  });
  return {
    before,
    after,
    differences: differencesOf(before, after),
    rows: pairs.flatMap(([one, other]) => rowsOf(one, other)),
    dropped: pairs.map(([one, other]) => ({ streams: one.streams, before: droppedIn(one), after: droppedIn(other) })),
  };
}

function rowsOf(one: ResultRun, other: ResultRun): Row[] {
  return FIGURES.flatMap(([figure, values]) => {
    const [before, after] = [values(one), values(other)];
    if (before.length === 0 || after.length === 0) return [];
    return {
      streams: one.streams,
      figure,
      before: geometricMean(before),
      after: geometricMean(after),
      rounds: [before.length, after.length] as const,
      interval: ratioInterval(before, after),
    };
  });
}

function differencesOf(before: Result, after: Result): string[] {
  const differences: string[] = [];
  const differ = (what: string, one: unknown, other: unknown): void => {
    const [a, b] = [one, other].map((value) => JSON.stringify(value) ?? 'nothing');
    if (a !== b) differences.push(`${what}: ${a} and ${b}`);
  };
  const { machine: ours } = before;
  const { machine: theirs } = after;
  differ('processor', ours.cpu, theirs.cpu);
  differ('cores', ours.cores, theirs.cores);
  differ('memory', ours.memoryBytes, theirs.memoryBytes);
  differ('system', ours.system, theirs.system);
  differ('Node', before.node, after.node);
  differ('backend', before.backend, after.backend);
  for (const name of new Set([...Object.keys(before.settings), ...Object.keys(after.settings)])) {
    differ(`setting ${name}`, before.settings[name], after.settings[name]);
  }
  for (const [name, { measurement }] of Object.entries({ first: before, second: after })) {
    if (!measurement) differences.push(`the ${name} is a smoke run`);
  }
  const streams = (result: Result): number[] => result.runs.map((run) => run.streams);
  differ('streams', streams(before), streams(after));
  return differences;
}

/** Only rounds in which the generator was on time, and only what is more than nothing: ratios are made of it. */
function valuesOf(run: ResultRun, kind: Kind, name: FigureName): number[] {
  return validRounds(run, kind).flatMap((round) => positive(round[name]));
}

function validRounds(run: ResultRun, kind: Kind): ResultRound[] {
  return run.perRound[kind].filter(({ valid }) => valid);
}

function ofNode(name: FigureName): Values {
  return (run) => valuesOf(run, 'node', name);
}

/** Round by round: the two of one round saw the same machine. */
function overBaseline(kind: Kind): Values {
  return ({ perRound }) =>
    perRound.node.flatMap((round, i) => {
      const other = perRound[kind][i];
      if (other === undefined || !round.valid || !other.valid) return [];
      const [cpu, baseline] = [positive(round.cpuMicrosPerPacket), positive(other.cpuMicrosPerPacket)];
      return cpu.length + baseline.length < 2 ? [] : [(cpu[0] as number) / (baseline[0] as number)];
    });
}

function positive(value: unknown): number[] {
  return typeof value === 'number' && value > 0 ? [value] : [];
}

function droppedIn({ dropped, packetsSent }: ResultRun): string {
  return `${dropped} of ${packetsSent}`;
}
