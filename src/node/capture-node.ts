import type { NodeConfig } from '../config/schema.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { NodeEvents } from '../sinks/events/event-sink.js';
import type { RecorderSink } from '../sinks/recorder/recorder-sink.js';
import type { RepairReport } from '../sinks/recorder/repair.js';
import type { SinkStats } from '../sinks/sink.js';
import type { SourceCounters } from '../sources/genesys/counters.js';
import {
  type GenesysEvents,
  type GenesysStatus,
  type GenesysSubscription,
  genesysSubscription,
} from '../sources/genesys/genesys-subscription.js';
import type { SubscriptionResult } from '../sources/genesys/source.js';
import { AudioNode } from './audio-node.js';
import type { StartOptions } from './options.js';
import { type EffectiveSettings, type NodeSettings, partsOf } from './settings.js';
import { type NodeSummary, summaryOf } from './summary.js';
import type { AudioNodeClass } from './typed-events.js';

/** Connections with their state, streams, attempts and last error, the age of the token, and what is followed. */
export type CaptureStatus = GenesysStatus;

/** All events of a capture node. */
export interface CaptureNodeEvents extends NodeEvents, GenesysEvents {}

/**
 * A node that subscribes to interactions at Genesys Cloud: createNode() with a genesysSubscription(), and a recorder() and
 * an audit() as its settings ask for them.
 *
 * @example
 * const node = new CaptureNode({ clientId, clientSecret, region: 'eu-central-1', interactions: [id] });
 * node.on('mediaChunk', ({ payload, metadata }) => analyse(metadata.interactionId, payload));
 * await node.start();
 */
export class CaptureNode extends (AudioNode as AudioNodeClass<GenesysEvents>) {
  /** The settings with every default. */
  readonly config: EffectiveSettings;
  readonly #calls: GenesysSubscription;
  readonly #recorder: RecorderSink | undefined;

  /** @throws TrunklineError CONFIG_INVALID for settings that cannot be right, missing credentials among them. */
  constructor(settings: NodeSettings, clock: Clock = systemClock) {
    const { config, recorder, options } = partsOf(settings, clock);
    const calls = genesysSubscription(subscriptionOptions(config));
    super({ ...options, sources: [calls] });
    this.config = config;
    this.#calls = calls;
    this.#recorder = recorder;
  }

  /**
   * Starts the threads, signs in and subscribes to the configured interactions. Resolves when each is on its way; its
   * `streamOpened` says that media can arrive.
   *
   * @throws TrunklineError AUTH_FAILED, CONNECTION_FAILED, RATE_LIMITED, FILE_FAILED, ENGINE_FAILED; the node is
   *   closed then. ENGINE_CLOSED when it has been closed before.
   */
  override async start(options: StartOptions = {}): Promise<void> {
    await super.start(options);
  }

  /**
   * What was repaired of the recordings that an earlier process left unfinished, once that is done; it begins with
   * start(), which does not wait for it. Undefined when nothing is recorded.
   */
  async repaired(): Promise<RepairReport | undefined> {
    return this.#recorder?.repaired();
  }

  /** Adds interactions while the node runs. */
  subscribe(interactionIds: readonly string[]): Promise<SubscriptionResult[]> {
    return this.#calls.subscribe(interactionIds);
  }

  /** Removes interactions; their streams end with reason `unsubscribed`. */
  unsubscribe(interactionIds: readonly string[]): void {
    this.#calls.unsubscribe(interactionIds);
  }

  status(): CaptureStatus {
    return this.#calls.status();
  }

  summary(): NodeSummary {
    return summaryOf(this.stats(), this.config.out);
  }

  /** @deprecated Use status().counters. */
  sourceCounters(): SourceCounters {
    return this.#calls.status().counters;
  }

  /** What the recorder has counted; undefined when nothing is recorded. @deprecated Use stats().sinks.recorder. */
  recorderCounters(): SinkStats | undefined {
    return this.#recorder?.stats();
  }
}

function subscriptionOptions(config: NodeConfig): Parameters<typeof genesysSubscription>[0] {
  const { clientId = '', clientSecret = '', region, apiUrl, mediaUrl, interactionsFile, caFile } = config;
  return {
    clientId,
    clientSecret,
    region,
    interactions: config.interactions,
    queues: config.queues,
    users: config.users,
    codecs: config.codecs,
    opusSampleRate: config.opusSampleRate,
    interactionsPerConnection: config.interactionsPerConnection,
    leastConnections: config.leastConnections,
    reconnectAttempts: config.reconnectAttempts,
    heartbeatSeconds: config.heartbeatSeconds,
    insecureTls: config.insecureTls,
    ...(apiUrl === undefined ? {} : { apiUrl }),
    ...(mediaUrl === undefined ? {} : { mediaUrl }),
    ...(interactionsFile === undefined ? {} : { interactionsFile }),
    ...(caFile === undefined ? {} : { caFile }),
  };
}
