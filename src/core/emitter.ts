import { EventEmitter } from 'node:events';
import { messageOf } from './errors.js';

/** As Node declares them for EventEmitter, and keeps to itself. */
type Name<Key, Events> = Events extends [never] ? string | symbol : Key | keyof Events;
type Arguments<Key, Events> = Events extends [never]
  ? unknown[]
  : Key extends keyof Events
    ? Events[Key] extends unknown[]
      ? Events[Key]
      : never
    : never;

/**
 * An emitter whose listeners are an embedder's. What one of them throws becomes an `error` event, and never gets to
 * whoever emitted: that may be amid the bytes of a socket or the frames of all streams, and would leave the rest of
 * them undone. What a listener of `error` throws is for the process to judge, in a turn of its own.
 */
export class GuardedEmitter<Events extends Record<keyof Events, unknown[]>> extends EventEmitter<Events> {
  override emit<Key>(name: Name<Key, Events>, ...values: Arguments<Key, Events>): boolean {
    try {
      return super.emit(name, ...values);
    } catch (thrown) {
      if (name === 'error') {
        setImmediate(() => {
          throw thrown;
        });
      } else this.report(thrown);
      return true;
    }
  }

  /** To whoever listens for errors; without a listener an error event would end the process and every call with it. */
  protected report(thrown: unknown): void {
    // Which names there are is not known here, but for this one.
    const self = this as unknown as EventEmitter<{ error: [Error] }>;
    if (self.listenerCount('error') === 0) return;
    self.emit('error', thrown instanceof Error ? thrown : new Error(messageOf(thrown)));
  }
}
