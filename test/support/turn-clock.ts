import { type Clock, systemClock } from '../../src/core/clock.js';
import { US_PER_MS } from '../../src/core/units.js';

/** Less than the playout delay by far. */
const MAX_STEP_US = 5 * US_PER_MS;
const STEPS_PER_CHECK = 16;
const STANDING = 0.02;

/**
 * The clock of a simulator and a node in one process: a machine that starves the process makes neither late. It goes on once
 * in each turn of the event loop, by the time that has passed, but by 5 ms at most, and stands still within a turn. What
 * the simulator sends in a turn, the node reads in the same turn or in the next, so packets are never later than that,
 * however long a turn takes.
 */
export class TurnClock implements Clock {
  /**
   * While it returns true, time nearly stands still, so that what the node's threads have to do does not pile up. It goes
   * on a little, for packets that wait for a time and not for a thread.
   */
  isBehind = (): boolean => false;
  readonly #speed: number;
  readonly #epochMs = systemClock.wallMs();
  readonly #timer = setInterval(() => this.#step(), 1);
  #seenUs = systemClock.nowUs();
  #passedUs = 0;
  #steps = 0;
  #stands = false;

  /** @param speed with 3, a call of a minute takes 20 seconds, or longer where the machine is not fast enough. */
  constructor(speed = 1) {
    this.#speed = speed;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  nowUs(): number {
    return this.#passedUs;
  }

  wallMs(): number {
    return this.#epochMs + this.#passedUs / US_PER_MS;
  }

  #step(): void {
    const nowUs = systemClock.nowUs();
    if (this.#steps++ % STEPS_PER_CHECK === 0) this.#stands = this.isBehind();
    const stepUs = Math.min(MAX_STEP_US, (nowUs - this.#seenUs) * this.#speed);
    this.#passedUs += this.#stands ? stepUs * STANDING : stepUs;
    this.#seenUs = nowUs;
  }
}
