import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { genesysSettings } from '../../config/genesys-settings.js';
import { parseOptions } from '../../config/options.js';
import { type Clock, systemClock } from '../../core/clock.js';
import type { Codec } from '../../core/codec.js';
import { TrunklineError } from '../../core/errors.js';
import type { EndReason } from '../../core/events.js';
import type { HealthCheck } from '../../core/health.js';
import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import { nativeSocketReader } from '../../native/socket-reader.js';
import type { Source, SourceContext, SourceInteraction } from '../source.js';
import { type SourceCounters, zeroCounters } from './counters.js';
import { InteractionsFile } from './discovery/interactions-file.js';
import { subscriptionChecks } from './health.js';
import { idKey } from './interaction-table.js';
import { resolveEndpoints } from './rest/region.js';
import { RETRY } from './rest/retry.js';
import { Transport } from './rest/transport.js';
import { type SourceOptions, type SourceStatus, type SubscriptionResult, SubscriptionSource } from './source.js';
import { noDisconnects } from './source-contract.js';

/** Events that a Genesys Cloud subscription adds to its node. */
export interface GenesysEvents {
  /** A media connection is open, for the first time or again; connections are numbered from 0. */
  connected: [event: { readonly connection: number; readonly interactions: number; readonly again: boolean }];
  /** A media connection was lost or closed. It reconnects on its own, with its interactions. */
  disconnected: [
    event: {
      readonly code: number;
      readonly reason: string;
      readonly connection: number;
      readonly interactions: number;
    },
  ];
  /** A channel that reports the calls of queues and users is open, or lost; it reconnects on its own. */
  notifications: [event: { readonly listening: boolean; readonly reason: string }];
  /** A media connection answered a ping. */
  heartbeat: [event: { readonly connection: number }];
  /** A media connection is given up; its streams end with reason `lost`. */
  maxReconnectReached: [event: { readonly connection: number; readonly attempts: number }];
  /** An interaction is no longer captured, whether or not a stream of it was opened. */
  interactionEnded: [event: { readonly interactionId: string; readonly reason: EndReason; readonly detail: string }];
}

export interface GenesysSubscriptionOptions {
  /** Name of the source in the node; default `genesys`. Two subscriptions in one node need two names. */
  readonly name?: string | undefined;
  /** OAuth client id, of a client with the client credentials grant. */
  readonly clientId: string;
  /** OAuth client secret. */
  readonly clientSecret: string;
  /** Genesys Cloud region, such as `eu-central-1`, or its domain, such as `mypurecloud.de`; default `us-east-1`. */
  readonly region?: string | undefined;
  /** Address of the REST API and the sign-in, `http:` or `https:`; default: that of the region. */
  readonly apiUrl?: string | undefined;
  /** Address of the media WebSocket, `ws:` or `wss:`; default: that of the region. */
  readonly mediaUrl?: string | undefined;
  /** Ids of the interactions to capture from the start; default none. */
  readonly interactions?: readonly string[] | undefined;
  /** File of interaction ids, one a line; watched, so that ids come and go while the node runs. */
  readonly interactionsFile?: string | undefined;
  /** Ids of queues whose calls are captured as they come and go, at most 20,000; default none. */
  readonly queues?: readonly string[] | undefined;
  /** Ids of users whose calls are captured as they come and go, at most 20,000; default none. */
  readonly users?: readonly string[] | undefined;
  /** Codecs to ask for, the preferred one first; default `['opus', 'pcmu']`. */
  readonly codecs?: readonly Codec[] | undefined;
  /** Samples a second that Opus is decoded to: 8000, 12000, 16000, 24000 or 48000; default 16000. */
  readonly opusSampleRate?: number | undefined;
  /** Most interactions on one media connection, 1 to 50; default 50. */
  readonly interactionsPerConnection?: number | undefined;
  /** Media connections among which interactions are spread, even when fewer would do, 1 to 400; default 4. */
  readonly leastConnections?: number | undefined;
  /** Attempts to reconnect a lost media connection before its streams end, 1 to 1000; default 5. */
  readonly reconnectAttempts?: number | undefined;
  /** Seconds between two pings, 0.1 to 300; default 30. A connection that has not answered one by the next is dead. */
  readonly heartbeatSeconds?: number | undefined;
  /** PEM file of certificates to trust beside the usual ones, such as that of a proxy. */
  readonly caFile?: string | undefined;
  /** Continue although NODE_TLS_REJECT_UNAUTHORIZED=0 has switched off the verification of certificates; default false. */
  readonly insecureTls?: boolean | undefined;
}

/** Connections with their state, what is followed, and the counters of packets and messages that were refused. */
export interface GenesysStatus extends SourceStatus {
  readonly counters: SourceCounters;
}

const DRAIN_LOOK_MS = 50;

const NOT_STARTED: SourceStatus = {
  connections: [],
  interactions: 0,
  paused: 0,
  disconnects: noDisconnects(),
  signIns: { succeeded: 0, failed: 0 },
  requests: { taken: 0, left: 0, most: 0 },
  tokenAgeMs: undefined,
};

const schema = z.strictObject({
  ...genesysSettings,
  name: z.string().min(1).default('genesys'),
  clientId: genesysSettings.clientId.unwrap(),
  clientSecret: genesysSettings.clientSecret.unwrap(),
});
type Options = z.output<typeof schema>;

/** Subscribes to interactions at Genesys Cloud. Made by genesysSubscription(). */
export class GenesysSubscription implements Source<GenesysEvents, GenesysStatus> {
  readonly name: string;
  readonly kind = 'genesys';
  readonly eventTypes?: GenesysEvents;
  readonly #options: Options;
  /** By idKey. */
  readonly #configured: ReadonlyMap<string, string>;
  #context: SourceContext<GenesysEvents> | undefined;
  #source: SubscriptionSource | undefined;
  #file: InteractionsFile | undefined;
  #isIdle = false;
  #isClosed = false;

  /** @throws TrunklineError CONFIG_INVALID for a region, an address or a proxy that cannot be right. */
  constructor(given: GenesysSubscriptionOptions) {
    if (!given.clientId || !given.clientSecret) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        'clientId and clientSecret are missing: set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET to those of an OAuth ' +
          'client with the client credentials grant.',
      );
    }
    const options = parseOptions('genesysSubscription()', schema, given);
    new Transport(options).webSocketOptions(resolveEndpoints(sourceOptions(options, systemClock)).mediaUrl);
    this.name = options.name;
    this.#options = options;
    this.#configured = new Map(options.interactions.map((id) => [idKey(id), id]));
  }

  /**
   * Signs in and subscribes to the configured interactions. Resolves when each is on its way.
   * @throws TrunklineError AUTH_FAILED, CONNECTION_FAILED, RATE_LIMITED.
   */
  async start(context: SourceContext<GenesysEvents>): Promise<void> {
    if (this.#isClosed) throw closed();
    const { ingest, clock, native } = context;
    const socketReader = native === 'off' ? undefined : nativeSocketReader(ingest.batch);
    const source = new SubscriptionSource(ingest, {
      ...sourceOptions(this.#options, clock),
      ...(socketReader && { socketReader }),
    });
    this.#context = context;
    this.#source = source;
    this.#forwardEvents(source, context);
    await source.start();
    await this.subscribe([...this.#configured.values()]);
    this.#followFile(context);
  }

  /**
   * Adds interactions while the node runs. Resolves when each has been checked and put on a connection, which is before
   * its media arrives.
   * @throws TrunklineError ENGINE_CLOSED before start() and after close(), CONFIG_INVALID for an id that cannot be one,
   *   LIMIT_EXCEEDED, AUTH_FAILED.
   */
  async subscribe(interactionIds: readonly string[]): Promise<SubscriptionResult[]> {
    if (this.#source === undefined) throw closed();
    this.#isIdle = false;
    return await this.#source.subscribe(interactionIds);
  }

  /** Removes interactions; their streams end with reason `unsubscribed`. */
  unsubscribe(interactionIds: readonly string[]): void {
    this.#source?.unsubscribe(interactionIds);
  }

  pause(interactionId: string): boolean {
    return this.#source?.pause(interactionId) ?? false;
  }

  resume(interactionId: string): boolean {
    return this.#source?.resume(interactionId) ?? false;
  }

  /** The same as unsubscribe() of one interaction. The call itself goes on. False when it is not subscribed to. */
  end(interactionId: string): boolean {
    if (this.#source?.has(interactionId) !== true) return false;
    this.#source.unsubscribe([interactionId]);
    return true;
  }

  *interactions(): IterableIterator<SourceInteraction> {
    yield* this.#source?.interactions() ?? [];
  }

  status(): GenesysStatus {
    return { ...(this.#source?.status() ?? NOT_STARTED), counters: this.#source?.counters() ?? zeroCounters() };
  }

  refusals(): Readonly<Record<string, number>> {
    const { messages: _, reconnects: __, ...refused } = this.#source?.counters() ?? zeroCounters();
    return refused;
  }

  health(): readonly HealthCheck[] {
    return subscriptionChecks(this.name, this.status());
  }

  /** Never resolves while queues, users or a file are followed: more calls may come. */
  untilIdle(): Promise<void> {
    const { queues, users, interactionsFile } = this.#options;
    const source = this.#source;
    if (queues.length + users.length > 0 || interactionsFile !== undefined) return new Promise(() => {});
    if (this.#isIdle || source === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      source.once('idle', () => resolve());
    });
  }

  /**
   * Follows no new calls from now on, and waits until those that run have ended, for at most `deadlineMs` milliseconds;
   * default 0: calls may take hours, and close() unsubscribes.
   */
  async drain(deadlineMs = 0): Promise<void> {
    const { clock } = this.#context ?? {};
    this.#file?.close();
    this.#source?.takeNoMore();
    const untilUs = (clock?.nowUs() ?? 0) + deadlineMs * US_PER_MS;
    while (clock !== undefined && (this.#source?.status().interactions ?? 0) > 0 && clock.nowUs() < untilUs) {
      await sleep(DRAIN_LOOK_MS);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#file?.close();
    await this.#source?.stop();
  }

  #followFile(context: SourceContext<GenesysEvents>): void {
    const { interactionsFile } = this.#options;
    if (interactionsFile === undefined || this.#isClosed) return;
    this.#file = new InteractionsFile(interactionsFile, {
      changed: (added, removed) => this.#fileChanged(added, removed),
      failed: (error) => context.report(error),
    });
    this.#file.start();
  }

  #fileChanged(added: readonly string[], removed: readonly string[]): void {
    this.unsubscribe(removed.filter((id) => !this.#configured.has(idKey(id))));
    // One id that is refused must not keep the others out.
    for (const id of added) this.subscribe([id]).catch((error: unknown) => this.#context?.report(error));
  }

  #forwardEvents(source: SubscriptionSource, context: SourceContext<GenesysEvents>): void {
    const { logger: log } = context;
    source.on('idle', () => {
      this.#isIdle = true;
    });
    source.on('connected', (event) => {
      const { connection, interactions, again } = event;
      log.info({ connection, interactions }, again ? 'media connection open again' : 'media connection open');
      context.audit(again ? 'reconnected' : 'connected', { connection });
      context.emit('connected', event);
    });
    source.on('disconnected', (event) => {
      const { connection, code, reason } = event;
      // 1000 is a close that both sides wanted.
      if (code === 1000) log.info({ connection }, 'media connection closed');
      else log.warn(event, 'media connection lost');
      context.audit('disconnected', { connection, code, reason });
      context.emit('disconnected', event);
    });
    source.on('notifications', (event) => {
      if (event.listening) log.info('notification channel open');
      else
        log.warn(
          { reason: event.reason },
          'notification channel lost; it is opened again, and calls are compared with REST then',
        );
      context.emit('notifications', event);
    });
    source.on('heartbeat', (event) => context.emit('heartbeat', event));
    source.on('maxReconnectReached', (event) => {
      const { connection, attempts } = event;
      log.error(event, 'a media connection could not be opened again; its streams are lost');
      context.audit('max_reconnect_reached', { connection, attempt: attempts });
      context.emit('maxReconnectReached', event);
    });
    source.on('refused', ({ kind, what, interactionId }) => {
      const fields = interactionId === '' ? { counter: kind } : { counter: kind, interactionId };
      // The node warns of the counter; this says what it was.
      log.info(fields, `first refused: ${what}`);
    });
    source.on('described', (interactionId, attributes) => context.attributes(interactionId, attributes));
    source.on('paused', (event) => context.paused(event));
    source.on('interactionEnded', (event) => {
      const { interactionId, reason, detail } = event;
      const fields = { interactionId, reason, ...(detail === '' ? {} : { detail }) };
      if (reason === 'lost' || reason === 'mediaNotAvailable' || reason === 'error') {
        log.warn(fields, 'call given up');
        // It may never have had a stream, and then nothing else in the audit names it.
        context.audit('interaction_given_up', { reason, detail }, interactionId);
      } else log.debug(fields, 'interaction ended');
      context.emit('interactionEnded', event);
    });
    source.on('error', (error) => context.report(error));
  }
}

/**
 * A source that subscribes to interactions at Genesys Cloud, reconnects, and ends each stream when its call ends.
 *
 * @example
 * const calls = genesysSubscription({ clientId, clientSecret, region: 'eu-central-1', queues: [queueId] });
 * const node = await createNode({ sources: [calls] });
 * node.on('disconnected', ({ connection, code }) => …);
 *
 * @throws TrunklineError CONFIG_INVALID for options that cannot be right.
 */
export function genesysSubscription(options: GenesysSubscriptionOptions): GenesysSubscription {
  return new GenesysSubscription(options);
}

function sourceOptions(options: Options, clock: Clock): SourceOptions {
  const { name: _name, codecs, reconnectAttempts, heartbeatSeconds, interactions, interactionsFile, ...rest } = options;
  const { apiUrl, mediaUrl, caFile, ...settings } = rest;
  return {
    ...settings,
    codecPreferences: codecs,
    retry: { ...RETRY, maxAttempts: reconnectAttempts },
    pingUs: heartbeatSeconds * US_PER_SECOND,
    clock,
    ...(caFile === undefined ? {} : { caFile }),
    ...(apiUrl === undefined ? {} : { apiUrl }),
    ...(mediaUrl === undefined ? {} : { mediaUrl }),
  };
}

function closed(): TrunklineError {
  return new TrunklineError('ENGINE_CLOSED', 'This subscription is not running; start its node, or make another.');
}
