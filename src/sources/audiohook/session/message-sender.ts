import { formatServerMessage, type ServerMessageType, type ServerParameters } from '../protocol/wire.js';
import { Outbox } from './event-queue.js';
import type { SessionOutput, SessionTiming } from './session-contract.js';
import type { SessionCounts } from './session-counts.js';
import type { SessionPauses } from './session-pauses.js';

/**
 * What a session says: numbered without a gap, answers at once, and what nobody asked for after the first `pong` and
 * no faster than its rate.
 */
export class MessageSender {
  /** As the client writes it. */
  id: string;
  /** Number of the client's last message. */
  clientseq = 0;
  /** A ping has been answered since `opened`; until then clients must not be told anything unasked. */
  ponged = false;
  /** The `disconnect` that waits to be sent. */
  farewell: ServerParameters['disconnect'] | undefined;
  readonly outbox: Outbox;
  readonly #output: Pick<SessionOutput, 'send'>;
  readonly #counts: SessionCounts;
  readonly #pauses: SessionPauses;
  #seq = 0;

  constructor(
    id: string,
    output: Pick<SessionOutput, 'send'>,
    counts: SessionCounts,
    pauses: SessionPauses,
    timing: SessionTiming,
    nowUs: number,
  ) {
    this.id = id;
    this.#output = output;
    this.#counts = counts;
    this.#pauses = pauses;
    this.outbox = new Outbox(timing.messagesPerSecond, timing.messageBurst, nowUs);
  }

  /** Number of our last message. */
  get seq(): number {
    return this.#seq;
  }

  say<T extends ServerMessageType>(type: T, parameters: ServerParameters[T]): void {
    this.#seq += 1;
    this.#counts.messagesSent += 1;
    this.#output.send(formatServerMessage(type, this.id, this.#seq, this.clientseq, parameters));
  }

  /** Says what waits, as far as the rate allows. */
  flush(nowUs: number): void {
    this.outbox.flush(nowUs, this.#sayUnasked);
  }

  /** Forgets what waits. */
  dropPending(): void {
    this.farewell = undefined;
    this.#counts.entitiesRefused += this.outbox.clear();
  }

  readonly #sayUnasked = <T extends ServerMessageType>(type: T, parameters: ServerParameters[T]): void => {
    if (type === 'pause' || type === 'resume') this.#pauses.asked();
    if ('entities' in parameters) {
      this.#counts.eventsSent += 1;
      this.#counts.entitiesSent += parameters.entities.length;
    }
    this.say(type, parameters);
  };
}
