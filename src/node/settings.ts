import { checkOptions, type FormerOptions, type NodeConfig, nodeSchema } from '../config/schema.js';
import type { Clock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import { audit } from '../sinks/audit/audit-sink.js';
import { type RecorderSink, recorder } from '../sinks/recorder/recorder-sink.js';
import type { Sink } from '../sinks/sink.js';
import type { NodeOptions } from './options.js';

/**
 * Settings of a preset: those of the command line, by the same names and with the same defaults, but for `record`, which
 * is false unless it is set: an embedded node records only when told to.
 */
export interface NodeSettings extends Partial<NodeConfig>, FormerOptions {
  /** Takes the node's log, in the manner of pino; default: nothing is logged. */
  readonly logger?: Logger;
  /** Closes the node when aborted. */
  readonly signal?: AbortSignal;
  /** Further sinks beside the recorder and the audit that the settings ask for. */
  readonly sinks?: readonly Sink[];
}

/** What a preset makes of its settings: the checked values, and the options of the node but for its sources. */
export interface NodeParts {
  readonly config: NodeConfig;
  readonly recorder: RecorderSink | undefined;
  readonly options: NodeOptions;
}

/** @throws TrunklineError CONFIG_INVALID, naming each setting that cannot be right. */
export function partsOf(settings: NodeSettings, clock: Clock): NodeParts {
  const { logger, signal, sinks = [], ...values } = settings;
  const config = checkOptions(nodeSchema, { ...values, record: values.record ?? false });
  const { out: directory, region, auditKey } = config;
  const recording = config.record ? recorder({ directory }) : undefined;
  const auditing =
    config.audit === 'off'
      ? undefined
      : audit({
          directory,
          region,
          perPacket: config.audit === 'packets',
          ...(auditKey === undefined ? {} : { idKey: auditKey }),
        });
  return {
    config,
    recorder: recording,
    options: {
      sinks: [recording ?? [], auditing ?? [], sinks].flat(),
      engine: {
        shards: config.shards,
        maxStreams: config.maxStreams,
        playoutDelayMs: config.playoutDelayMs,
        maxPlayoutDelayMs: config.maxPlayoutDelayMs,
        silenceThreshold: config.silenceThreshold,
        silenceWindowMs: config.silenceWindowMs,
        native: config.native,
      },
      includeSilent: config.includeSilent,
      clock,
      ...(logger && { logger }),
      ...(signal && { signal }),
    },
  };
}
