import { systemClock } from '../../../src/core/clock.js';
import { US_PER_MS } from '../../../src/core/units.js';

/** Timers are good for what is at least so far away, and are set to end so long before. */
const TIMER_FROM_US = 20_000;
const TIMER_EARLY_US = 10_000;

/**
 * Waits for points in time, more exactly than timers of the event loop, which are good to a millisecond or two: a
 * futex with a timeout is good to some 60 µs. The event loop turns, and the sockets are looked at, only when they have
 * waited for `turnUs`: a turn costs more than the write of one connection.
 */
export class Pacer {
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  readonly #turnUs: number;
  #turnedUs = 0;

  constructor(turnUs: number) {
    this.#turnUs = turnUs;
  }

  /** Returns when it is later than `dueUs`. What is due meanwhile for others is theirs to look after. */
  async until(dueUs: number): Promise<void> {
    while (!this.reached(dueUs)) await this.turn(dueUs);
  }

  /**
   * Waits for `dueUs` without a turn of the event loop, and returns true then; false as soon as a turn is due or the
   * wait is a long one. Then turn() is to be awaited.
   */
  reached(dueUs: number): boolean {
    for (;;) {
      const nowUs = systemClock.nowUs();
      const turnAtUs = this.#turnedUs + this.#turnUs;
      if (nowUs >= turnAtUs) return false;
      if (nowUs >= dueUs) return true;
      Atomics.wait(this.#pause, 0, 0, (Math.min(dueUs, turnAtUs) - nowUs) / US_PER_MS);
    }
  }

  /** Lets the event loop turn; with nothing due before `dueUs`, until shortly before it. */
  async turn(dueUs: number): Promise<void> {
    const waitUs = dueUs - systemClock.nowUs();
    if (waitUs > TIMER_FROM_US) {
      await new Promise((resolve) => setTimeout(resolve, (waitUs - TIMER_EARLY_US) / US_PER_MS));
    } else {
      await new Promise(setImmediate);
    }
    this.#turnedUs = systemClock.nowUs();
  }
}
