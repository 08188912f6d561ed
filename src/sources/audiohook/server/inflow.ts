import type { WebSocket } from 'ws';
import { TokenBucket } from '../../../core/token-bucket.js';

/** Bytes that weigh as much as one message when a client sends faster than anybody speaks. */
const BYTES_PER_TOKEN = 2048;

/**
 * When a client's socket is read, and when the client has to wait. Nothing is dropped for it: TCP holds back what is not
 * read, and everything that was sent is taken in the end. What one read of the socket brought still comes through after
 * it was stopped.
 */
export class Inflow {
  readonly #socket: WebSocket;
  readonly #bucket: TokenBucket;
  #throttledUntilUs = 0;
  #stalled = false;
  /** Times that the client was held up because it sent too much too fast. */
  throttled = 0;
  /** Times that it was held up because there was no room for its audio. */
  stalls = 0;

  constructor(socket: WebSocket, limits: { messagesPerSecond: number; burst: number }, nowUs: number) {
    this.#socket = socket;
    this.#bucket = new TokenBucket(limits.messagesPerSecond, limits.burst, nowUs);
  }

  get isStalled(): boolean {
    return this.#stalled;
  }

  /** A message came. */
  took(bytes: number, nowUs: number): void {
    const overdrawnUs = this.#bucket.spend(1 + bytes / BYTES_PER_TOKEN, nowUs);
    if (overdrawnUs === 0) return;
    if (this.#throttledUntilUs === 0) {
      this.throttled += 1;
      this.#socket.pause();
    }
    this.#throttledUntilUs = nowUs + overdrawnUs;
  }

  stall(): void {
    this.#stalled = true;
    this.stalls += 1;
    this.#socket.pause();
  }

  endStall(): void {
    this.#stalled = false;
    if (this.#throttledUntilUs === 0) this.#socket.resume();
  }

  tick(nowUs: number): void {
    if (this.#throttledUntilUs === 0 || nowUs < this.#throttledUntilUs) return;
    this.#throttledUntilUs = 0;
    if (!this.#stalled) this.#socket.resume();
  }
}
