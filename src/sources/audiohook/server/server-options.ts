import type { Clock } from '../../../core/clock.js';
import type { AudioHookKey } from '../protocol/signature.js';
import type { OpenRequest, SessionTiming } from '../session/session-contract.js';
import type { CertifiedKey } from './certificate.js';

export interface AudioHookLimits {
  /** Time limit for the TLS handshake and for the headers of a request. */
  readonly headerMs: number;
  /** Size of one WebSocket message. Text above 64 KiB is answered with `disconnect` in any case. */
  readonly messageBytes: number;
  readonly sessions: number;
  readonly sessionsPerOrganization: number;
  /** New sessions a second in the long run; twice as many at once. */
  readonly handshakesPerSecond: number;
  /** Messages (or 2 KiB of audio) a second that one client may send in the long run, and at once. */
  readonly messagesPerSecond: number;
  readonly messageBurst: number;
  /** Bytes that may wait to be sent to one client. */
  readonly outboundBytes: number;
}

export const AUDIOHOOK_LIMITS: AudioHookLimits = {
  headerMs: 5_000,
  messageBytes: 1 << 20,
  sessions: 8_192,
  sessionsPerOrganization: 8_192,
  handshakesPerSecond: 1_000,
  messagesPerSecond: 500,
  messageBurst: 4_096,
  outboundBytes: 1 << 18,
};

export interface AudioHookServerOptions {
  /** 0 takes any free port. */
  readonly port: number;
  /** All interfaces when absent. */
  readonly host?: string;
  /** `/audiohook/ws` when absent. */
  readonly path?: string;
  readonly keys: readonly AudioHookKey[];
  readonly allowUnsigned?: boolean;
  /** The `@authority` that clients sign, when a proxy rewrites Host. */
  readonly authority?: string;
  /** Without it the server uses plain HTTP, for loopback or behind a TLS terminator. */
  readonly tls?: CertifiedKey;
  readonly limits?: Partial<AudioHookLimits>;
  readonly timing?: Partial<SessionTiming>;
  /** Delay of the answer to a failed authentication. */
  readonly refusalDelayMs?: number;
  /** How long the stream of a lost connection waits for a session to continue it. */
  readonly lossWindowMs?: number;
  /** The same after a `close` with reason reconnect. */
  readonly reconnectWindowMs?: number;
  readonly supportedLanguages?: readonly string[];
  /** Begin sessions with our own pause: all of them, or those for which the function returns true. */
  readonly startPaused?: boolean | ((request: OpenRequest) => boolean);
  /** Ask clients to discard buffered audio from before this position of the call, in seconds. */
  readonly discardToSeconds?: number | ((request: OpenRequest) => number);
  /** Awaited between the end of a stream and `closed`, for at most 4 s, so that recordings are finished first. */
  readonly finishStream?: (interactionId: string) => Promise<void>;
  readonly clock?: Clock;
}
