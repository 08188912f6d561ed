import type { Config } from '../../config/schema.js';
import { TrunklineError } from '../../core/errors.js';
import type { Logger } from '../../core/logger.js';
import type {
  AudioHook,
  AudioHookEvents,
  AudioNodeOf,
  Control,
  GenesysEvents,
  GenesysSubscriptionOptions,
  Sink,
} from '../../index.js';
import { archiveOptions } from '../archive-options.js';
import { audioHookOptions } from '../audiohook-options.js';
import { type ControlCommand, controlOptions } from '../control-options.js';
import { webhookOptions } from '../webhook-options.js';

export type SourceName = 'genesys' | 'audiohook';

/** A node with the sources and sinks that the settings ask for. */
export interface ComposedNode {
  /** It emits the events of the sources that it has. */
  readonly node: AudioNodeOf<GenesysEvents & AudioHookEvents>;
  /** Its AudioHook server. */
  readonly hook: AudioHook | undefined;
  /** Its control server. */
  readonly control: Control | undefined;
}

/** What composeNode() needs beside the settings. */
export interface CompositionDependencies extends ControlCommand {
  /** The node's log. */
  readonly logger: Logger & { level: string };
}

/**
 * Makes a node from settings, without starting it.
 *
 * @param names The sources that it is to have.
 * @throws TrunklineError CONFIG_INVALID
 */
export async function composeNode(
  config: Config,
  names: readonly SourceName[],
  dependencies: CompositionDependencies,
): Promise<ComposedNode> {
  // Before anything is loaded, which takes longer.
  const serverOptions = names.includes('audiohook') ? audioHookOptions(config) : undefined;
  const operations = controlOptions(config, dependencies);
  const notifications = webhookOptions(config);
  const upload = archiveOptions(config);
  const {
    AudioNode,
    audioHook,
    audit,
    control,
    genesysSubscription,
    parseAttributeRule,
    recorder,
    s3Archive,
    webhooks,
  } = await import('../../index.js');
  const { auditOptions, recorderOptions } = await import('../../node/settings.js');
  const hook =
    serverOptions &&
    audioHook({
      ...serverOptions,
      silenceEvents: config.audiohookSilenceEvents,
      drainMs: drainMs(config.drainSeconds),
    });
  const subscription = names.includes('genesys') ? genesysSubscription(subscriptionOptions(config)) : undefined;
  const sinks: Sink[] = config.record ? [recorder(recorderOptions(config))] : [];
  if (config.audit !== 'off') sinks.push(audit(auditOptions(config)));
  const service = operations && control(operations);
  const node = new AudioNode({
    sources: [subscription ?? [], hook ?? []].flat(),
    sinks,
    services: [
      notifications === undefined ? [] : webhooks(notifications),
      upload === undefined ? [] : s3Archive(upload),
      service ?? [],
    ].flat(),
    engine: {
      shards: config.shards,
      maxStreams: config.maxStreams,
      playoutDelay: config.playoutDelay,
      playoutDelayMs: config.playoutDelayMs,
      minPlayoutDelayMs: config.minPlayoutDelayMs,
      maxPlayoutDelayMs: config.maxPlayoutDelayMs,
      silenceDetector: config.silenceDetector,
      silenceThreshold: config.silenceThreshold,
      silenceWindowMs: config.silenceWindowMs,
      native: config.native,
    },
    attributeRules: config.attributeRules.map(parseAttributeRule),
    keepIdentities: config.keepIdentities,
    includeSilent: config.includeSilent,
    preRollMs: config.preRollMs,
    postRollMs: config.postRollMs,
    oneWaySeconds: config.oneWaySeconds,
    logger: dependencies.logger,
  });
  return { node: node as ComposedNode['node'], hook, control: service };
}

/** Clients are asked to close a little before the end of the drain time, so that they can do it within it. */
export function drainMs(seconds: number): number {
  return Math.max(seconds * 750, seconds * 1000 - 500);
}

/** The sources that the settings ask for. @throws TrunklineError CONFIG_INVALID when there is none. */
export function sourcesOf(config: Config): SourceName[] {
  const names: SourceName[] = [];
  if (hasInteractions(config)) names.push('genesys');
  if (config.audiohookPort !== undefined) names.push('audiohook');
  if (names.length > 0) return names;
  throw new TrunklineError('CONFIG_INVALID', `${NOTHING_TO_CAPTURE} To serve AudioHook, give --audiohook-port.`);
}

/** @throws TrunklineError CONFIG_INVALID when the settings name no interactions, queues or users. */
export function requireInteractions(config: Config): void {
  if (!hasInteractions(config)) throw new TrunklineError('CONFIG_INVALID', NOTHING_TO_CAPTURE);
}

const NOTHING_TO_CAPTURE =
  'There is nothing to capture: give interactions with --interactions or TARGET_INTERACTIONS, a file of them with ' +
  '--interactions-file, or queues and users whose calls to follow with --queue and --user.';

function hasInteractions({ interactions, queues, users, interactionsFile }: Config): boolean {
  return interactions.length + queues.length + users.length > 0 || interactionsFile !== undefined;
}

function subscriptionOptions(config: Config): GenesysSubscriptionOptions {
  const { clientId = '', clientSecret = '', apiUrl, mediaUrl, interactionsFile, caFile } = config;
  const { region, interactions, queues, users, codecs, opusSampleRate } = config;
  const { interactionsPerConnection, leastConnections, reconnectAttempts, heartbeatSeconds, insecureTls } = config;
  return {
    ...{ clientId, clientSecret, region, interactions, queues, users, codecs, opusSampleRate },
    ...{ interactionsPerConnection, leastConnections, reconnectAttempts, heartbeatSeconds, insecureTls },
    ...(apiUrl === undefined ? {} : { apiUrl }),
    ...(mediaUrl === undefined ? {} : { mediaUrl }),
    ...(interactionsFile === undefined ? {} : { interactionsFile }),
    ...(caFile === undefined ? {} : { caFile }),
  };
}
