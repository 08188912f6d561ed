import type { ControlPlace } from './agent.js';

/**
 * How the main thread, which must never block, waits for the rings that the shards fill: Atomics.waitAsync on one
 * word for all of them. A pending waitAsync does not keep the process alive, which suits a waiter.
 *
 * Word at +0 of the place: 1 while the reader wants to be told; the writer that turns it to 0 notifies.
 */
export class AsyncWaiter {
  readonly #words: Int32Array;
  readonly #word: number;
  #armed = false;

  constructor(place: ControlPlace) {
    this.#words = new Int32Array(place.memory);
    this.#word = place.offset >> 2;
  }

  /**
   * Calls `onWake` once, from a microtask, when a writer has published after this call. `isEmpty` is asked after the
   * announcement: what came before it is found by isEmpty() and reported by returning false, without waiting.
   */
  arm(isEmpty: () => boolean, onWake: () => void): boolean {
    if (this.#armed) return true;
    Atomics.store(this.#words, this.#word, 1);
    if (!isEmpty()) {
      Atomics.store(this.#words, this.#word, 0);
      return false;
    }
    const waiting = Atomics.waitAsync(this.#words, this.#word, 1);
    if (!waiting.async) return false;
    this.#armed = true;
    void waiting.value.then(() => {
      this.#armed = false;
      onWake();
    });
    return true;
  }

  /** Ends a pending wait, so that a closing engine leaves nothing behind. */
  release(): void {
    Atomics.store(this.#words, this.#word, 0);
    Atomics.notify(this.#words, this.#word);
  }
}

/** The writers' side: one atomic read a batch when nobody waits. */
export class WaiterSignal {
  readonly #words: Int32Array;
  readonly #word: number;

  constructor(place: ControlPlace) {
    this.#words = new Int32Array(place.memory);
    this.#word = place.offset >> 2;
  }

  signal(): void {
    if (Atomics.load(this.#words, this.#word) === 1 && Atomics.exchange(this.#words, this.#word, 0) === 1) {
      Atomics.notify(this.#words, this.#word);
    }
  }
}
