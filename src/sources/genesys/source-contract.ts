import type { CallAttributes } from '../../core/attributes/attributes.js';
import type { Clock } from '../../core/clock.js';
import type { Codec } from '../../core/codec.js';
import type { TrunklineError } from '../../core/errors.js';
import type { EndReason } from '../../core/events.js';
import type { Refusal } from './counters.js';
import type { DiscoveryStatus } from './discovery/discovery.js';
import type { PausedBy } from './interaction/transitions.js';
import type { ConnectionSettings, ConnectionState } from './media/connection-outputs.js';
import type { SocketReader } from './protocol/socket-reader.js';
import { DEFAULT_CODEC_PREFERENCES } from './protocol/wire.js';
import type { Availability } from './rest/conversations.js';
import type { EndpointSettings } from './rest/region.js';
import type { Random, RetryPolicy } from './rest/retry.js';
import type { TransportSettings } from './rest/transport.js';

export interface SourceOptions extends EndpointSettings, TransportSettings {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly codecPreferences?: readonly Codec[];
  /** What Opus decodes to; default 48000, which keeps all there is. */
  readonly opusSampleRate?: number;
  /** At most 50, which is the default; fewer cost less when one connection is lost. */
  readonly interactionsPerConnection?: number;
  /** Connections among which interactions are spread even when fewer would carry them; default 1. */
  readonly leastConnections?: number;
  /** Queues and users whose calls are found and followed by themselves. */
  readonly queues?: readonly string[];
  readonly users?: readonly string[];
  /** Between two comparisons of the calls followed with REST; default 5 minutes. */
  readonly reconcileUs?: number;
  /**
   * Whether REST is asked before an interaction is subscribed to. `budgeted`, the default, asks while the request
   * budget allows it at once, and beyond that lets the media server say what it has: 2,000 calls asked for at the
   * platform's rate would wait eight minutes.
   */
  readonly availabilityCheck?: 'always' | 'budgeted' | 'never';
  readonly retry?: RetryPolicy;
  readonly mediaRetry?: RetryPolicy;
  readonly pingUs?: number;
  readonly handshakeUs?: number;
  /** Fills the batch of the same engine; without it, packets are read in JavaScript. */
  readonly socketReader?: SocketReader;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface SourceEvents {
  /** The platform has said what a call is. */
  described: [interactionId: string, attributes: CallAttributes];
  connected: [{ readonly connection: number; readonly interactions: number; readonly again: boolean }];
  disconnected: [
    { readonly connection: number; readonly interactions: number; readonly code: number; readonly reason: string },
  ];
  /** A pong has come. */
  heartbeat: [{ readonly connection: number }];
  /** A connection has used up its attempts; its streams have ended with `lost`. */
  maxReconnectReached: [{ readonly connection: number; readonly attempts: number }];
  interactionEnded: [{ readonly interactionId: string; readonly reason: EndReason; readonly detail: string }];
  /**
   * `by` has paused an interaction, or has resumed it: the operator (`pause`), or the platform (its secure pause). Audio
   * is withheld while either pause is on.
   */
  paused: [{ readonly interactionId: string; readonly paused: boolean; readonly by: PausedBy }];
  /** A channel by which calls of queues and users are found delivers from now on, or no longer. */
  notifications: [{ readonly listening: boolean; readonly reason: string }];
  /** Something was refused for the first time; further refusals of its kind are only counted (`counters`). */
  refused: [Refusal];
  /** No interaction is left. */
  idle: [];
  /** Something failed that the source goes on from, or that ended what `interactionEnded` names. */
  error: [TrunklineError];
}

export interface SubscriptionResult {
  readonly interactionId: string;
  /** `unchecked`: REST was not asked, or could not tell. Only `expired` and `notFound` are not subscribed to. */
  readonly availability: Availability | 'unchecked';
}

export interface ConnectionStatus {
  readonly connection: number;
  readonly state: ConnectionState;
  readonly interactions: number;
  /** Of its interactions, those whose stream is open. */
  readonly streams: number;
  readonly attempts: number;
  readonly lastError: string;
}

/** Why a media connection ended: names of RFC 6455 section 7.4.1; `other` for codes that servers seldom use. */
export type DisconnectCause =
  | 'normal'
  | 'goingAway'
  | 'protocolError'
  | 'abnormal'
  | 'policyViolation'
  | 'messageTooBig'
  | 'internalError'
  | 'serviceRestart'
  | 'tryAgainLater'
  | 'unauthorized'
  | 'other';

/** By close code. */
export const DISCONNECT_CAUSES: Readonly<Record<number, Exclude<DisconnectCause, 'other'>>> = {
  1000: 'normal',
  1001: 'goingAway',
  1002: 'protocolError',
  1006: 'abnormal',
  1008: 'policyViolation',
  1009: 'messageTooBig',
  1011: 'internalError',
  1012: 'serviceRestart',
  1013: 'tryAgainLater',
  3000: 'unauthorized',
};

export function noDisconnects(): Record<DisconnectCause, number> {
  const causes = Object.values(DISCONNECT_CAUSES).map((cause) => [cause, 0] as const);
  return { ...(Object.fromEntries(causes) as Record<Exclude<DisconnectCause, 'other'>, number>), other: 0 };
}

export interface SourceStatus {
  readonly connections: readonly ConnectionStatus[];
  readonly interactions: number;
  /** Interactions whose audio is withheld. */
  readonly paused: number;
  /** Absent when no queue and no user is followed. */
  readonly discovery?: DiscoveryStatus;
  /** Media connections that were open and were lost or closed, by the cause that their close code gives. */
  readonly disconnects: Readonly<Record<DisconnectCause, number>>;
  readonly signIns: { readonly succeeded: number; readonly failed: number };
  /** Requests to the REST API since the start, how many more may be made at once, and how many at the most. */
  readonly requests: { readonly taken: number; readonly left: number; readonly most: number };
  /** Since the sign-in; undefined before it. */
  readonly tokenAgeMs: number | undefined;
}

/** What connections need of the options. */
export function connectionSettings(options: SourceOptions): ConnectionSettings {
  const { random = Math.random, codecPreferences = DEFAULT_CODEC_PREFERENCES, retry, pingUs, handshakeUs } = options;
  return { random, codecPreferences, retry, pingUs, handshakeUs };
}
