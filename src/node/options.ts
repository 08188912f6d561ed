import type { Clock } from '../core/clock.js';
import type { Logger } from '../core/logger.js';
import type { EngineCounters } from '../engine/engine.js';
import type { EngineOptions } from '../engine/options.js';
import type { MetricsSnapshot } from '../sinks/metrics/metrics.js';
import type { Sink, SinkStats } from '../sinks/sink.js';
import type { Source } from '../sources/source.js';
import type { OutcomeCounts } from './streams/outcomes.js';
import type { Refusals } from './watch/refusals.js';

/** Options of the engine that a node runs; see EngineOptions for each. */
export type NodeEngineOptions = Pick<
  EngineOptions,
  'shards' | 'maxStreams' | 'playoutDelayMs' | 'maxPlayoutDelayMs' | 'silenceThreshold' | 'silenceWindowMs' | 'native'
>;

export interface NodeOptions<Sources extends readonly Source[] = readonly Source[]> {
  /** What brings packets, such as genesysSubscription() and audioHook(); default none. */
  readonly sources?: Sources;
  /** What keeps frames, such as recorder() and audit(); default none: nothing is written. More can be added later. */
  readonly sinks?: readonly Sink[];
  /** Threads, jitter buffer, silence detection. */
  readonly engine?: NodeEngineOptions;
  /** `mediaChunk` events for silent frames as well; default false. */
  readonly includeSilent?: boolean;
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

/** Everything that a node counts, at one moment. */
export interface NodeStats extends MetricsSnapshot {
  readonly backend: 'js' | 'native';
  /** Decoding threads. */
  readonly shards: number;
  readonly engine: EngineCounters;
  /** What became of the streams that sources have opened. */
  readonly outcomes: OutcomeCounts;
  /** The status of each source by its name. */
  readonly sources: Readonly<Record<string, object>>;
  /** What was refused or dropped, by `part.reason` such as `genesys.malformed`; only what occurred. */
  readonly refused: Refusals;
  /** The counters of each sink that has some, by its name. */
  readonly sinks: Readonly<Record<string, SinkStats>>;
}
