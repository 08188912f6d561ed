import type { AuthFailure } from '../protocol/signature.js';
import type { SessionCounts } from '../session/session-counts.js';
import type { AudioHookSessionInfo, AudioHookSessionSummary } from './connection-contract.js';

export type RejectionReason =
  | AuthFailure
  /** The TLS handshake failed: plain HTTP, say, or a client that does not trust our certificate. */
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
  /** As answered; absent where TLS came to no answer. */
  readonly status?: number;
  /** OpenSSL's or Node's, such as ERR_SSL_HTTP_REQUEST, of a TLS handshake. */
  readonly code?: string;
  /** When the request named them properly. */
  readonly sessionId?: string;
  readonly organizationId?: string;
  readonly remoteAddress?: string;
}

export interface AudioHookServerEvents {
  sessionOpened: [info: AudioHookSessionInfo];
  sessionEnded: [summary: AudioHookSessionSummary];
  /** A request that did not become a session. The reason is for the log; the client was told a status only. */
  rejected: [rejection: AudioHookRejection];
  /** A fault of our own that cost one session. */
  internalError: [message: string];
}

export interface AudioHookCounters {
  readonly sessionsLive: number;
  /** Streams that wait for a session to continue them. */
  readonly streamsHeld: number;
  readonly sessionsConnected: number;
  readonly sessionsOpened: number;
  readonly sessionsEnded: number;
  readonly probes: number;
  /** Sessions that continued the stream of an earlier one. */
  readonly continued: number;
  readonly slowReaders: number;
  /** Times that a client was made to wait because it sent too much too fast. */
  readonly throttled: number;
  /** Times that one was made to wait because there was no room for its audio. */
  readonly stalls: number;
  readonly internalErrors: number;
  readonly rejected: Readonly<Partial<Record<RejectionReason, number>>>;
  /** Of all sessions, ended and live. */
  readonly totals: SessionCounts;
}
