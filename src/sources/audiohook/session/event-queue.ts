import { TrunklineError } from '../../../core/errors.js';
import { LIMITS } from '../../../core/limits.js';
import { TokenBucket } from '../../../core/network/token-bucket.js';
import { US_PER_SECOND } from '../../../core/units.js';
import type { EventEntity, ServerMessageType, ServerParameters } from '../protocol/wire.js';

/** Size limit for the entities of one `event`, below the 64,000 bytes of a message. */
const EVENT_BYTES = 60_000;
/** A longer `retryAfter` is shortened to this. */
const MAX_SUSPEND_US = 60 * US_PER_SECOND;

type Send = <T extends ServerMessageType>(type: T, parameters: ServerParameters[T]) => void;

/**
 * Unsolicited messages that wait to be sent. Genesys drops a connector that sends too many, so they share one rate: of
 * a pause and a resume in a row only the last is sent, and several entities share one message.
 */
export class EventQueue {
  readonly #bucket: TokenBucket;
  readonly #entities: string[] = [];
  #control: 'pause' | 'resume' | undefined;
  #reconnect: ServerParameters['reconnect'] | undefined;
  #suspendedUntilUs = 0;

  constructor(messagesPerSecond: number, burst: number, nowUs: number) {
    this.#bucket = new TokenBucket(messagesPerSecond, burst, nowUs);
  }

  requestControl(control: 'pause' | 'resume'): void {
    this.#control = control;
  }

  requestReconnect(info: string | undefined): void {
    this.#reconnect = info === undefined ? {} : { info };
  }

  /** Queues entities, given as JSON; false when the queue cannot take them all. */
  addEntities(texts: readonly string[]): boolean {
    if (this.#entities.length + texts.length > LIMITS.audioHookQueuedEntities) return false;
    this.#entities.push(...texts);
    return true;
  }

  /** Sends nothing for a while, as the client requested with `retryAfter`. */
  suspend(seconds: number, nowUs: number): void {
    this.#suspendedUntilUs = nowUs + Math.min(seconds * US_PER_SECOND, MAX_SUSPEND_US);
  }

  /** Sends what the rate allows. */
  flush(nowUs: number, send: Send): void {
    if (nowUs < this.#suspendedUntilUs) return;
    if (this.#reconnect !== undefined && this.#bucket.tryTake(1, nowUs)) {
      send('reconnect', this.#reconnect);
      this.#reconnect = undefined;
    }
    if (this.#control !== undefined && this.#bucket.tryTake(1, nowUs)) {
      send(this.#control, {});
      this.#control = undefined;
    }
    while (this.#entities.length > 0 && this.#bucket.tryTake(1, nowUs))
      send('event', { entities: this.#nextEntities() });
  }

  /** Empties the queue; returns the number of dropped entities. */
  clear(): number {
    this.#control = undefined;
    this.#reconnect = undefined;
    return this.#entities.splice(0).length;
  }

  // As many as fit into one message, because messages are limited and entities are not.
  #nextEntities(): string[] {
    let count = 0;
    let bytes = 0;
    for (const text of this.#entities) {
      bytes += Buffer.byteLength(text) + 1;
      if (count > 0 && bytes > EVENT_BYTES) break;
      count += 1;
    }
    return this.#entities.splice(0, count);
  }
}

/**
 * An entity as JSON.
 * @throws TrunklineError CONFIG_INVALID when it is not JSON or is too large.
 */
export function entityText(entity: EventEntity): string {
  let text: string | undefined;
  try {
    const data = JSON.stringify(entity.data);
    text = data === undefined ? undefined : `{"type":${JSON.stringify(entity.type)},"data":${data}}`;
  } catch {
    text = undefined;
  }
  if (text === undefined || typeof entity.type !== 'string' || Buffer.byteLength(text) > LIMITS.audioHookEntityBytes) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `An event entity needs a type and JSON data of at most ${LIMITS.audioHookEntityBytes} bytes; send less, or in several entities.`,
    );
  }
  return text;
}
