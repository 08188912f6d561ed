import { type Clock, systemClock } from '../core/clock.js';
import { TrunklineError } from '../core/errors.js';
import { US_PER_SECOND } from '../core/units.js';
import { nativeSocketReader } from '../native/socket-reader.js';
import type { RepairReport } from '../sinks/recorder/repair.js';
import type { SourceCounters } from '../sources/genesys/counters.js';
import { InteractionsFile } from '../sources/genesys/discovery/interactions-file.js';
import { RETRY } from '../sources/genesys/rest/retry.js';
import { type SourceStatus, type SubscriptionResult, SubscriptionSource } from '../sources/genesys/source.js';
import { AudioNode, type NodeSettings } from './audio-node.js';

/** Connections with their state, streams, attempts and last error, the age of the token, and what is followed. */
export type CaptureStatus = SourceStatus;

/**
 * A capture node: subscribes to interactions at Genesys Cloud, reconnects, and ends each stream when its call ends.
 *
 *     const node = new CaptureNode({ clientId, clientSecret, region: 'eu-central-1', interactions: [id] });
 *     node.on('mediaChunk', ({ payload, metadata }) => analyse(metadata.interactionId, payload));
 *     await node.start();
 */
export class CaptureNode extends AudioNode {
  readonly #source: SubscriptionSource;
  #wishes: InteractionsFile | undefined;
  #idle = false;
  #stopped: Promise<void> | undefined;

  /** @throws TrunklineError CONFIG_INVALID for settings that cannot be right, missing credentials among them. */
  constructor(settings: NodeSettings, clock: Clock = systemClock) {
    super(settings, clock);
    const { clientId, clientSecret, region, apiUrl, mediaUrl, caFile, codecs, opusSampleRate } = this.config;
    const { queues, users, interactionsPerConnection, leastConnections, insecureTls, native } = this.config;
    if (clientId === undefined || clientSecret === undefined) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        'Set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET to those of an OAuth client with the client credentials grant.',
      );
    }
    const socketReader = native === 'off' ? undefined : nativeSocketReader(this.engine.batch);
    this.#source = new SubscriptionSource(this.engine, {
      clientId,
      clientSecret,
      region,
      codecPreferences: codecs,
      opusSampleRate,
      queues,
      users,
      interactionsPerConnection,
      leastConnections,
      insecureTls,
      retry: { ...RETRY, maxAttempts: this.config.reconnectAttempts },
      pingUs: this.config.heartbeatSeconds * US_PER_SECOND,
      clock,
      ...(socketReader && { socketReader }),
      ...(caFile === undefined ? {} : { caFile }),
      ...(apiUrl === undefined ? {} : { apiUrl }),
      ...(mediaUrl === undefined ? {} : { mediaUrl }),
    });
    this.#forwardEvents();
    const { interactionsFile } = this.config;
    if (interactionsFile === undefined) return;
    this.#wishes = new InteractionsFile(interactionsFile, {
      changed: (added, removed) => this.#wishesChanged(added, removed),
      failed: (error) => this.report(error),
    });
  }

  /**
   * Starts the threads, signs in and subscribes to the configured interactions. Resolves when each is on its way; its
   * `streamOpened` tells that media can flow. What repair did to recordings of an earlier process is returned.
   *
   * @throws TrunklineError AUTH_FAILED, CONNECTION_FAILED, RATE_LIMITED, FILE_FAILED, ENGINE_FAILED; the node is
   *   stopped then. ENGINE_CLOSED when it has been stopped before.
   */
  async start(): Promise<RepairReport | undefined> {
    try {
      const repaired = await this.startSinks();
      await this.#source.start();
      await this.subscribe(this.config.interactions);
      this.#wishes?.start();
      return repaired;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Adds interactions while the node runs. */
  subscribe(interactionIds: readonly string[]): Promise<SubscriptionResult[]> {
    this.#idle = false;
    return this.#source.subscribe(interactionIds);
  }

  /** Takes interactions away; their streams end with reason `unsubscribed`. */
  unsubscribe(interactionIds: readonly string[]): void {
    this.#source.unsubscribe(interactionIds);
  }

  /** Resolves when no interaction is left to capture; never while calls may come by themselves. */
  untilIdle(): Promise<void> {
    const { queues, users } = this.config;
    if (queues.length + users.length > 0 || this.#wishes !== undefined) return new Promise(() => {});
    if (this.#idle) return Promise.resolve();
    return new Promise((resolve) => {
      this.#source.once('idle', () => resolve());
    });
  }

  status(): CaptureStatus {
    return this.#source.status();
  }

  sourceCounters(): SourceCounters {
    return this.#source.counters();
  }

  /** Unsubscribes, delivers and writes what is under way, finishes every file and stops the threads. */
  stop(): Promise<void> {
    this.#wishes?.close();
    this.#stopped ??= this.#source.stop().then(() => this.stopSinks());
    return this.#stopped;
  }

  #wishesChanged(added: readonly string[], removed: readonly string[]): void {
    const kept = new Set(this.config.interactions);
    this.unsubscribe(removed.filter((id) => !kept.has(id)));
    // One impossible id must not keep the others out.
    for (const id of added) this.subscribe([id]).catch((error: unknown) => this.report(error));
  }

  #forwardEvents(): void {
    const source = this.#source;
    source.on('idle', () => {
      this.#idle = true;
    });
    source.on('connected', (event) => {
      const { connection, again } = event;
      this.auditEvent(again ? 'reconnected' : 'connected', { connection });
      this.emit('connected', event);
    });
    source.on('disconnected', (event) => {
      const { connection, code, reason } = event;
      this.auditEvent('disconnected', { connection, code, reason });
      this.emit('disconnected', event);
    });
    source.on('notifications', (event) => this.emit('notifications', event));
    source.on('heartbeat', (event) => this.emit('heartbeat', event));
    source.on('maxReconnectReached', (event) => {
      const { connection, attempts } = event;
      this.auditEvent('max_reconnect_reached', { connection, attempt: attempts });
      this.emit('maxReconnectReached', event);
    });
    source.on('paused', ({ interactionId, paused }) => {
      this.auditEvent(paused ? 'paused' : 'resumed', {}, interactionId);
      this.emit('paused', { interactionId, paused });
    });
    source.on('interactionEnded', (ended) => this.emit('interactionEnded', ended));
    source.on('error', (error) => this.report(error));
  }
}
