import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { getHeapStatistics } from 'node:v8';
import { systemClock } from '../../../src/core/clock.js';
import { readThreads, type ThreadReading, type ThreadUses, usedBetween } from './threads.js';

/** What a process used over the steady window. */
export interface Usage {
  readonly elapsedUs: number;
  /** User and system, all threads. */
  readonly cpuUs: number;
  /** System alone: what the kernel did for the process. */
  readonly kernelUs: number;
  readonly threads: ThreadUses;
  readonly eventLoopDelayMillis: { readonly p50: number; readonly p99: number; readonly max: number };
  /** `idle`: the modules are loaded, and nothing has been opened yet. */
  readonly rssBytes: { readonly idle: number; readonly before: number; readonly after: number };
  /** Main thread's heap, and what hangs on it outside (buffers), after a forced collection at both ends. */
  readonly heapBytes: { readonly before: number; readonly after: number };
  readonly externalBytes: { readonly before: number; readonly after: number };
}

// A shorter interval would see more, but each look is a turn of the loop: at 1 ms, a thousand a second.
const DELAY_RESOLUTION_MS = 10;

/** Measures the process that it is in. The four calls belong in their order. */
export class UsageMeter {
  readonly #idleRss: number;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  #memoryBefore = { rss: 0, heap: 0, external: 0 };
  #beginUs = 0;
  #cpuBefore = process.cpuUsage();
  #threadsBefore: ThreadReading = new Map();
  #running: Omit<Usage, 'rssBytes' | 'heapBytes' | 'externalBytes'> | undefined;

  /** @param idleRss resident memory before anything was opened. */
  constructor(idleRss: number) {
    this.#idleRss = idleRss;
  }

  /** Some time before the window, as collecting the garbage stops the loop. */
  settle(): void {
    this.#memoryBefore = memoryAfterCollection();
  }

  begin(): void {
    this.#delay.reset();
    this.#delay.enable();
    this.#threadsBefore = readThreads();
    this.#beginUs = systemClock.nowUs();
    this.#cpuBefore = process.cpuUsage();
  }

  end(): void {
    const { user, system } = process.cpuUsage(this.#cpuBefore);
    const elapsedUs = systemClock.nowUs() - this.#beginUs;
    this.#delay.disable();
    const threads = usedBetween(this.#threadsBefore, readThreads());
    const late = (nanos: number): number => Math.max(0, nanos / 1e6 - DELAY_RESOLUTION_MS);
    this.#running = {
      elapsedUs,
      cpuUs: user + system,
      kernelUs: system,
      threads,
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
      rssBytes: { idle: this.#idleRss, before: this.#memoryBefore.rss, after: after.rss },
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
