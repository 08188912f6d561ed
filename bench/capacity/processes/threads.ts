import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';

/** What one thread has used, or used between two readings. */
export interface ThreadUse {
  /** User and system, from the scheduler. */
  readonly cpuUs: number;
  /** System alone. The kernel tells it by what its tick finds, which a load that repeats can fall into step with. */
  readonly kernelUs: number;
  /** It had nothing to do, and waited. */
  readonly voluntarySwitches: number;
  /** Another thread was given its core. */
  readonly involuntarySwitches: number;
}

/** The threads of a process. Empty where /proc is missing. */
export interface ThreadUses {
  readonly main: ThreadUse;
  /** The busiest first. */
  readonly others: readonly ThreadUse[];
}

/** By thread id, of this process. */
export type ThreadReading = ReadonlyMap<number, ThreadUse>;

const NOTHING: ThreadUse = { cpuUs: 0, kernelUs: 0, voluntarySwitches: 0, involuntarySwitches: 0 };
/** USER_HZ of Linux, whatever the kernel's own clock is. */
const TICK_US = 10_000;
/** The field of /proc/…/stat, counted from behind the name: the 15th of all (proc(5)). */
const STIME_FIELD = 12;

export function readThreads(): ThreadReading {
  const threads = new Map<number, ThreadUse>();
  try {
    for (const id of readdirSync('/proc/self/task')) {
      const read = (file: string): string => readFileSync(`/proc/self/task/${id}/${file}`, 'latin1');
      const nanos = Number(read('schedstat').split(' ')[0]);
      const stat = read('stat');
      const status = read('status');
      threads.set(Number(id), {
        cpuUs: nanos / 1e3,
        kernelUs: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[STIME_FIELD]) * TICK_US,
        voluntarySwitches: field(status, 'voluntary_ctxt_switches'),
        involuntarySwitches: field(status, 'nonvoluntary_ctxt_switches'),
      });
    }
  } catch {
    // Another system, or a thread that has just ended: the figures of the process as a whole stand without these.
  }
  return threads;
}

/** What each thread has used between two readings. */
export function usedBetween(before: ThreadReading, after: ThreadReading): ThreadUses {
  const uses = [...after].map(([id, use]) => ({ id, use: difference(use, before.get(id) ?? NOTHING) }));
  return {
    main: uses.find(({ id }) => id === process.pid)?.use ?? NOTHING,
    others: uses
      .filter(({ id }) => id !== process.pid)
      .map(({ use }) => use)
      .sort((a, b) => b.cpuUs - a.cpuUs),
  };
}

export function sumOf(uses: readonly ThreadUse[]): ThreadUse {
  return uses.reduce(
    (sum, use) => ({
      cpuUs: sum.cpuUs + use.cpuUs,
      kernelUs: sum.kernelUs + use.kernelUs,
      voluntarySwitches: sum.voluntarySwitches + use.voluntarySwitches,
      involuntarySwitches: sum.involuntarySwitches + use.involuntarySwitches,
    }),
    NOTHING,
  );
}

function difference(now: ThreadUse, then: ThreadUse): ThreadUse {
  return {
    cpuUs: now.cpuUs - then.cpuUs,
    kernelUs: now.kernelUs - then.kernelUs,
    voluntarySwitches: now.voluntarySwitches - then.voluntarySwitches,
    involuntarySwitches: now.involuntarySwitches - then.involuntarySwitches,
  };
}

function field(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)$`, 'm').exec(status)?.[1] ?? 0);
}
