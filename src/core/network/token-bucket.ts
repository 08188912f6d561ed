import { US_PER_SECOND } from '../units.js';

/** A rate limit: `burst` tokens at once, `ratePerSecond` in the long run. */
export class TokenBucket {
  readonly #ratePerUs: number;
  readonly #burst: number;
  #tokens: number;
  #atUs: number;

  constructor(ratePerSecond: number, burst: number, nowUs: number) {
    this.#ratePerUs = ratePerSecond / US_PER_SECOND;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atUs = nowUs;
  }

  /** Takes `count` tokens if they are there. */
  tryTake(count: number, nowUs: number): boolean {
    this.#refill(nowUs);
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** Whether `count` tokens are there. */
  has(count: number, nowUs: number): boolean {
    this.#refill(nowUs);
    return this.#tokens >= count;
  }

  /** Takes `count` tokens, if need be on credit, and says how many microseconds it takes to pay that back. */
  spend(count: number, nowUs: number): number {
    this.#refill(nowUs);
    this.#tokens -= count;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#ratePerUs;
  }

  #refill(nowUs: number): void {
    if (nowUs <= this.#atUs) return;
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowUs - this.#atUs) * this.#ratePerUs);
    this.#atUs = nowUs;
  }
}
