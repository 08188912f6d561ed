import { type Clock, systemClock } from '../../src/core/clock.js';

/** The system's clock, but its microseconds stand still until `release()`: what is scheduled by it begins then. */
export class HeldClock implements Clock {
  readonly #heldAtUs = systemClock.nowUs();
  #releasedAtUs: number | undefined;

  release(): void {
    this.#releasedAtUs ??= systemClock.nowUs();
  }

  nowUs(): number {
    if (this.#releasedAtUs === undefined) return this.#heldAtUs;
    return this.#heldAtUs + systemClock.nowUs() - this.#releasedAtUs;
  }

  wallMs(): number {
    return systemClock.wallMs();
  }
}
