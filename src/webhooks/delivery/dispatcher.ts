import type { Clock } from '../../core/clock.js';
import { US_PER_MS } from '../../core/units.js';
import type { Message } from '../message.js';
import type { Signer } from '../signature.js';
import type { Attempt } from './sender.js';

export interface DispatcherOptions {
  readonly clock: Clock;
  /** Requests at a time while the receiver accepts them. */
  readonly concurrency: number;
  /** Time to the second attempt; it doubles with each further one. */
  readonly leastRetryMs: number;
  readonly mostRetryMs: number;
  /** A message that is older, and has been tried, is given up when an attempt fails. */
  readonly giveUpAfterMs: number;
  readonly send: (body: string, headers: Record<string, string>, wallMs: number) => Promise<Attempt>;
  readonly delivered: (message: Message) => void;
  readonly givenUp: (message: Message, attempts: number, reason: string) => Promise<void>;
  /** The receiver begins to fail, answers again, or wants no more. */
  readonly changed: (state: ReceiverState, reason: string) => void;
  /** From 0 to below 1; for jitter. */
  readonly random?: () => number;
}

/** `gone`: it answered 410, and nothing is sent until resume() or a restart. */
export type ReceiverState = 'accepting' | 'failing' | 'gone';

/** Messages of one key; one is under way at a time. */
interface Line {
  readonly key: string;
  readonly messages: Message[];
  /** Attempts of the first message. */
  attempts: number;
  isBusy: boolean;
  /** Before this, microseconds of the clock, the first message is not tried again. */
  notBeforeUs: number;
}

/** Failures in a row at which the receiver, and not one message, is what fails. */
const FAILING_AT = 3;

/**
 * Decides what is sent when. Messages of one key keep their order; of different keys, `concurrency` are under way at a
 * time. While the receiver fails, one message at a time is tried, with growing pauses between the attempts, so that ten
 * thousand waiting messages are no load for it.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  #signer: Signer;
  readonly #lines = new Map<string, Line>();
  /** Lines that have a message and are not busy, the longest waiting first. */
  #ready: Line[] = [];
  #underWay = 0;
  #failures = 0;
  #state: ReceiverState = 'accepting';
  #reason = '';
  #pausedUntilUs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  readonly #idle: (() => void)[] = [];
  readonly counts = { attempts: 0, failedAttempts: 0, delivered: 0, givenUp: 0 };

  constructor(signer: Signer, options: DispatcherOptions) {
    this.#signer = signer;
    this.#options = options;
  }

  get state(): ReceiverState {
    return this.#state;
  }

  /** Why the last attempt failed, while the receiver does not accept messages. */
  get reason(): string {
    return this.#reason;
  }

  add(message: Message): void {
    const line = this.#lines.get(message.key);
    if (line === undefined) {
      const fresh = { key: message.key, messages: [message], attempts: 0, isBusy: false, notBeforeUs: 0 };
      this.#lines.set(message.key, fresh);
      this.#ready.push(fresh);
    } else line.messages.push(message);
    this.#run();
  }

  /** Signs with other secrets from now on, and tries a receiver that wanted no more once again. */
  resume(signer: Signer): void {
    this.#signer = signer;
    if (this.#state === 'gone') this.#setState('accepting', '');
    this.#pausedUntilUs = Number.NEGATIVE_INFINITY;
    this.#run();
  }

  /** Resolves when nothing waits, or at once when nothing can be delivered for now. */
  drained(): Promise<void> {
    if (this.#isDrained()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Begins no further attempt. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#wakeIdle();
  }

  #isDrained(): boolean {
    return this.#isStopped || this.#lines.size === 0 || this.#state !== 'accepting';
  }

  #run(): void {
    const { clock, concurrency } = this.#options;
    const most = this.#failures > 0 ? 1 : concurrency;
    while (!this.#isStopped && this.#state !== 'gone' && this.#underWay < most) {
      const nowUs = clock.nowUs();
      if (nowUs < this.#pausedUntilUs) {
        this.#wait(this.#pausedUntilUs - nowUs);
        return;
      }
      const at = this.#ready.findIndex(({ notBeforeUs }) => notBeforeUs <= nowUs);
      if (at < 0) {
        const next = this.#ready.reduce(
          (least, { notBeforeUs }) => Math.min(least, notBeforeUs),
          Number.POSITIVE_INFINITY,
        );
        if (Number.isFinite(next)) this.#wait(next - nowUs);
        return;
      }
      const [line] = this.#ready.splice(at, 1);
      if (line !== undefined) void this.#attempt(line);
    }
  }

  #wait(us: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), Math.ceil(us / US_PER_MS)).unref();
  }

  async #attempt(line: Line): Promise<void> {
    const [message] = line.messages;
    if (message === undefined) return;
    const { clock, send } = this.#options;
    this.#underWay++;
    this.counts.attempts++;
    line.attempts++;
    const wallMs = clock.wallMs();
    const attempt = await send(message.body, this.#signer.headers(message.id, new Date(wallMs), message.body), wallMs);
    this.#underWay--;
    await this.#judge(line, message, attempt);
    this.#run();
    if (this.#isDrained()) this.#wakeIdle();
  }

  async #judge(line: Line, message: Message, attempt: Attempt): Promise<void> {
    if (attempt.result === 'accepted') {
      this.#failures = 0;
      this.#setState('accepting', '');
      this.counts.delivered++;
      this.#options.delivered(message);
      this.#next(line);
      return;
    }
    this.counts.failedAttempts++;
    if (attempt.result === 'gone') {
      this.#setState('gone', 'the receiver answered 410: it wants no more notifications');
      this.#ready.unshift(line);
      return;
    }
    const { reason, retryAfterMs = 0 } = attempt;
    this.#failures++;
    if (this.#failures >= FAILING_AT) this.#setState('failing', reason);
    const nowUs = this.#options.clock.nowUs();
    this.#pausedUntilUs = nowUs + Math.max(this.#backoffMs(this.#failures), retryAfterMs) * US_PER_MS;
    if (this.#options.clock.wallMs() - message.createdAtMs > this.#options.giveUpAfterMs) {
      this.counts.givenUp++;
      await this.#options.givenUp(message, line.attempts, reason);
      this.#next(line);
      return;
    }
    line.notBeforeUs = nowUs + Math.max(this.#backoffMs(line.attempts), retryAfterMs) * US_PER_MS;
    this.#ready.push(line);
  }

  #next(line: Line): void {
    line.messages.shift();
    line.attempts = 0;
    line.notBeforeUs = 0;
    if (line.messages.length > 0) this.#ready.push(line);
    else this.#lines.delete(line.key);
  }

  /** Doubles with each attempt up to a limit; half of it at random, so that nodes do not try in step. */
  #backoffMs(attempts: number): number {
    const { leastRetryMs, mostRetryMs, random = Math.random } = this.#options;
    const most = Math.min(mostRetryMs, leastRetryMs * 2 ** Math.min(attempts - 1, 30));
    return most / 2 + (most / 2) * random();
  }

  #setState(state: ReceiverState, reason: string): void {
    this.#reason = reason;
    if (state === this.#state) return;
    this.#state = state;
    this.#options.changed(state, reason);
  }

  #wakeIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
