import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { type MsgHdrs, headers as makeHeaders, type NatsConnection } from '@nats-io/transport-node';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { KeyValueStore, ReadResult, StoreEntry, Watch, WatchListener, WriteResult } from '../key-value-store.js';
import { NATS_TIMING, type NatsTiming } from './connection.js';
import { NatsWatch, OPERATION, parse } from './nats-watch.js';

export interface NatsStoreOptions {
  /** Name of the bucket; letters, digits, `-` and `_`. */
  readonly bucket: string;
  /** Servers that keep each value; default 3 in a cluster of servers, else 1. */
  readonly replicas?: number | undefined;
  /** Default NATS_TIMING. */
  readonly timing?: NatsTiming | undefined;
}

// Headers of a key-value bucket in JetStream (NATS ADR-8), so that the tools of NATS can read it.
const ROLLUP = 'Nats-Rollup';
const TIME_TO_LIVE = 'Nats-TTL';

/** The marker of a removed key is kept for so long. A watch that was cut off reads everything again. */
const MARKER_SECONDS = 300;
/** Nothing is kept for longer without a renewal: what a cluster leaves behind goes away by itself. */
const MAX_AGE_SECONDS = 7 * 86_400;
const WRONG_REVISION = [10071, 10164];

/**
 * A key-value bucket in JetStream. Writes carry the revision that they expect, which the leader of the stream checks in
 * the order in which it takes them; reads are answered by that leader.
 */
export class NatsStore implements KeyValueStore {
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #timing: NatsTiming;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #watches = new Set<NatsWatch>();
  /** Requests to the broker, and those of them that got no answer. */
  readonly counters = { requests: 0, unanswered: 0, changes: 0, reloads: 0 };

  private constructor(connection: NatsConnection, manager: JetStreamManager, { bucket, timing }: NatsStoreOptions) {
    this.#connection = connection;
    this.#manager = manager;
    this.#client = manager.jetstream();
    this.#timing = timing ?? NATS_TIMING;
    this.#stream = `KV_${bucket}`;
    this.#prefix = `$KV.${bucket}.`;
    void this.#followStatus();
  }

  /**
   * Opens the bucket, and makes it when there is none.
   * @throws TrunklineError CONNECTION_FAILED when JetStream does not answer or is not enabled.
   */
  static async open(connection: NatsConnection, options: NatsStoreOptions): Promise<NatsStore> {
    const { requestMs: timeout } = options.timing ?? NATS_TIMING;
    try {
      const manager = await jetstreamManager(connection, { timeout, checkAPI: false });
      const store = new NatsStore(connection, manager, options);
      const replicas = options.replicas ?? (connection.info?.cluster === undefined ? 1 : 3);
      try {
        await manager.streams.add(store.#config(options.bucket, replicas));
      } catch (error) {
        // Another node has made it, perhaps with another number of replicas.
        if (!(error instanceof JetStreamApiError)) throw error;
        await manager.streams.info(store.#stream);
      }
      return store;
    } catch (error) {
      throw new TrunklineError('CONNECTION_FAILED', `JetStream does not answer: ${messageOf(error)}.`);
    }
  }

  async create(key: string, value: unknown): Promise<WriteResult> {
    const result = await this.#publish(key, value, 0);
    if (result.kind !== 'conflict') return result;
    const read = await this.read(key);
    if (read.kind === 'unknown') return read;
    if (read.entry === undefined || read.entry.value !== undefined) return { kind: 'conflict' };
    return await this.#publish(key, value, read.entry.revision);
  }

  async update(key: string, value: unknown, revision: number): Promise<WriteResult> {
    return await this.#publish(key, value, revision);
  }

  async remove(key: string, revision: number): Promise<WriteResult> {
    const headers = makeHeaders();
    headers.set(OPERATION, 'PURGE');
    headers.set(ROLLUP, 'sub');
    headers.set(TIME_TO_LIVE, `${MARKER_SECONDS}s`);
    return await this.#publish(key, undefined, revision, headers);
  }

  async read(key: string): Promise<ReadResult> {
    this.counters.requests++;
    try {
      const message = await this.#manager.streams.getMessage(this.#stream, { last_by_subj: this.#prefix + key });
      if (message === null) return { kind: 'read', entry: undefined };
      const isRemoved = message.header?.has(OPERATION) ?? false;
      const value = isRemoved ? undefined : parse(message.string());
      return { kind: 'read', entry: { key, value, revision: message.seq } };
    } catch (error) {
      this.counters.unanswered++;
      return { kind: 'unknown', reason: messageOf(error) };
    }
  }

  watch(prefix: string, listener: WatchListener): Watch {
    const watch = new NatsWatch(
      {
        ...{ connection: this.#connection, manager: this.#manager, stream: this.#stream, prefix: this.#prefix },
        silentMs: this.#timing.silentMs,
      },
      prefix.endsWith('.') ? `${prefix}>` : prefix,
      {
        changed: (entry: StoreEntry) => {
          this.counters.changes++;
          listener.changed(entry);
        },
        current: () => listener.current(),
        reloading: () => {
          this.counters.reloads++;
        },
      },
    );
    this.#watches.add(watch);
    watch.start();
    return {
      stop: () => {
        this.#watches.delete(watch);
        watch.stop();
      },
    };
  }

  close(): void {
    for (const watch of this.#watches) watch.stop();
    this.#watches.clear();
  }

  async #publish(key: string, value: unknown, revision: number, headers?: MsgHdrs): Promise<WriteResult> {
    this.counters.requests++;
    const expect = { lastSubjectSequence: revision };
    const payload = value === undefined ? '' : JSON.stringify(value);
    try {
      const options = { expect, timeout: this.#timing.requestMs, retries: 0, ...(headers && { headers }) };
      const { seq } = await this.#client.publish(this.#prefix + key, payload, options);
      return { kind: 'written', revision: seq };
    } catch (error) {
      const { code } = error as { readonly code?: unknown };
      if (WRONG_REVISION.includes(code as number)) return { kind: 'conflict' };
      this.counters.unanswered++;
      return { kind: 'unknown', reason: messageOf(error) };
    }
  }

  /** After a new connection everything is read again: what was missed is not known. */
  async #followStatus(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === 'reconnect') for (const watch of this.#watches) watch.reload();
    }
  }

  #config(bucket: string, replicas: number): Partial<StreamConfig> & { name: string } {
    return {
      ...{ name: this.#stream, subjects: [`$KV.${bucket}.>`], num_replicas: replicas, max_msgs_per_subject: 1 },
      ...{ allow_rollup_hdrs: true, deny_delete: true, allow_direct: false, allow_msg_ttl: true },
      ...{ max_age: MAX_AGE_SECONDS * 1e9, discard: DiscardPolicy.New },
    };
  }
}
