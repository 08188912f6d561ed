import type { CallAttributes } from '../core/attributes/attributes.js';
import type { Clock } from '../core/clock.js';
import type { AuditFields, FrameSink, PauseEvent } from '../core/events.js';
import type { HealthCheck } from '../core/health.js';
import type { Logger } from '../core/logger.js';
import type { OrderedStreamIngest } from '../engine/input/ingest.js';

/** A source without events of its own. */
export type NoEvents = Record<never, never>;

/** The values that an event brings its listeners. */
export type EventValues<Event> = Event extends unknown[] ? Event : never;

/** All that a source sees of the node that it belongs to. */
export interface SourceContext<Events = NoEvents> {
  /** The way into the engine: streams are opened and packets pushed here. */
  readonly ingest: OrderedStreamIngest;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Use of the native module, as the engine has it. */
  readonly native: 'off' | 'auto' | 'require';
  /** Emits one of the source's own events on the node. */
  emit<Name extends keyof Events>(name: Name, ...values: EventValues<Events[Name]>): void;
  /**
   * Tells what is known of an interaction, before its stream is opened or while it is open. It replaces what the source
   * said before; telephone numbers and names are left out unless the node keeps them.
   */
  attributes(interactionId: string, attributes: CallAttributes): void;
  /** Emits the node's `paused` event. */
  paused(event: PauseEvent): void;
  /** Emits the node's `error` event, for what failed while the source goes on. */
  report(error: unknown): void;
  /** Writes an entry to every sink that keeps an audit. */
  audit(action: string, fields: AuditFields, interactionId?: string): void;
  /** What the node's sinks fail to do at the moment, such as writing recordings; for health checks. */
  problems(): readonly string[];
  /** Lets the source watch frames and silence, for as long as the node lives. */
  addSink(sink: FrameSink): void;
  /**
   * Resolves when the last frame of an interaction's stream has been delivered and every sink has kept it. Call it in the
   * same turn of the event loop in which the stream was ended.
   */
  streamFinished(interactionId: string): Promise<void>;
}

/** An interaction of a source. */
export interface SourceInteraction {
  readonly interactionId: string;
  /** `subscribing`: no packet has come yet; `interrupted`: its connection is lost, and is expected to come back. */
  readonly state: 'subscribing' | 'streaming' | 'interrupted';
}

/** What became of an interaction that a source was asked to capture. */
export interface AddedInteraction {
  readonly interactionId: string;
  /** Such as `available` or `notFound`; `unchecked` when the platform was not asked. */
  readonly availability: string;
}

/**
 * Brings packets into a node. Events that it declares in `Events` are emitted on the node, and typed there.
 *
 * The order of calls is start, drain, close; close may come at any time, even before start or while it runs. Nothing
 * that a peer sends may throw out of a source.
 */
export interface Source<Events = NoEvents, Status extends object = object> {
  /** Unique within a node; `stats().sources` has its status under this name. */
  readonly name: string;
  /** What it connects to, such as `genesys` or `audiohook`; default its name. */
  readonly kind?: string;
  /** Carries the types of its events; never set. */
  readonly eventTypes?: Events;
  /**
   * Connects or listens. Resolves when packets can arrive.
   * @throws TrunklineError CONFIG_INVALID, AUTH_FAILED, CONNECTION_FAILED, RATE_LIMITED; the node is closed then.
   */
  start(context: SourceContext<Events>): Promise<void>;
  /** Takes no new calls and lets those that run come to their end, for at most `deadlineMs` milliseconds. */
  drain(deadlineMs?: number): Promise<void>;
  /** Ends every stream that is left and gives up its sockets and timers. */
  close(): Promise<void>;
  /** What it does at this moment, with its counters; cheap enough to call every second. */
  status(): Status;
  /**
   * What it has refused or dropped since its start, by reason. The node logs the first of each, and has the numbers in
   * stats(), the metrics line and the summary.
   */
  refusals?(): Readonly<Record<string, number>>;
  /** What it knows of its own health, such as whether it is connected; part of the node's health(). */
  health?(): readonly HealthCheck[];
  /** Withholds an interaction's audio until resume(). False when the interaction is not this source's. */
  pause(interactionId: string): boolean;
  /** Undoes pause(). False when the interaction is not this source's. */
  resume(interactionId: string): boolean;
  /**
   * Ends the capture of an interaction in the way of its protocol; the call itself goes on. False when the interaction is
   * not this source's. Absent in a source that cannot end one.
   */
  end?(interactionId: string): boolean;
  /** The interactions that it captures or is about to capture; asked about once a second. */
  interactions?(): Iterable<SourceInteraction>;
  /**
   * Adds interactions while the node runs; absent in a source that calls come to by themselves.
   * @throws TrunklineError CONFIG_INVALID for an id that cannot be one, LIMIT_EXCEEDED, AUTH_FAILED.
   */
  subscribe?(interactionIds: readonly string[]): Promise<readonly AddedInteraction[]>;
  /** Resolves when nothing is left to capture and nothing more can come; absent in a source that is never done. */
  untilIdle?(): Promise<void>;
}

/** The events of several sources together. */
export type EventsOf<Sources> = (Sources extends Source<infer Events> ? (one: Events) => void : never) extends (
  all: infer All,
) => void
  ? All
  : never;
