import { readdir } from 'node:fs/promises';
import {
  constants,
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  type PerformanceEntry,
  PerformanceObserver,
  performance,
} from 'node:perf_hooks';
import { Buckets } from '../../../core/statistics/buckets.js';
import { counter, type Family, gauge, histogram } from '../family.js';

const GC_BOUNDS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];
const GC_KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};
const PERCENTILES = [50, 90, 99, 100];
/** The event loop's delay is measured with a timer of so many milliseconds. */
const RESOLUTION_MS = 20;
const SECONDS_PER_US = 1e-6;
const SECONDS_PER_NS = 1e-9;

/** The types of Node 20 do not have the detail. */
type GcEntry = PerformanceEntry & { readonly detail?: { readonly kind?: number } };

/** The process: CPU, memory, event loop and garbage collection of the main thread. Measures from start() to close(). */
export class ProcessMetrics {
  readonly #startedMs: number;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #collections = new Map(Object.values(GC_KINDS).map((kind) => [kind, new Buckets(GC_BOUNDS_SECONDS)]));
  readonly #observer = new PerformanceObserver((list) => {
    for (const { duration, detail } of list.getEntries() as GcEntry[]) {
      const kind = GC_KINDS[detail?.kind ?? -1];
      if (kind !== undefined) this.#collections.get(kind)?.add(duration / 1e3);
    }
  });
  readonly #begin: EventLoopUtilization = performance.eventLoopUtilization();

  /** @param wallMs the time now. */
  constructor(wallMs: number) {
    this.#startedMs = wallMs - process.uptime() * 1e3;
  }

  start(): void {
    this.#delay.enable();
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  close(): void {
    this.#delay.disable();
    this.#observer.disconnect();
  }

  async families(): Promise<Family[]> {
    const cpu = process.cpuUsage();
    const memory = process.memoryUsage();
    const { utilization, active } = performance.eventLoopUtilization(this.#begin);
    const open = await openFiles();
    const delays = PERCENTILES.map(
      (percentile) => [{ percentile: String(percentile) }, this.#delay.percentile(percentile)] as const,
    );
    // Of the time since the last scrape.
    this.#delay.reset();
    return [
      gauge(
        'process_start_time_seconds',
        'When the process was started, in seconds since 1970.',
        this.#startedMs / 1e3,
      ),
      counter('process_cpu_seconds', 'CPU time of all threads of the process.', [
        [{ mode: 'user' }, cpu.user * SECONDS_PER_US],
        [{ mode: 'system' }, cpu.system * SECONDS_PER_US],
      ]),
      gauge('process_resident_memory_bytes', 'Memory of the process that is resident.', memory.rss),
      gauge('nodejs_heap_used_bytes', 'Heap of the main thread that is in use.', memory.heapUsed),
      gauge('nodejs_heap_size_bytes', 'Heap of the main thread.', memory.heapTotal),
      gauge(
        'nodejs_external_memory_bytes',
        'Memory outside of the heap that JavaScript objects hold.',
        memory.external,
      ),
      gauge('nodejs_array_buffers_bytes', 'Buffers, the shared memory of the rings included.', memory.arrayBuffers),
      gauge('process_open_fds', 'Open file descriptors.', open ?? []),
      gauge(
        'eventloop_delay_seconds',
        'How late timers of the main thread are, since the last scrape.',
        delays.map(([labels, ns]) => [labels, Math.max(0, ns * SECONDS_PER_NS - RESOLUTION_MS / 1e3)] as const),
      ),
      counter('eventloop_active_seconds', 'Work of the main thread; its rate is the utilisation.', active / 1e3),
      gauge(
        'eventloop_utilization_ratio',
        'Share of the time in which the main thread has worked, since the start.',
        utilization,
      ),
      histogram(
        'gc_duration_seconds',
        'Garbage collections of the main thread.',
        [...this.#collections].map(([kind, buckets]) => [{ kind }, buckets.read()] as const),
      ),
    ];
  }
}

/** Undefined where there is no /proc. */
async function openFiles(): Promise<number | undefined> {
  try {
    return (await readdir('/proc/self/fd')).length;
  } catch {
    return undefined;
  }
}
