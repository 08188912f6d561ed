import { formatServerMessage, type ServerMessageType, type ServerParameters } from '../protocol/wire.js';
import { EventQueue } from './event-queue.js';
import type { SessionOutput, SessionTiming } from './session-contract.js';
import type { SessionCounts } from './session-counts.js';
import type { SessionPauses } from './session-pauses.js';

/**
 * Sends the messages of a session, numbered without a gap: answers at once, unsolicited messages only after the first
 * `pong` and within the rate limit.
 */
export class MessageSender {
  /** The session id, spelled as the client spells it. */
  id: string;
  /** Number of the client's last message. */
  clientseq = 0;
  /** A ping has been answered since `opened`; clients accept no unsolicited message before that. */
  mayInitiate = false;
  /** The `disconnect` that will be sent as soon as unsolicited messages are allowed. */
  pendingDisconnect: ServerParameters['disconnect'] | undefined;
  readonly queue: EventQueue;
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
    this.queue = new EventQueue(timing.messagesPerSecond, timing.messageBurst, nowUs);
  }

  /** Number of our last message. */
  get seq(): number {
    return this.#seq;
  }

  send<T extends ServerMessageType>(type: T, parameters: ServerParameters[T]): void {
    this.#seq += 1;
    this.#counts.messagesSent += 1;
    this.#output.send(formatServerMessage(type, this.id, this.#seq, this.clientseq, parameters));
  }

  /** Sends what is queued, as far as the rate allows. */
  flush(nowUs: number): void {
    this.queue.flush(nowUs, this.#sendUnsolicited);
  }

  /** Drops what is queued, the pending disconnect included. */
  dropPending(): void {
    this.pendingDisconnect = undefined;
    this.#counts.entitiesRefused += this.queue.clear();
  }

  readonly #sendUnsolicited = <T extends ServerMessageType>(type: T, parameters: ServerParameters[T]): void => {
    if (type === 'pause' || type === 'resume') this.#pauses.requested();
    if ('entities' in parameters) {
      this.#counts.eventsSent += 1;
      this.#counts.entitiesSent += parameters.entities.length;
    }
    this.send(type, parameters);
  };
}
