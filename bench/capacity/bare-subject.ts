import type { Losses } from './processes/messages.js';
import type { Subject } from './roles.js';

/** A subject that only receives packets. It counts them, to show that it kept up. */
export abstract class BareSubject implements Subject {
  readonly backend = 'js';
  readonly workers = 0;
  #packets = 0;

  abstract start(): Promise<string | undefined>;
  abstract stop(): Promise<void>;

  protected count(): void {
    this.#packets++;
  }

  protected discount(messages: number): void {
    this.#packets -= messages;
  }

  packets(): number {
    return this.#packets;
  }

  losses(): Losses {
    return { known: 0, counters: {} };
  }
}
