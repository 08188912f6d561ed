import { EventEmitter } from 'node:events';
import { Readable, type ReadableOptions } from 'node:stream';

/**
 * A Readable whose listeners are the embedder's. What a listener of `data` throws leaves push(), and so reaches the
 * engine's guard. What the promise of an async listener rejects with is thrown at the next frame, and takes the same way.
 */
export class GuardedReadable extends Readable {
  #rejections: unknown[] = [];

  constructor(options: ReadableOptions) {
    // Node passes a rejection to the method below; without it, the rejection would end the process.
    super({ ...options, captureRejections: true } as ReadableOptions);
  }

  override [EventEmitter.captureRejectionSymbol](thrown: unknown): void {
    this.#rejections.push(thrown);
  }

  /** To be called at each frame and at the end. */
  protected throwRejection(): void {
    if (this.#rejections.length > 0) throw this.#rejections.shift();
  }
}
