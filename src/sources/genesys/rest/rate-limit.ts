import type { Clock } from '../../../core/clock.js';
import { US_PER_SECOND } from '../../../core/units.js';
import { type Sleep, sleep } from './retry.js';

/**
 * The platform allows 300 requests a minute for each client. A bucket can be emptied at once and then fills on, so what
 * passes in the worst minute is its size and a minute's filling: 50 + 230 = 280.
 */
export const REQUEST_BUDGET = { burst: 50, perMinute: 230 } as const;

/** A token bucket. Waiters are served in the order they came. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perUs: number;
  readonly #clock: Clock;
  readonly #sleep: Sleep;
  #tokens: number;
  #taken = 0;
  #filledUs: number;
  #queue: Promise<void> = Promise.resolve();

  constructor(clock: Clock, budget: { burst: number; perMinute: number } = REQUEST_BUDGET, wait: Sleep = sleep) {
    this.#burst = budget.burst;
    this.#perUs = budget.perMinute / (60 * US_PER_SECOND);
    this.#clock = clock;
    this.#sleep = wait;
    this.#tokens = budget.burst;
    this.#filledUs = clock.nowUs();
  }

  /** Takes a token if one is there and `reserve` more would be left. */
  tryTake(reserve = 0): boolean {
    this.#fill();
    if (this.#tokens < 1 + reserve) return false;
    this.#tokens--;
    this.#taken++;
    return true;
  }

  /** Tokens taken since the start, those that are there, and how many there can be. */
  status(): { readonly taken: number; readonly left: number; readonly most: number } {
    this.#fill();
    return { taken: this.#taken, left: this.#tokens, most: this.#burst };
  }

  /** Takes a token, waiting for it if need be. */
  take(signal?: AbortSignal): Promise<void> {
    const turn = this.#queue.then(() => this.#takeInTurn(signal));
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #takeInTurn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    // A whole microsecond at least: a clock cannot be moved by less than its rounding.
    while (!this.tryTake()) await this.#sleep(Math.ceil((1 - this.#tokens) / this.#perUs), signal);
  }

  #fill(): void {
    const nowUs = this.#clock.nowUs();
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowUs - this.#filledUs) * this.#perUs);
    this.#filledUs = nowUs;
  }
}
