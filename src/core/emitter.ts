import { EventEmitter } from 'node:events';
import { messageOf } from './errors.js';

/**
 * Calls code of the embedder. What it throws, or what its promise rejects with, goes to `onFault` and nowhere else: an
 * exception would leave the rest of a socket's bytes or of all streams' frames undone, and a rejection that nobody
 * handles would end the process.
 */
export function guard(call: () => unknown, onFault: (thrown: unknown) => void): void {
  try {
    guardResult(call(), onFault);
  } catch (thrown) {
    onFault(thrown);
  }
}

/** The same for what such a call has returned. */
export function guardResult(result: unknown, onFault: (thrown: unknown) => void): void {
  if (typeof result !== 'object' || result === null) return;
  const { then } = result as Partial<PromiseLike<unknown>>;
  if (typeof then === 'function') then.call(result, undefined, onFault);
}

/**
 * An emitter whose listeners are the embedder's. What a listener throws, or what the promise of an async listener rejects
 * with, becomes an `error` event. What a listener of `error` throws is thrown again outside of any other work, and ends
 * the process like any uncaught exception.
 */
export class GuardedEmitter<Events extends Record<keyof Events, unknown[]>> extends EventEmitter<Events> {
  constructor() {
    // Node passes a rejection of an async listener to the method below.
    super({ captureRejections: true });
  }

  // Its type is that of the @types/node that the program compiles with: declarations written out fit one version of it.
  declare emit: EventEmitter<Events>['emit'];

  static {
    GuardedEmitter.prototype.emit = function (
      this: GuardedEmitter<Record<never, never>>,
      name: never,
      ...values: never
    ) {
      try {
        return EventEmitter.prototype.emit.call(this, name, ...(values as unknown[]));
      } catch (thrown) {
        this.#onFault(thrown, name);
        return true;
      }
    };
  }

  override [EventEmitter.captureRejectionSymbol](thrown: unknown, name: unknown, ..._values: unknown[]): void {
    this.#onFault(thrown, name);
  }

  #onFault(thrown: unknown, name: unknown): void {
    if (name !== this.faultEvent) this.report(thrown);
    else {
      setImmediate(() => {
        throw thrown;
      });
    }
  }

  /** The event that report() emits. */
  protected readonly faultEvent: string = 'error';

  /** Emits an `error` event. Without a listener it is dropped, since Node would end the process and every call with it. */
  protected report(thrown: unknown): void {
    // Which events there are is not known here, except for this one.
    const self = this as unknown as EventEmitter<Record<string, [Error]>>;
    if (self.listenerCount(this.faultEvent) === 0) return;
    self.emit(this.faultEvent, thrown instanceof Error ? thrown : new Error(messageOf(thrown)));
  }
}
