import type { Clock } from '../../core/clock.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { type Message, messageFor, type WebhookEvents, type WebhookType } from '../message.js';
import { secretsOf, type WebhookSettings } from '../options.js';
import { MessageQueue } from '../queue/message-queue.js';
import { Signer } from '../signature.js';
import { Dispatcher, type ReceiverState } from './dispatcher.js';
import { Sender } from './sender.js';

const MEGABYTE = 1 << 20;
const MS_PER_HOUR = 3_600_000;

export interface DeliveryDependencies {
  readonly clock: Clock;
  /** A file cannot be written or read. */
  readonly onFault: (thrown: unknown) => void;
  readonly onState: (state: ReceiverState, reason: string) => void;
  /** A notification has become a dead letter. */
  readonly onGivenUp: (message: Message, reason: string) => void;
  /** The newest signed checkpoint of the audit; undefined while there is none. */
  readonly auditCheckpoint?: () => string | undefined;
}

/** What webhooks() has counted. */
export interface WebhookStats {
  /** Notifications that wait for delivery. */
  readonly waiting: number;
  readonly waitingBytes: number;
  /** Requests that were made, and those that were not answered with success. */
  readonly attempts: number;
  readonly failedAttempts: number;
  readonly delivered: number;
  /** Notifications that were given up and are in `dead-letters.jsonl`. */
  readonly deadLetters: number;
  /** Those that could not be kept there. */
  readonly deadLettersLost: number;
  /** Notifications for which there was no space. */
  readonly refused: number;
  /** Failed writes to the directory; what was to be written waits in memory. */
  readonly writeErrors: number;
}

/** The way of a notification: to the disk, to the receiver, off the disk. */
export class Delivery {
  readonly #settings: WebhookSettings;
  readonly #clock: Clock;
  readonly #queue: MessageQueue;
  readonly #sender: Sender;
  readonly #dispatcher: Dispatcher;
  /** Additions that are being written. */
  readonly #adding = new Set<Promise<void>>();
  readonly #auditCheckpoint: () => string | undefined;
  #isClosed = false;

  /** @throws TrunklineError CONFIG_INVALID for secrets, a CA file or a proxy that cannot be right. */
  constructor(settings: WebhookSettings, dependencies: DeliveryDependencies) {
    const { clock, onFault, onState, onGivenUp, auditCheckpoint = () => undefined } = dependencies;
    this.#auditCheckpoint = auditCheckpoint;
    const { url, directory, timeoutSeconds, concurrency, leastRetryMs, mostRetryMs, caFile } = settings;
    this.#settings = settings;
    this.#clock = clock;
    this.#sender = new Sender({ url, concurrency, timeoutMs: timeoutSeconds * MS_PER_SECOND, caFile });
    this.#queue = new MessageQueue({
      ...{ directory, clock, onFault },
      parentFolderMode: settings.parentFolderMode,
      maxMessages: settings.maxMessages,
      maxBytes: settings.maxMegabytes * MEGABYTE,
      onAdopted: (messages) => {
        for (const message of messages) this.#dispatcher.add(message);
      },
    });
    this.#dispatcher = new Dispatcher(new Signer(secretsOf(settings)), {
      ...{ clock, concurrency, leastRetryMs, mostRetryMs },
      giveUpAfterMs: settings.giveUpAfterHours * MS_PER_HOUR,
      send: (body, headers, wallMs) => this.#sender.send(body, headers, wallMs),
      delivered: (message) => this.#queue.done(message),
      givenUp: async (message, attempts, reason) => {
        await this.#queue.giveUp(message, attempts, reason);
        onGivenUp(message, reason);
      },
      changed: onState,
    });
  }

  /** Takes over what earlier processes have left. @throws TrunklineError FILE_FAILED when the folder cannot be made. */
  open(): Promise<void> {
    return this.#queue.open();
  }

  get state(): ReceiverState {
    return this.#dispatcher.state;
  }

  get reason(): string {
    return this.#dispatcher.reason;
  }

  /** Nothing is done for a type that is not wanted. `key` orders notifications, see messageFor(). */
  notify<Type extends WebhookType>(type: Type, data: WebhookEvents[Type], key = ''): void {
    const { types } = this.#settings;
    if (this.#isClosed || (types !== undefined && !types.includes(type))) return;
    const checkpoint =
      type.startsWith('recording.') || type === 'audit.checkpoint' ? this.#auditCheckpoint() : undefined;
    this.enqueue(messageFor(type, data, key, this.#clock.wallMs(), checkpoint));
  }

  /** It is sent once it has been written, or could not be. */
  enqueue(message: Message): void {
    const adding = this.#queue.add(message).then((isKept) => {
      this.#adding.delete(adding);
      if (isKept) this.#dispatcher.add(message);
    });
    this.#adding.add(adding);
  }

  /** Resolves when what was given until now is on the disk, or cannot be. */
  async written(): Promise<void> {
    await Promise.all(this.#adding);
  }

  /** Reads the secrets again. @throws TrunklineError CONFIG_INVALID when they cannot be right; the old ones stay. */
  reload(): void {
    this.#dispatcher.resume(new Signer(secretsOf(this.#settings)));
  }

  stats(): WebhookStats {
    const { size: waiting, bytes: waitingBytes, deadLetters, deadLettersLost, refused, writeErrors } = this.#queue;
    const { attempts, failedAttempts, delivered } = this.#dispatcher.counts;
    return {
      ...{ waiting, waitingBytes, attempts, failedAttempts, delivered },
      ...{ deadLetters, deadLettersLost, refused, writeErrors },
    };
  }

  /** Gives what can be delivered so many milliseconds; the rest stays in the directory for the next process. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    await this.written();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([this.#dispatcher.drained(), late]);
    clearTimeout(timer);
    this.#dispatcher.stop();
    this.#sender.close();
    await this.#queue.close();
  }
}
