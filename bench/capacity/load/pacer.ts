import { systemClock } from '../../../src/core/clock.js';
import { US_PER_MS } from '../../../src/core/units.js';

/** Timers are good for what is at least so far away, and are set to end so long before. */
const TIMER_FROM_US = 20_000;
const TIMER_EARLY_US = 10_000;
/** Even when there is no time to wait the sockets get their turn this often. */
const LONGEST_WORK_US = 1_000;

/**
 * Waits for points in time, more exactly than timers of the event loop, which are good to a millisecond or two: a
 * futex with a timeout is good to some 60 µs and costs no more. The sockets get their turn after each wait.
 */
export class Pacer {
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  readonly #longestWaitMs: number;
  #turnUs = 0;

  /** @param longestWaitUs after which the sockets are looked at in any case. */
  constructor(longestWaitUs: number) {
    this.#longestWaitMs = longestWaitUs / US_PER_MS;
  }

  async until(dueUs: number): Promise<void> {
    let nowUs = systemClock.nowUs();
    for (; nowUs < dueUs; nowUs = systemClock.nowUs()) {
      const waitMs = (dueUs - nowUs) / US_PER_MS;
      if (dueUs - nowUs > TIMER_FROM_US) {
        await new Promise((resolve) => setTimeout(resolve, waitMs - TIMER_EARLY_US / US_PER_MS));
      } else {
        Atomics.wait(this.#pause, 0, 0, Math.min(waitMs, this.#longestWaitMs));
        await new Promise(setImmediate);
      }
      this.#turnUs = nowUs;
    }
    if (nowUs - this.#turnUs < LONGEST_WORK_US) return;
    this.#turnUs = nowUs;
    await new Promise(setImmediate);
  }
}
