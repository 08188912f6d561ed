import type { WebSocket } from 'ws';
import { TokenBucket } from '../../../core/network/token-bucket.js';

/** This many bytes cost as much as one message. */
const BYTES_PER_TOKEN = 2048;

/**
 * Decides when a client's socket is read. A client that sends too fast is throttled, and one whose audio finds no
 * capacity in the engine is stalled; nothing is dropped, because TCP keeps what is not read. What one read of the socket
 * brought still arrives after the socket has been paused.
 */
export class FlowControl {
  readonly #socket: WebSocket;
  readonly #bucket: TokenBucket;
  #throttledUntilUs = 0;
  #stalled = false;
  /** How often the client was throttled. */
  throttled = 0;
  /** How often it was stalled. */
  stalls = 0;

  constructor(socket: WebSocket, limits: { messagesPerSecond: number; burst: number }, nowUs: number) {
    this.#socket = socket;
    this.#bucket = new TokenBucket(limits.messagesPerSecond, limits.burst, nowUs);
  }

  /** The socket is not being read, for either reason. */
  get isBlocked(): boolean {
    return this.#stalled || this.#throttledUntilUs > 0;
  }

  /** A message or a control frame arrived. */
  received(bytes: number, nowUs: number): void {
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
