import { checkOptions, type NodeConfig, nodeSchema } from '../config/schema.js';
import { parseAttributeRule } from '../core/attributes/attribute-rule.js';
import type { Clock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { EngineOptions } from '../engine/options.js';
import { type AuditSinkOptions, audit } from '../sinks/audit/audit-sink.js';
import { type RecorderOptions, type RecorderSink, recorder } from '../sinks/recorder/recorder-sink.js';
import type { Sink } from '../sinks/sink.js';
import type { GenesysSubscriptionOptions } from '../sources/genesys/genesys-subscription.js';
import type { NodeOptions } from './options.js';
import type { Service } from './service.js';

/**
 * Settings of a preset: those of the command line, by the same names and with the same defaults, but for `record`, which
 * is false unless it is set: an embedded node records only when told to.
 */
export interface NodeSettings
  extends Omit<GenesysSubscriptionOptions, 'name' | 'clientId' | 'clientSecret'>,
    Omit<EngineOptions, 'clock'>,
    OutputSettings {
  /** OAuth client id, of a client with the client credentials grant. Needed by CaptureNode. */
  readonly clientId?: string | undefined;
  /** Its secret. Needed by CaptureNode. */
  readonly clientSecret?: string | undefined;
  /** Takes the node's log, in the manner of pino; default: nothing is logged. */
  readonly logger?: Logger;
  /** Closes the node when aborted. */
  readonly signal?: AbortSignal;
  /** Further sinks beside the recorder and the audit that the settings ask for; default none. */
  readonly sinks?: readonly Sink[];
  /** What works beside sources and sinks, such as control(); default none. */
  readonly services?: readonly Service[];
}

/** Which events, recordings and audit a preset makes. */
export interface OutputSettings {
  /** `mediaChunk` events for all silent frames as well; default false. */
  readonly includeSilent?: boolean | undefined;
  /** `mediaChunk` events for the silent frames of this time before speech begins, in milliseconds, 0 to 2,000; default 200. */
  readonly preRollMs?: number | undefined;
  /** `mediaChunk` events for the silent frames of this time after speech has ended; in milliseconds, 0 to 2,000; default 0. */
  readonly postRollMs?: number | undefined;
  /** `oneWayAudio` after the other side has spoken for so long, in seconds, 0 to 600; 0: never; default 10. */
  readonly oneWaySeconds?: number | undefined;
  /** Record every stream into `out`; default false. */
  readonly record?: boolean | undefined;
  /** Folder of the recordings and the audit; made when it is missing; default `capture`. */
  readonly out?: string | undefined;
  /**
   * Rules that set attributes of calls, such as `queue=Sales&direction=inbound:tag=vip`: where all comparisons before the
   * colon hold, what is behind it is set, and its tags are added; default none. `*` at the end of a value stands for the
   * rest of it, and a condition that is `*` alone holds for each call.
   */
  readonly attributeRules?: readonly string[] | undefined;
  /** Keep telephone numbers and names of callers, in recordings, events, webhooks and the API; default false. */
  readonly keepIdentities?: boolean | undefined;
  /** Folders within `out`, such as `{date}/{queue}/{interactionId}`: see recorder(); default `{interactionId}`. */
  readonly directoryTemplate?: string | undefined;
  /** What recordings are stored as; default `wav`. See recorder(). */
  readonly recordFormat?: 'wav' | 'flac' | 'opus' | undefined;
  /** Recordings are encrypted for these, each `age1…`; default: not encrypted. See recorder(). */
  readonly encryptTo?: readonly string[] | undefined;
  /** File with such recipients, one a line; default none. */
  readonly encryptToFile?: string | undefined;
  /** Days after its end that a recording is deleted, 1 to 36,525; default for ever. See recorder(). */
  readonly keepDays?: number | undefined;
  /** Rules such as `queue=Sales:days=30`; the first that matches a call decides; default none. */
  readonly retentionRules?: readonly string[] | undefined;
  /** What `audit.jsonl` contains: nothing, life-cycle events and spans, or every packet as well; default `spans`. */
  readonly audit?: 'off' | 'spans' | 'packets' | undefined;
  /** Interaction ids are replaced by their HMAC under this key in the audit, of at least 16 characters; default: not. */
  readonly auditKey?: string | undefined;
  /** File with the key that signs the audit, made when there is none; default outside the output folder: see audit(). */
  readonly auditSigningKey?: string | undefined;
  /** Size at which `audit.jsonl` is put aside and another one begins; default 1024, 0 for never. */
  readonly auditMaxMegabytes?: number | undefined;
  /** Another `audit.jsonl` with each day, by UTC; default false. */
  readonly auditDaily?: boolean | undefined;
}

/** Settings that have no default. */
export type SettingWithoutDefault =
  | 'clientId'
  | 'clientSecret'
  | 'apiUrl'
  | 'mediaUrl'
  | 'interactionsFile'
  | 'caFile'
  | 'auditKey'
  | 'encryptToFile'
  | 'keepDays'
  | 'auditSigningKey'
  | 'auditMaxMegabytes'
  | 'auditDaily';

/** The settings of a preset with every default. */
export type EffectiveSettings = {
  readonly [Name in Exclude<
    keyof NodeSettings,
    SettingWithoutDefault | 'logger' | 'signal' | 'sinks' | 'services' | 'holdMs' | 'holdWideMs'
  >]-?: NonNullable<NodeSettings[Name]>;
} & Pick<NodeSettings, SettingWithoutDefault>;

/** What a preset makes of its settings: the checked values, and the options of the node but for its sources. */
export interface NodeParts {
  readonly config: NodeConfig;
  readonly recorder: RecorderSink | undefined;
  readonly options: NodeOptions;
}

/** What the settings say of the audit. */
export function auditOptions(
  config: Pick<
    NodeConfig,
    'out' | 'fileMode' | 'region' | 'audit' | 'auditKey' | 'auditSigningKey' | 'auditMaxMegabytes' | 'auditDaily'
  >,
): AuditSinkOptions {
  const { out: directory, region, auditKey: idKey, auditSigningKey: signingKey } = config;
  return {
    directory,
    fileMode: Number.parseInt(config.fileMode, 8),
    region,
    perPacket: config.audit === 'packets',
    maxBytes: config.auditMaxMegabytes * 2 ** 20,
    daily: config.auditDaily,
    ...(idKey === undefined ? {} : { idKey }),
    ...(signingKey === undefined ? {} : { signingKey }),
  };
}

/** What the settings say of recordings. */
export function recorderOptions(
  config: Pick<
    NodeConfig,
    | 'out'
    | 'directoryTemplate'
    | 'recordFormat'
    | 'fileMode'
    | 'recordBufferMegabytes'
    | 'recordMinFreeMegabytes'
    | 'encryptTo'
    | 'encryptToFile'
    | 'keepDays'
    | 'retentionRules'
  >,
): RecorderOptions {
  const { out: directory, directoryTemplate, recordFormat: format, encryptTo, retentionRules } = config;
  const { encryptToFile, keepDays } = config;
  return {
    ...{ directory, directoryTemplate, format, encryptTo, retentionRules },
    fileMode: Number.parseInt(config.fileMode, 8),
    bufferMegabytes: config.recordBufferMegabytes,
    minFreeMegabytes: config.recordMinFreeMegabytes,
    ...(encryptToFile === undefined ? {} : { encryptToFile }),
    ...(keepDays === undefined ? {} : { keepDays }),
  };
}

/** @throws TrunklineError CONFIG_INVALID, naming each setting that cannot be right. */
export function partsOf(settings: NodeSettings, clock: Clock): NodeParts {
  const { logger, signal, sinks = [], services = [], ...values } = settings;
  const config = checkOptions(nodeSchema, { ...values, record: values.record ?? false });
  const recording = config.record ? recorder(recorderOptions(config)) : undefined;
  const auditing = config.audit === 'off' ? undefined : audit(auditOptions(config));
  return {
    config,
    recorder: recording,
    options: {
      services,
      sinks: [recording ?? [], auditing ?? [], sinks].flat(),
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
      clock,
      ...(logger && { logger }),
      ...(signal && { signal }),
    },
  };
}
