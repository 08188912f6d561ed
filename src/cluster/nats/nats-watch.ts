import { AckPolicy, DeliverPolicy, type JetStreamManager } from '@nats-io/jetstream';
import { createInbox, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import type { WatchListener } from '../key-value-store.js';

export interface NatsWatchDependencies {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly stream: string;
  /** Of the subjects of all keys. */
  readonly prefix: string;
  /** The server of the watch is taken for dead after so long without a word. */
  readonly silentMs: number;
}

export interface NatsWatchListener extends WatchListener {
  /** Something was missed, or the server of the watch is gone: everything is read again. */
  reloading(): void;
}

/** Header of a key-value bucket in JetStream (NATS ADR-8): the key has been removed. */
export const OPERATION = 'KV-Operation';

/** JetStream says so often that it has nothing new. */
const HEARTBEAT_MS = 1_000;
const RETRY_MS = 250;
/** A watch that nobody listens to is removed by the server. */
const INACTIVE_MS = 10_000;

/**
 * The present values of some keys and each change after them, by a consumer of JetStream that lives in the memory of one
 * server. When that server dies, or a message is missing, another consumer reads all present values again; keys that are
 * no longer there are reported as removed. Ordered consumers of the client library would notice only after a minute.
 */
export class NatsWatch {
  readonly #dependencies: NatsWatchDependencies;
  readonly #filter: string;
  readonly #listener: NatsWatchListener;
  /** Present keys with their revisions. */
  readonly #known = new Map<string, number>();
  #load: Load | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isLoaded = false;
  #isStopped = false;

  constructor(dependencies: NatsWatchDependencies, filter: string, listener: NatsWatchListener) {
    this.#dependencies = dependencies;
    this.#filter = filter;
    this.#listener = listener;
  }

  start(): void {
    void this.#begin();
  }

  /** Reads everything again. */
  reload(): void {
    if (this.#isStopped) return;
    this.#listener.reloading();
    this.#end();
    void this.#begin();
  }

  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#load?.subscription.unsubscribe();
    this.#load = undefined;
  }

  async #begin(): Promise<void> {
    const { connection, manager, stream, prefix } = this.#dependencies;
    const inbox = createInbox();
    const subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error === null && this.#load === load) this.#received(load, message);
      },
    });
    const load: Load = {
      subscription,
      count: undefined,
      sequence: 0,
      seen: new Set(),
      lastRevision: 0,
      isCurrent: false,
    };
    this.#load = load;
    try {
      const { num_pending } = await manager.consumers.add(stream, {
        ...{ deliver_subject: inbox, filter_subject: prefix + this.#filter, mem_storage: true, num_replicas: 1 },
        ...{ deliver_policy: DeliverPolicy.LastPerSubject, ack_policy: AckPolicy.None },
        ...{ flow_control: true, idle_heartbeat: HEARTBEAT_MS * 1e6, inactive_threshold: INACTIVE_MS * 1e6 },
      });
      if (this.#load !== load) return;
      load.count = num_pending;
      this.#listen(load);
      if (num_pending === 0 && load.sequence === 0) this.#setCurrent(load);
    } catch {
      if (this.#load !== load) return;
      this.#end();
      this.#timer = setTimeout(() => void this.#begin(), RETRY_MS);
    }
  }

  #received(load: Load, message: Msg): void {
    this.#listen(load);
    if (message.headers?.code === 100) {
      // A request of flow control, or a heartbeat of a consumer that waits for an answer to one.
      if (message.reply) message.respond();
      const stalled = message.headers.get('Nats-Consumer-Stalled');
      if (stalled) this.#dependencies.connection.publish(stalled);
      // With nothing more to come, a heartbeat shows the end of what was present.
      if (!load.isCurrent && load.count !== undefined) this.#setCurrent(load);
      return;
    }
    const place = placeOf(message.reply ?? '');
    if (place === undefined || place.consumerSequence !== load.sequence + 1) {
      this.reload();
      return;
    }
    load.sequence++;
    load.lastRevision = place.revision;
    const key = message.subject.slice(this.#dependencies.prefix.length);
    load.seen.add(key);
    const isRemoved = message.headers?.has(OPERATION) ?? false;
    const isNews = place.revision > (this.#known.get(key) ?? 0);
    if (isNews) {
      if (isRemoved) this.#known.delete(key);
      else this.#known.set(key, place.revision);
      this.#listener.changed({ key, value: isRemoved ? undefined : parse(message.string()), revision: place.revision });
    }
    if (place.pending === 0 && this.#load === load) this.#setCurrent(load);
  }

  #setCurrent(load: Load): void {
    if (load.isCurrent) return;
    load.isCurrent = true;
    for (const [key, revision] of this.#known) {
      if (load.seen.has(key)) continue;
      this.#known.delete(key);
      this.#listener.changed({ key, value: undefined, revision: Math.max(revision + 1, load.lastRevision) });
    }
    load.seen.clear();
    if (this.#load !== load || this.#isLoaded) return;
    this.#isLoaded = true;
    this.#listener.current();
  }

  #listen(load: Load): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#load === load) this.reload();
    }, this.#dependencies.silentMs);
  }
}

/** One reading of everything, and what follows. */
interface Load {
  readonly subscription: Subscription;
  /** Keys that were present when it began. */
  count: number | undefined;
  /** Messages so far. */
  sequence: number;
  readonly seen: Set<string>;
  lastRevision: number;
  isCurrent: boolean;
}

/**
 * What the reply subject of a message says:
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<revision>.<consumer sequence>.<time>.<pending>`, with domain and account
 * behind `ACK` since server 2.11 where they are used (NATS ADR-15).
 */
function placeOf(reply: string): { revision: number; consumerSequence: number; pending: number } | undefined {
  const parts = reply.split('.');
  const from = parts.length >= 11 ? 6 : 4;
  if (parts[0] !== '$JS' || parts.length < 9) return undefined;
  const [revision, consumerSequence, , pending] = parts.slice(from + 1, from + 5).map(Number);
  if (revision === undefined || consumerSequence === undefined || pending === undefined) return undefined;
  return { revision, consumerSequence, pending };
}

/** A value as it was written; null for what is no JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
