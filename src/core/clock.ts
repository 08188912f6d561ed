import { performance } from 'node:perf_hooks';

/**
 * The only place that reads the time. Logic takes `nowUs` as an argument or, where it must ask by itself, a Clock.
 */
export interface Clock {
  /** Microseconds of the machine's monotonic clock. The zero is arbitrary but the same in every thread. */
  nowUs(): number;
  /** Milliseconds since 1970-01-01 UTC. */
  wallMs(): number;
}

// Imported, since the global of that name is a getter that looks it up each time.
// performance.now() counts from each thread's own start; hrtime is one clock for all of them but allocates. So the
// difference is taken once a thread. Both run on CLOCK_MONOTONIC, and so never drift apart. A delay between the two
// readings (the first performance.now() of a thread takes milliseconds) only makes the difference smaller, so the
// largest of several is the true one.
function clockDifferenceUs(): number {
  const [seconds, nanos] = process.hrtime();
  return seconds * 1e6 + nanos / 1e3 - performance.now() * 1e3;
}

const threadOffsetUs = Math.max(...Array.from({ length: 50 }, clockDifferenceUs));

export const systemClock: Clock = {
  nowUs: () => performance.now() * 1e3 + threadOffsetUs,
  wallMs: () => Date.now(),
};

/**
 * A clock that moves only when told to, for tests in virtual time. An engine or node that is made with it takes arrival
 * times, playout delay, latencies and wall clock from it: a call of an hour is tested in a second, and the result is the
 * same each time. Threads and sockets are real: await their results, as with `engine.close()`, instead of sleeping. The
 * event loop must turn now and then: it takes packets to the threads and frames from them. Without it the engine becomes
 * full, drops packets, and counts them in `packetsDropped`.
 *
 * @example
 * const clock = new ManualClock();
 * const engine = await createEngine({ shards: 1, clock });
 * const frames = engine.frames();
 * const call = engine.open('call-1', { codec: 'pcmu' });
 * for (let n = 0; n < 180_000; n++) {
 *   call.push({ sequenceNumber: n, timestamp: n * 160, payload });
 *   clock.advanceUs(20_000); // one packet every 20 ms
 *   if (n % 500 === 0) await setImmediate(); // of node:timers/promises
 * }
 * await engine.close();
 */
export class ManualClock implements Clock {
  #nowUs: number;
  readonly #epochMs: number;

  constructor(nowUs = 0, epochMs = 1_700_000_000_000) {
    this.#nowUs = nowUs;
    this.#epochMs = epochMs;
  }

  nowUs(): number {
    return this.#nowUs;
  }

  wallMs(): number {
    return this.#epochMs + this.#nowUs / 1e3;
  }

  /** Lets so many microseconds pass, at once. */
  advanceUs(us: number): void {
    this.#nowUs += us;
  }
}
