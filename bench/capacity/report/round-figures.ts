import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { US_PER_SECOND } from '../../../src/core/units.js';
import { sumOf, type ThreadUse } from '../processes/threads.js';
import type { RunReport } from '../run.js';
import { percentilesOf } from './histogram.js';
import { isValid, median, rounded } from './statistics.js';

const MEMORY_BASE_BYTES = 100e6;
const SECONDS_PER_MINUTE = 60;

/** What one round says about its subject. Null for what it does not have: a subject that does not look at its packets. */
export interface Figures {
  /** User and system, all threads. */
  readonly cpuMicrosPerPacket: number | null;
  readonly mainMicrosPerPacket: number | null;
  /** Shards and, when recording, the recorder: the busiest threads beside the main one. */
  readonly workersMicrosPerPacket: number | null;
  /** The kernel's part of each of these. */
  readonly kernelMicrosPerPacket: number | null;
  readonly mainKernelMicrosPerPacket: number | null;
  readonly workersKernelMicrosPerPacket: number | null;
  /** Switches from one of the process's threads to another thread of the machine, wanted or not. */
  readonly switchesPerPacket: number | null;
  readonly mainSwitchesPerPacket: number | null;
  readonly workersSwitchesPerPacket: number | null;
  /** Packets of the load that one read of a socket brought. */
  readonly packetsPerRead: number | null;
  /** Beyond the playout delay, from when each packet was due. */
  readonly p50Micros: number | null;
  readonly p99Micros: number | null;
  readonly p999Micros: number | null;
  readonly pingP99Micros: number | null;
  readonly rssBytes: number | null;
  /** Resident memory beyond 100 MB, for each stream. */
  readonly bytesPerStream: number | null;
  readonly heapGrowthBytes: number | null;
  readonly heapBytesPerMinute: number | null;
  readonly generatorMicrosPerPacket: number | null;
}

export type FigureName = keyof Figures;

/** One round as it stands in a result file. */
export interface RoundFigures extends Figures {
  /** The generator was on time. */
  readonly valid: boolean;
  readonly dropped: number;
}

export function figuresOf({ subject, generator }: RunReport, streams: number, dropped: number): RoundFigures {
  const { usage, workers: workerCount, packetsWhileMeasured: packets, socketReads, delivered } = subject;
  const each = (value: number): number => rounded(value / packets);
  const workers = sumOf(usage.threads.others.slice(0, workerCount));
  const all = sumOf([usage.threads.main, ...usage.threads.others]);
  const latency = delivered === undefined ? undefined : percentiles(delivered);
  const heapGrowthBytes = usage.heapBytes.after - usage.heapBytes.before;
  const hasThreads = all.cpuUs > 0;
  const ofThreads = (use: ThreadUse, value: (use: ThreadUse) => number): number | null =>
    hasThreads ? each(value(use)) : null;
  return {
    valid: isValid(generator),
    dropped,
    cpuMicrosPerPacket: each(usage.cpuUs),
    mainMicrosPerPacket: ofThreads(usage.threads.main, cpuUs),
    workersMicrosPerPacket: ofThreads(workers, cpuUs),
    kernelMicrosPerPacket: each(usage.kernelUs),
    mainKernelMicrosPerPacket: ofThreads(usage.threads.main, kernelUs),
    workersKernelMicrosPerPacket: ofThreads(workers, kernelUs),
    switchesPerPacket: ofThreads(all, switches),
    mainSwitchesPerPacket: ofThreads(usage.threads.main, switches),
    workersSwitchesPerPacket: ofThreads(workers, switches),
    packetsPerRead: socketReads ? rounded(packets / socketReads, 3) : null,
    p50Micros: latency?.p50 ?? null,
    p99Micros: latency?.p99 ?? null,
    p999Micros: latency?.p999 ?? null,
    pingP99Micros: generator.calls === undefined ? null : percentiles(generator.calls.pinged).p99,
    rssBytes: usage.rssBytes.after,
    bytesPerStream: Math.round((usage.rssBytes.after - MEMORY_BASE_BYTES) / streams),
    heapGrowthBytes,
    heapBytesPerMinute: Math.round((heapGrowthBytes * US_PER_SECOND * SECONDS_PER_MINUTE) / usage.elapsedUs),
    generatorMicrosPerPacket: rounded(generator.cpuMicrosPerPacket),
  };
}

/** Of each figure the median over the rounds that have it. */
export function medianFigures(rounds: readonly RoundFigures[]): Figures | null {
  const [first] = rounds;
  if (first === undefined) return null;
  const { valid: _valid, dropped: _dropped, ...figures } = first;
  const names = Object.keys(figures) as FigureName[];
  return Object.fromEntries(
    names.map((name) => {
      const values = rounds.flatMap((round) => round[name] ?? []);
      return [name, values.length === 0 ? null : rounded(median(values))];
    }),
  ) as unknown as Figures;
}

function cpuUs(use: ThreadUse): number {
  return use.cpuUs;
}

function kernelUs(use: ThreadUse): number {
  return use.kernelUs;
}

function switches(use: ThreadUse): number {
  return use.voluntarySwitches + use.involuntarySwitches;
}

function percentiles(encoded: string): ReturnType<typeof percentilesOf> {
  return percentilesOf(decodeFromCompressedBase64(encoded, 32, false));
}
