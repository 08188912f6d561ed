import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { play } from '../../src/evaluation/jitter.js';
import { mean } from '../../src/evaluation/jitter-report.js';
import { readTrace, type Trace } from '../../src/evaluation/trace.js';
import { packageRoot } from '../provenance.js';
import { NETWORKS, traceOver } from './networks.js';

/** What one mode of the playout delay makes of a trace or a network; the mean of its seeds. */
export interface JitterFigures {
  /** Of all packets, percent: came too late for the live line. */
  readonly latePercent: number;
  /** What the jitter buffer adds to each packet, mean, after the first two seconds. */
  readonly addedMillis: number;
}

export interface JitterRow {
  /** A trace of real packets, or a network of networks.ts. */
  readonly name: string;
  readonly isTrace: boolean;
  readonly packets: number;
  readonly lostPercent: number;
  readonly reorderedPercent: number;
  readonly adaptive: JitterFigures;
  readonly fixed: JitterFigures;
}

/** The delay at the very start of a call is the same for all. */
const FROM_SECONDS = 2;
const TRACE_FOLDER = join(packageRoot(), '..', 'shared', 'corpora', 'rtp');

/** Traces of real packets, where they are there, and made-up networks with so many seeds. */
export async function jitterRows(seeds = 3, log: (line: string) => void = () => {}): Promise<JitterRow[]> {
  const rows: JitterRow[] = [];
  const files = traceFiles();
  if (files.length === 0)
    log('skipped: no traces of real packets, which are in ../shared/corpora/rtp where there are any');
  for (const file of files) rows.push(await rowOf(basename(file, '.jsonl'), true, [await readTrace(file)]));
  return [...rows, ...(await networkRows(NETWORKS, seeds))];
}

/** Of some of the networks. */
export async function networkRows(networks: readonly string[], seeds: number): Promise<JitterRow[]> {
  const rows: JitterRow[] = [];
  for (const network of networks) {
    const traces = Array.from({ length: seeds }, (_, seed) => traceOver(network, seed + 1));
    rows.push(await rowOf(network, false, traces));
  }
  return rows;
}

/** One line each, for a table. */
export function jitterLines(rows: readonly JitterRow[]): string[] {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const figures = ({ latePercent, addedMillis }: JitterFigures) =>
    `${latePercent.toFixed(2).padStart(5)} % late, ${addedMillis.toFixed(1).padStart(5)} ms`;
  return rows.map(
    ({ name, adaptive, fixed }) => `  ${name.padEnd(width)}   adaptive ${figures(adaptive)}   fixed ${figures(fixed)}`,
  );
}

async function rowOf(name: string, isTrace: boolean, traces: readonly Trace[]): Promise<JitterRow> {
  const [adaptive, fixed] = [await figuresOf(traces, 'adaptive'), await figuresOf(traces, 'fixed')];
  const packets = traces.reduce((sum, trace) => sum + trace.packets.length, 0);
  return {
    ...{ name, isTrace, packets },
    lostPercent: (100 * adaptive.lost) / (packets + adaptive.lost),
    reorderedPercent: (100 * adaptive.reordered) / packets,
    adaptive: adaptive.figures,
    fixed: fixed.figures,
  };
}

async function figuresOf(traces: readonly Trace[], playoutDelay: 'adaptive' | 'fixed') {
  const played = await Promise.all(traces.map((trace) => play(trace, { playoutDelay }, { fromSeconds: FROM_SECONDS })));
  const sum = (count: 'packetsLate' | 'packetsLost' | 'packetsReordered') =>
    played.reduce((total, { counts }) => total + counts[count], 0);
  const packets = traces.reduce((total, trace) => total + trace.packets.length, 0);
  return {
    figures: {
      latePercent: (100 * sum('packetsLate')) / packets,
      addedMillis: mean(played.map(({ added }) => mean(added))),
    },
    lost: sum('packetsLost'),
    reordered: sum('packetsReordered'),
  };
}

function traceFiles(): string[] {
  try {
    return readdirSync(TRACE_FOLDER)
      .filter((name) => name.endsWith('.jsonl'))
      .map((name) => join(TRACE_FOLDER, name));
  } catch {
    return [];
  }
}
