import type { Clock } from '../../core/clock.js';
import { US_PER_MS } from '../../core/units.js';
import type { ControlPlace } from '../../ring/agent.js';
import { AsyncWaiter } from '../../ring/waiting.js';
import type { Delivery } from '../output/delivery.js';

const LONGEST_TIMER_MS = 1_000;
/** A timer that is due within this fetches the shards' output as well. */
const SOON_US = 2 * US_PER_MS;

/** What is scheduled. */
export interface Pump {
  /** Releases what is due, and delivers what the shards have put out. */
  pump(): void;
  /** When there will be something to release, or Infinity; in the past when there already is. */
  dueUs(): number;
}

/**
 * Decides how the engine learns of what comes next: by the timer, when packets are held, and by being woken, when
 * shards may have output before that. While the timer ticks every millisecond anyway, as it does under load, waking
 * would only double the turns of the event loop: each tick takes what the shards made of the one before.
 */
export class Schedule {
  readonly #clock: Clock;
  readonly #delivery: Delivery;
  readonly #pump: Pump;
  readonly #waiter: AsyncWaiter;
  #timer: NodeJS.Timeout | undefined;
  #timerDueUs = Number.POSITIVE_INFINITY;
  #stopped = false;

  /** @param outputWaiter where the shards look whether to wake the main thread. */
  constructor(outputWaiter: ControlPlace, clock: Clock, delivery: Delivery, pump: Pump) {
    this.#waiter = new AsyncWaiter(outputWaiter);
    this.#clock = clock;
    this.#delivery = delivery;
    this.#pump = pump;
  }

  /** Something has come or gone: sees to it that the next look is early enough. */
  update(): void {
    if (this.#stopped) return;
    const dueUs = this.#pump.dueUs();
    if (dueUs < this.#timerDueUs) {
      clearTimeout(this.#timer);
      this.#timerDueUs = dueUs;
      this.#timer = setTimeout(
        this.#onTimer,
        Math.min(LONGEST_TIMER_MS, Math.max(1, Math.ceil((dueUs - this.#clock.nowUs()) / US_PER_MS))),
      );
    }
    // Called from within a sink: the drain that called the sink looks again when it is done.
    if (this.#delivery.isDraining) return;
    if (this.#timerDueUs > this.#clock.nowUs() + SOON_US) this.#waitForOutput();
  }

  /** No more looks of its own; a wait under way ends, so that a closing engine leaves nothing behind. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#waiter.release();
  }

  readonly #onTimer = (): void => {
    this.#timerDueUs = Number.POSITIVE_INFINITY;
    this.#pump.pump();
    this.update();
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
