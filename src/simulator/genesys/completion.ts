/** What there is to see of a simulator at one moment. */
export interface Progress {
  /** Interactions that were ever subscribed to. */
  readonly started: number;
  readonly live: number;
  readonly connections: number;
}

const QUIET_US = 1e6;
const PATIENCE_US = 5e6;
const UNWANTED_US = 30e6;

/**
 * Decides when a simulator whose calls have an end is done: every call that began is over and the clients have left or
 * had time to; or no client came during the time that the calls would have taken and half a minute more.
 */
export class Completion {
  readonly #durationUs: number;
  readonly #beganUs: number;
  #allEndedUs = Infinity;
  #lonelyUs = Infinity;

  constructor(durationUs: number, nowUs: number) {
    this.#durationUs = durationUs;
    this.#beganUs = nowUs;
  }

  isDone({ started, live, connections }: Progress, nowUs: number): boolean {
    if (started === 0) return nowUs - this.#beganUs > this.#durationUs + UNWANTED_US;
    this.#allEndedUs = live > 0 ? Infinity : Math.min(this.#allEndedUs, nowUs);
    this.#lonelyUs = connections > 0 || live > 0 ? Infinity : Math.min(this.#lonelyUs, nowUs);
    return nowUs - this.#lonelyUs >= QUIET_US || nowUs - this.#allEndedUs >= PATIENCE_US;
  }
}
