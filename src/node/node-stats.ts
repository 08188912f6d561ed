import type { ArchiveStats } from '../archive/archive.js';
import type { EngineCounters } from '../engine/engine.js';
import type { MetricsSnapshot } from '../sinks/metrics/metrics.js';
import type { SinkStats } from '../sinks/sink.js';
import type { OutcomeCounts } from './streams/outcomes.js';
import type { Refusals } from './watch/refusals.js';

/** Everything that a node counts, at one moment. */
export interface NodeStats extends MetricsSnapshot {
  readonly backend: 'js' | 'native';
  /** Decoding threads. */
  readonly shards: number;
  readonly engine: EngineCounters;
  /** What became of the streams that sources have opened. */
  readonly outcomes: OutcomeCounts;
  /** How often one side of a call had no signal while the other one spoke; see NodeOptions.oneWaySeconds. */
  readonly oneWayAudio: number;
  /** Sides of calls that have no signal at the moment, while the other side has spoken for that long. */
  readonly oneWayAudioNow: number;
  /** The status of each source by its name. */
  readonly sources: Readonly<Record<string, object>>;
  /** What was done with finished recordings; absent without a recorder() with an audit(), a retention or an upload. */
  readonly archive?: ArchiveStats;
  /** What was refused or dropped, by `part.reason` such as `genesys.malformed`; only what occurred. */
  readonly refused: Refusals;
  /** The counters of each sink that has some, by its name. */
  readonly sinks: Readonly<Record<string, SinkStats>>;
  /** The counters of each service that has some, by its name. */
  readonly services: Readonly<Record<string, object>>;
}
