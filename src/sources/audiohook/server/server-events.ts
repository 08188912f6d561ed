import type { AuthFailure } from '../protocol/signature.js';
import type { SessionCounts } from '../session/session-counts.js';
import type { AudioHookSessionInfo, AudioHookSessionSummary } from './connection-contract.js';

export type RejectionReason =
  | AuthFailure
  /** The TLS handshake failed, for example because of plain HTTP or an untrusted certificate. */
  | 'tls'
  | 'path'
  | 'draining'
  | 'handshakeRate'
  | 'identity'
  | 'sessionLimit'
  | 'organizationLimit'
  | 'sessionLive';

export interface AudioHookRejection {
  readonly reason: RejectionReason;
  /** HTTP status of the answer; absent for a failed TLS handshake. */
  readonly status?: number;
  /** Error code of a failed TLS handshake, such as ERR_SSL_HTTP_REQUEST. */
  readonly code?: string;
  /** Present when the request had valid headers. */
  readonly sessionId?: string;
  readonly organizationId?: string;
  readonly remoteAddress?: string;
}

export interface AudioHookServerEvents {
  sessionOpened: [info: AudioHookSessionInfo];
  sessionEnded: [summary: AudioHookSessionSummary];
  /** A request that was refused. The reason is for the log; the client received a status only. */
  rejected: [rejection: AudioHookRejection];
  /** An internal error that ended one session. */
  internalError: [message: string];
}

export interface AudioHookCounters {
  readonly sessionsLive: number;
  /** Streams that wait for a session to continue them. */
  readonly streamsDetached: number;
  readonly sessionsConnected: number;
  readonly sessionsOpened: number;
  readonly sessionsEnded: number;
  readonly probes: number;
  /** Sessions that continued the stream of an earlier one. */
  readonly continued: number;
  readonly slowReaders: number;
  /** How often a client was throttled because it sent too fast. */
  readonly throttled: number;
  /** How often a client's socket was not read because the engine had no capacity for its audio. */
  readonly stalls: number;
  readonly internalErrors: number;
  readonly rejected: Readonly<Partial<Record<RejectionReason, number>>>;
  /** Of all sessions, ended and live. */
  readonly totals: SessionCounts;
}
