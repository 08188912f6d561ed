import type { Clock } from '../../core/clock.js';

/** One request as it was answered; of a WebSocket, its handshake. */
export interface LoggedRequest {
  /** From the simulator's start. */
  readonly atMs: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** 101 for a WebSocket; 0 for one that was left without an answer. */
  readonly status: number;
}

const MAX_REQUESTS = 50_000;

/** Who asked for what, and when; the oldest are forgotten. */
export class RequestLog {
  readonly #clock: Clock;
  readonly #startUs: number;
  #requests: LoggedRequest[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startUs = clock.nowUs();
  }

  add(method: string, path: string, status: number): void {
    if (this.#requests.length >= MAX_REQUESTS) this.#requests = this.#requests.slice(MAX_REQUESTS / 2);
    this.#requests.push({ atMs: (this.#clock.nowUs() - this.#startUs) / 1e3, method, path, status });
  }

  get requests(): readonly LoggedRequest[] {
    return this.#requests;
  }
}

/** The most requests of those given that fell into any one stretch of `windowMs`. */
export function busiest(requests: readonly LoggedRequest[], windowMs: number): number {
  let from = 0;
  let most = 0;
  requests.forEach(({ atMs }, at) => {
    while (atMs - (requests[from] as LoggedRequest).atMs >= windowMs) from++;
    most = Math.max(most, at - from + 1);
  });
  return most;
}
