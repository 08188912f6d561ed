import type { ArchiveUploads } from '../archive/upload/upload-report.js';
import type { AttributeChange, CallAttributes } from '../core/attributes/attributes.js';
import type { Clock } from '../core/clock.js';
import type { GuardedEmitter } from '../core/emitter.js';
import type { AuditFields, FrameSink, ReceptionCounts, StreamInfo } from '../core/events.js';
import type { HealthCheck, HealthReport } from '../core/health.js';
import type { EngineState } from '../engine/engine-state.js';
import type { NodeEvents } from '../sinks/events/event-sink.js';
import type { ListenOptions, ListenStream } from '../sinks/monitor/listen-stream.js';
import type { Sink } from '../sinks/sink.js';
import type { Source } from '../sources/source.js';
import type { NodeStats } from './node-stats.js';
import type { WarningLog } from './watch/warning-log.js';

/** The node as its services see it; an AudioNode is one. Its members are described there. */
export interface RunningNode extends GuardedEmitter<NodeEvents> {
  readonly sources: readonly Source[];
  streams(): StreamInfo[];
  streamCounts(interactionId: string): ReceptionCounts | undefined;
  stats(): NodeStats;
  health(): HealthReport;
  pause(interactionId: string): void;
  resume(interactionId: string): void;
  listen(interactionId: string, options?: ListenOptions): ListenStream;
  end(interactionId: string): void;
  setAttributes(interactionId: string, change: AttributeChange): CallAttributes;
  addSink(sink: Sink): Promise<void>;
  removeSink(sink: Sink): Promise<void>;
  reopen(): Promise<readonly unknown[]>;
  drain(deadlineMs?: number): Promise<void>;
  close(): Promise<void>;
}

/** All that a service sees of the node that it belongs to. */
export interface ServiceContext {
  readonly node: RunningNode;
  readonly clock: Clock;
  /** It keeps the newest warnings and errors that the node and its parts have logged. */
  readonly logger: WarningLog;
  /** Emits the node's `error` event, for what failed while the service goes on. */
  report(error: unknown): void;
  /** Writes an entry to every sink that keeps an audit. */
  audit(action: string, fields: AuditFields, interactionId?: string): void;
  /** The newest signed checkpoint of the node's audit; undefined without one. */
  auditCheckpoint(): string | undefined;
  /** Lets the service watch frames and silence, for as long as the node lives. */
  addSink(sink: FrameSink): void;
  /** Threads, rings and memory of the engine at the moment. Costs some microseconds a shard. */
  engineState(): EngineState;
}

/**
 * A part of a node that neither brings packets nor takes frames, such as control() or webhooks(). Services start before
 * the sources, so that they see everything from the first call on, and close when all else is closed.
 */
export interface Service {
  /** Unique within a node; `stats().services` has its counters under this name. */
  readonly name: string;
  /** Present in a service that wants finished recordings uploaded, such as s3Archive(). One of a node has it. */
  readonly uploads?: ArchiveUploads;
  /** Opens ports and files. The node does not start when it throws. */
  start(context: ServiceContext): Promise<void> | void;
  /** The node has begun to close: it takes no new calls from now on. */
  stopping?(): void;
  /** Gives up its ports and timers. May come at any time, even before start. */
  close(): Promise<void> | void;
  /** What it has counted; cheap enough to call every second. */
  stats?(): object;
  /**
   * What it has refused or dropped since its start, by reason. The node logs the first of each, and has the numbers in
   * stats(), the metrics line and the summary.
   */
  refusals?(): Readonly<Record<string, number>>;
  /** Takes over keys, tokens and certificates that were changed, and opens files again. See AudioNode.reopen(). */
  reopen?(): Promise<void> | void;
  /** What it knows of its own health; part of the node's health(). */
  health?(): readonly HealthCheck[];
}
