import type { BucketCounts } from '../../../core/statistics/buckets.js';
import type { AuthFailure } from '../protocol/signature.js';
import type { SessionCounts } from '../session/session-counts.js';
import type { ContinuationRefusal } from '../session/streams.js';
import type { AudioHookPauseChange, AudioHookSessionInfo, AudioHookSessionSummary } from './connection-contract.js';

export type RejectionReason =
  | AuthFailure
  /** The TLS handshake failed, for example because of plain HTTP or an untrusted certificate. */
  | 'tls'
  | 'path'
  | 'draining'
  /** Too many failed authentications from one remote address. */
  | 'addressFailures'
  /** Too many new sessions with one API key. */
  | 'handshakeRate'
  | 'identity'
  | 'sessionLimit'
  | 'organizationLimit'
  /** A session of that id is live, of another key or organization, or the request is not signed. */
  | 'sessionLive';

export interface AudioHookRejection {
  readonly reason: RejectionReason;
  /** HTTP status of the answer; absent for a failed TLS handshake. */
  readonly status?: number;
  /** Error code of a failed TLS handshake, such as ERR_SSL_HTTP_REQUEST. */
  readonly code?: string;
  /** Of a signature that does not match: the authority and the path that were checked, and those that arrived. */
  readonly detail?: string;
  /** Present when the request had valid headers. */
  readonly sessionId?: string;
  readonly organizationId?: string;
  readonly remoteAddress?: string;
}

/** The first occurrence of something that was refused or dropped; a counter tells the number of them. */
export interface AudioHookWarning {
  readonly reason: string;
  readonly message: string;
  readonly sessionId?: string;
  readonly detail?: string;
}

export interface AudioHookHealth {
  readonly status: 'ok' | 'draining' | 'failing';
  readonly sessions: number;
  /** What is failing. */
  readonly problems?: readonly string[];
}

export interface AudioHookServerEvents {
  sessionOpened: [info: AudioHookSessionInfo];
  sessionEnded: [summary: AudioHookSessionSummary];
  pauseChanged: [change: AudioHookPauseChange];
  /** A request that was refused. The reason is for the log; the client received a status only. */
  rejected: [rejection: AudioHookRejection];
  warning: [warning: AudioHookWarning];
  /** An internal error that ended one session. */
  internalError: [message: string];
}

export interface AudioHookCounters {
  readonly sessionsLive: number;
  /** Streams that wait for a session to continue them. */
  readonly streamsDetached: number;
  readonly sessionsConnected: number;
  readonly sessionsOpened: number;
  /** From the acceptance of the client's request to our `opened`. */
  readonly openedSeconds: BucketCounts;
  readonly sessionsEnded: number;
  readonly probes: number;
  /** Sessions that continued the stream of an earlier one. */
  readonly continued: number;
  /** Sessions that were refused the stream that they named. */
  readonly continuationsRefused: Readonly<Partial<Record<ContinuationRefusal, number>>>;
  /** Sessions whose client connected again before the loss of its connection was detected. */
  readonly takenOver: number;
  readonly slowReaders: number;
  /** How often a client was throttled because it sent too fast. */
  readonly throttled: number;
  /** How often a client's socket was not read because the engine had no capacity for its audio. */
  readonly stalls: number;
  /** Samples, of all channels, that arrived after the engine had ended the stream. */
  readonly samplesDropped: number;
  readonly internalErrors: number;
  /** Nonces that could not be written to the nonce file. */
  readonly nonceFileErrors: number;
  readonly rejected: Readonly<Partial<Record<RejectionReason, number>>>;
  /** Of all sessions, ended and live. */
  readonly totals: SessionCounts;
}
