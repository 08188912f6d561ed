import type { AttributeRule } from '../core/attributes/attribute-rule.js';
import type { Clock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { RollOptions } from '../core/media/speech-chunks.js';
import type { EngineOptions } from '../engine/options.js';
import type { Sink } from '../sinks/sink.js';
import type { Source } from '../sources/source.js';
import type { Service } from './service.js';

/** Options of the engine that a node runs; see EngineOptions for each. */
export type NodeEngineOptions = Pick<
  EngineOptions,
  | 'shards'
  | 'maxStreams'
  | 'playoutDelay'
  | 'playoutDelayMs'
  | 'minPlayoutDelayMs'
  | 'maxPlayoutDelayMs'
  | 'silenceDetector'
  | 'silenceThreshold'
  | 'silenceWindowMs'
  | 'native'
>;

export interface NodeOptions<Sources extends readonly Source[] = readonly Source[]> extends RollOptions {
  /** What brings packets, such as genesysSubscription() and audioHook(); default none. */
  readonly sources?: Sources;
  /** What keeps frames, such as recorder() and audit(); default none: nothing is written. More can be added later. */
  readonly sinks?: readonly Sink[];
  /** What else belongs to the node, such as control(); default none. They start before the sources and close last. */
  readonly services?: readonly Service[];
  /** Threads, jitter buffer, silence detection. */
  readonly engine?: NodeEngineOptions;
  /** `mediaChunk` events for all silent frames as well; default false. */
  readonly includeSilent?: boolean;
  /**
   * `oneWayAudio` when a channel has had no packets, or digital silence, while the other one spoke for this long; in seconds,
   * 0 to 600, 0 for never; default 10.
   */
  readonly oneWaySeconds?: number;
  /**
   * Set attributes of the calls that meet a condition, in this order, each time that something new is known of a call; made
   * by parseAttributeRule(); default none.
   */
  readonly attributeRules?: readonly AttributeRule[];
  /** Keep telephone numbers and names of callers in `attributes.identities`; default false: they end in the source. */
  readonly keepIdentities?: boolean;
  /** Takes the node's log, in the manner of pino; default: nothing is logged. */
  readonly logger?: Logger;
  /** Closes the node when aborted. */
  readonly signal?: AbortSignal;
  /** Default: the system's. A ManualClock runs a node in virtual time, for tests. */
  readonly clock?: Clock;
}

export interface StartOptions {
  /** Gives up the start when aborted: the node is closed, and start() rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface WaitOptions {
  /** Ends the waiting when aborted, by a rejection with the signal's reason. */
  readonly signal?: AbortSignal;
}
