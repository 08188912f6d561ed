import { type Clock, systemClock } from '../../src/core/clock.js';
import { US_PER_SECOND } from '../../src/core/units.js';

/**
 * The system's clock, but its microseconds stand still once so many seconds have passed, until more are allowed: peers
 * that go by it do not end before a test has done what it must do while they are there, however long that takes.
 */
export class StagedClock implements Clock {
  readonly #startUs = systemClock.nowUs();
  #seenUs = this.#startUs;
  #passedUs = 0;
  #limitUs: number;

  constructor(seconds: number) {
    this.#limitUs = seconds * US_PER_SECOND;
  }

  /** @param seconds from now on, as it counts them. */
  allow(seconds: number): void {
    this.nowUs();
    this.#limitUs = this.#passedUs + seconds * US_PER_SECOND;
  }

  nowUs(): number {
    const nowUs = systemClock.nowUs();
    this.#passedUs = Math.min(this.#limitUs, this.#passedUs + nowUs - this.#seenUs);
    this.#seenUs = nowUs;
    return this.#startUs + this.#passedUs;
  }

  wallMs(): number {
    return systemClock.wallMs();
  }
}
