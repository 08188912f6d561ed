import type { TrunklineError } from '../../../core/errors.js';
import type { Interaction } from '../interaction/interaction.js';
import type { SubscriptionOptions } from '../protocol/wire.js';
import type { Random, RetryPolicy } from '../rest/retry.js';

export interface ConnectionSettings extends SubscriptionOptions {
  readonly random: Random;
  readonly retry?: RetryPolicy | undefined;
  /** Between pings; default 30 s. */
  readonly pingUs?: number | undefined;
  /** Default 10 s. */
  readonly handshakeUs?: number | undefined;
  /** How long the server may take to confirm an unsubscription, and then a close; default 1 s. */
  readonly partingUs?: number | undefined;
}

export type ConnectionState =
  /** New, or without anything to do. */
  | 'idle'
  /** The token is being fetched. */
  | 'authorizing'
  /** The handshake is under way. */
  | 'dialing'
  | 'open'
  /** Until the next attempt. */
  | 'waiting'
  /** Waits for the socket to report that it is closed. */
  | 'closing'
  | 'closed';

/** Why an attempt to connect failed, as far as the socket knows. */
export interface DialFailure {
  /** HTTP status, when there was an answer that is no upgrade. */
  readonly status?: number | undefined;
  readonly retryAfterUs?: number | undefined;
  /** A sentence. */
  readonly message: string;
}

/** What the driver has to do, and what has happened, in order. */
export type ConnectionOutput =
  /** Get a token, a new one if `renewToken`; then call `dialing` and open a socket, or call `unauthorized`. */
  | { readonly kind: 'connect'; readonly renewToken: boolean }
  | { readonly kind: 'send'; readonly text: string }
  | { readonly kind: 'ping' }
  | { readonly kind: 'close'; readonly code: number }
  | { readonly kind: 'terminate' }
  /** Ask REST whether it has media; then call `available`. */
  | { readonly kind: 'ask'; readonly interaction: Interaction }
  | { readonly kind: 'connected'; readonly again: boolean }
  | { readonly kind: 'disconnected'; readonly code: number; readonly reason: string }
  | { readonly kind: 'heartbeat' }
  | { readonly kind: 'exhausted'; readonly attempts: number }
  | { readonly kind: 'error'; readonly error: TrunklineError }
  /** The interaction has ended and is no longer on this connection. */
  | { readonly kind: 'ended'; readonly interaction: Interaction }
  | { readonly kind: 'closed' };
