import type { Clock } from '../../core/clock.js';
import { US_PER_MS } from '../../core/units.js';
import type { ControlPlace } from '../../ring/agent.js';
import { AsyncWaiter } from '../../ring/waiting.js';
import type { Delivery } from '../output/delivery.js';

const LONGEST_TIMER_MS = 1_000;
/** A timer that is due within this fetches the shards' output as well. */
const SOON_US = 2 * US_PER_MS;
/**
 * Sources that hand over packets at least this often hardly ever let SOON_US pass without any: a timer of twice that time
 * does as well, and seldom has to be set again, which costs as much as delivering two dozen frames.
 */
const BUSIEST_INTERVAL_US = 600;
/** Sources that hand over packets at least this often, on average, fetch the output of the turns before as well. */
const BUSY_INTERVAL_US = US_PER_MS;
/** Weight of one turn in that average; a pause counts as no more than LONGEST_INTERVAL_US. */
const INTERVAL_WEIGHT = 1 / 16;
const LONGEST_INTERVAL_US = 10 * US_PER_MS;

/** What is scheduled. */
export interface Pump {
  /** Releases what is due, and delivers what the shards have put out. */
  pump(): void;
  /** When there will be something to release, or Infinity; in the past when there already is. */
  dueUs(): number;
}

/**
 * Decides how the engine learns of what comes next: by the timer, when packets are held, and by being woken, when
 * shards may have output before that. Under load, when sources hand over packets every millisecond, waking would only
 * double the turns of the event loop, at 10 to 30 µs on both sides: each turn takes what the shards made of the one before,
 * and a timer of 2 or 4 ms what the last one has left.
 */
export class Schedule {
  readonly #clock: Clock;
  readonly #delivery: Delivery;
  readonly #pump: Pump;
  readonly #waiter: AsyncWaiter;
  #timer: NodeJS.Timeout | undefined;
  #timerDueUs = Number.POSITIVE_INFINITY;
  /** When a source handed over packets last, the mean time between that, and whether it was since the timer's last tick. */
  #submittedUs = Number.NEGATIVE_INFINITY;
  #intervalUs = LONGEST_INTERVAL_US;
  #hasSubmitted = false;
  #stopped = false;

  /** @param outputWaiter where the shards look whether to wake the main thread. */
  constructor(outputWaiter: ControlPlace, clock: Clock, delivery: Delivery, pump: Pump) {
    this.#waiter = new AsyncWaiter(outputWaiter);
    this.#clock = clock;
    this.#delivery = delivery;
    this.#pump = pump;
  }

  /** A source has handed over packets. */
  submitted(nowUs: number): void {
    const sinceUs = Math.min(nowUs - this.#submittedUs, LONGEST_INTERVAL_US);
    this.#intervalUs += (sinceUs - this.#intervalUs) * INTERVAL_WEIGHT;
    this.#submittedUs = nowUs;
    this.#hasSubmitted = true;
    this.update(nowUs);
  }

  /** Something has come or gone: sees to it that the next look is early enough. */
  update(nowUs = this.#clock.nowUs()): void {
    if (this.#stopped) return;
    const dueUs = this.#pump.dueUs();
    const isBusy = this.#hasSubmitted && this.#intervalUs < BUSY_INTERVAL_US;
    // Called from within a sink: the drain that called the sink looks again when it is done.
    const looksSoon = isBusy && !this.#delivery.isDraining;
    const soonUs = nowUs + (looksSoon && this.#intervalUs < BUSIEST_INTERVAL_US ? 2 * SOON_US : SOON_US);
    const nextUs = looksSoon ? Math.min(dueUs, soonUs) : dueUs;
    if (nextUs < this.#timerDueUs) this.#setTimer(nextUs, nowUs);
    if (!this.#delivery.isDraining && this.#timerDueUs > soonUs) this.#waitForOutput();
  }

  /** No more looks of its own; a wait under way ends, so that a closing engine leaves nothing behind. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#waiter.release();
  }

  #setTimer(dueUs: number, nowUs: number): void {
    clearTimeout(this.#timer);
    this.#timerDueUs = dueUs;
    const ms = Math.min(LONGEST_TIMER_MS, Math.max(1, Math.ceil((dueUs - nowUs) / US_PER_MS)));
    this.#timer = setTimeout(this.#onTimer, ms);
  }

  readonly #onTimer = (): void => {
    this.#timerDueUs = Number.POSITIVE_INFINITY;
    this.#pump.pump();
    this.update();
    this.#hasSubmitted = false;
  };

  #waitForOutput(): void {
    while (!this.#waiter.arm(this.#isOutputEmpty, this.#onOutput)) this.#delivery.drain();
  }

  readonly #isOutputEmpty = (): boolean => this.#delivery.isEmpty();

  readonly #onOutput = (): void => {
    if (this.#stopped) return;
    this.#delivery.drain();
    this.update();
  };
}
