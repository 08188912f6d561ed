import { readdirSync, readFileSync } from 'node:fs';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { getHeapStatistics } from 'node:v8';
import { systemClock } from '../../../src/core/clock.js';
import { US_PER_MS } from '../../../src/core/units.js';

/** What a process used over the steady window. */
export interface Usage {
  readonly elapsedUs: number;
  /** User and system, all threads. */
  readonly cpuUs: number;
  /** The same of the main thread alone, and of each other thread, the busiest first; empty where /proc is missing. */
  readonly mainCpuUs: number;
  readonly otherCpuUs: readonly number[];
  readonly eventLoopDelayMillis: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly rssBytes: { readonly before: number; readonly after: number };
  /** Main thread's heap, and what hangs on it outside (buffers), after a forced collection at both ends. */
  readonly heapBytes: { readonly before: number; readonly after: number };
  readonly externalBytes: { readonly before: number; readonly after: number };
}

// A shorter interval would see more, but each look is a turn of the loop: at 1 ms, a thousand a second.
const DELAY_RESOLUTION_MS = 10;

/** Measures the process that it is in. The four calls belong in their order. */
export class UsageMeter {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  #memoryBefore = { rss: 0, heap: 0, external: 0 };
  #beginUs = 0;
  #cpuBefore = process.cpuUsage();
  #threadsBefore = new Map<number, number>();
  #running: Omit<Usage, 'rssBytes' | 'heapBytes' | 'externalBytes'> | undefined;

  /** Some time before the window, as collecting the garbage stops the loop. */
  settle(): void {
    this.#memoryBefore = memoryAfterCollection();
  }

  begin(): void {
    this.#delay.reset();
    this.#delay.enable();
    this.#threadsBefore = threadCpuUs();
    this.#beginUs = systemClock.nowUs();
    this.#cpuBefore = process.cpuUsage();
  }

  end(): void {
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    const elapsedUs = systemClock.nowUs() - this.#beginUs;
    this.#delay.disable();
    const threads = [...threadCpuUs()].map(([id, us]) => ({ id, us: us - (this.#threadsBefore.get(id) ?? 0) }));
    const late = (nanos: number): number => Math.max(0, nanos / 1e6 - DELAY_RESOLUTION_MS);
    this.#running = {
      elapsedUs,
      cpuUs: user + system,
      mainCpuUs: threads.find(({ id }) => id === process.pid)?.us ?? 0,
      otherCpuUs: threads
        .filter(({ id, us }) => id !== process.pid && us > US_PER_MS)
        .map(({ us }) => us)
        .sort((a, b) => b - a),
      eventLoopDelayMillis: {
        p50: late(this.#delay.percentile(50)),
        p99: late(this.#delay.percentile(99)),
        max: late(this.#delay.max),
      },
    };
  }

  /** Once the load is over. */
  finish(): Usage {
    const after = memoryAfterCollection();
    const running = this.#running;
    if (running === undefined) throw new Error('The usage was never measured.');
    return {
      ...running,
      rssBytes: { before: this.#memoryBefore.rss, after: after.rss },
      heapBytes: { before: this.#memoryBefore.heap, after: after.heap },
      externalBytes: { before: this.#memoryBefore.external, after: after.external },
    };
  }
}

function memoryAfterCollection(): { rss: number; heap: number; external: number } {
  // There when the process was started with --expose-gc, as the orchestrator does. Twice: what the
  // first one only marks as free would count as growth, and differ from run to run.
  globalThis.gc?.();
  globalThis.gc?.();
  const { rss, external } = process.memoryUsage();
  return { rss, heap: getHeapStatistics().used_heap_size, external };
}

/** CPU time of each thread, from the scheduler's own figures (Linux); the main thread has the process's id. */
function threadCpuUs(): Map<number, number> {
  const threads = new Map<number, number>();
  try {
    for (const id of readdirSync('/proc/self/task')) {
      const nanos = Number(readFileSync(`/proc/self/task/${id}/schedstat`, 'latin1').split(' ')[0]);
      if (Number.isFinite(nanos)) threads.set(Number(id), nanos / 1e3);
    }
  } catch {
    // Another system, or a thread that has just ended: the figures of the process as a whole stand without these.
  }
  return threads;
}
