import { setTimeout as sleep } from 'node:timers/promises';
import type { UploadFailure } from '../../core/archive-events.js';
import type { Clock } from '../../core/clock.js';
import { US_PER_MS } from '../../core/units.js';
import type { BucketError } from './failures.js';

/** Failures one after another at which the bucket, and not one object, is what fails. */
const FAILING_AT = 3;

export interface AttemptsOptions {
  readonly clock: Clock;
  /** Pause after the first failure; it doubles with each further one. */
  readonly leastPauseMs: number;
  readonly mostPauseMs: number;
  /** Least pause after a failure that does not pass by itself. */
  readonly permanentPauseMs: number;
  /** The bucket begins to fail, fails for another reason, or works again. */
  readonly onChange: (state: BucketState) => void;
  /** From 0 to below 1; for jitter. */
  readonly random?: () => number;
}

/** Whether uploads succeed, and if not, why. */
export interface BucketState {
  readonly isFailing: boolean;
  readonly reason?: UploadFailure;
  /** A sentence; empty while uploads succeed. */
  readonly message: string;
}

export const WORKING: BucketState = { isFailing: false, message: '' };

/**
 * Decides when uploads are tried. While the bucket fails, one is tried at a time, with growing pauses, so that a thousand
 * waiting recordings are no load for it; when it works again they catch up as many at a time as there are.
 */
export class Attempts {
  readonly #options: AttemptsOptions;
  #state = WORKING;
  #failures = 0;
  #pausedUntilUs = Number.NEGATIVE_INFINITY;
  #lastFailureUs = Number.NEGATIVE_INFINITY;
  /** While it fails: the one attempt that is under way. */
  #isProbing = false;
  readonly #waiting: (() => void)[] = [];

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  get state(): BucketState {
    return this.#state;
  }

  /**
   * Runs an attempt when it is its turn. @throws whatever it throws; the reason of `closing` when that aborts while it waits
   * for its turn.
   * @param judge The failure of the bucket behind what was thrown; undefined when the bucket is not at fault.
   */
  async run<Result>(
    attempt: () => Promise<Result>,
    judge: (thrown: unknown) => BucketError | undefined,
    closing: AbortSignal,
  ): Promise<Result> {
    const isProbe = await this.#turn(closing);
    const startedUs = this.#options.clock.nowUs();
    try {
      const result = await attempt();
      this.#succeeded();
      return result;
    } catch (thrown) {
      const failure = judge(thrown);
      if (failure !== undefined) this.#failed(failure, startedUs);
      throw thrown;
    } finally {
      if (isProbe) this.#isProbing = false;
      this.#wake();
    }
  }

  async #turn(closing: AbortSignal): Promise<boolean> {
    for (;;) {
      const pauseUs = this.#pausedUntilUs - this.#options.clock.nowUs();
      if (pauseUs <= 0 && this.#failures === 0) return false;
      // A node that closes does not wait for a bucket that fails.
      closing.throwIfAborted();
      if (pauseUs > 0) await until(pauseUs, closing);
      else if (!this.#isProbing) {
        this.#isProbing = true;
        return true;
      } else await this.#woken(closing);
    }
  }

  #woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        resolve();
      };
      signal.addEventListener('abort', wake, { once: true });
      this.#waiting.push(wake);
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#pausedUntilUs = Number.NEGATIVE_INFINITY;
    this.#setState(WORKING);
  }

  #failed({ reason, message, isPermanent }: BucketError, startedUs: number): void {
    const nowUs = this.#options.clock.nowUs();
    // Attempts that were under way at the same time fail together: that is one failure.
    if (startedUs >= this.#lastFailureUs) {
      this.#failures++;
      const { permanentPauseMs } = this.#options;
      const pauseMs = Math.max(this.#pauseMs(), isPermanent ? permanentPauseMs * this.#jitter() : 0);
      this.#pausedUntilUs = nowUs + pauseMs * US_PER_MS;
    }
    this.#lastFailureUs = nowUs;
    if (isPermanent || this.#failures >= FAILING_AT) this.#setState({ isFailing: true, reason, message });
  }

  #pauseMs(): number {
    const { leastPauseMs, mostPauseMs } = this.#options;
    return Math.min(mostPauseMs, leastPauseMs * 2 ** Math.min(this.#failures - 1, 30)) * this.#jitter();
  }

  /** Half of each pause at random, so that nodes do not try in step. */
  #jitter(): number {
    const { random = Math.random } = this.#options;
    return 0.5 + 0.5 * random();
  }

  #setState(state: BucketState): void {
    const before = this.#state;
    this.#state = state;
    if (before.isFailing !== state.isFailing || before.reason !== state.reason) this.#options.onChange(state);
  }
}

async function until(pauseUs: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.ceil(pauseUs / US_PER_MS), undefined, { signal, ref: false }).catch(() => {});
}
