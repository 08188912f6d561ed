import type { Clock } from '../../../core/clock.js';
import type { AudioHookKey } from '../protocol/signature.js';
import type { OpenRequest, SessionTiming } from '../session/session-contract.js';
import type { CertifiedKey } from './certificate.js';

export interface AudioHookLimits {
  /** From the connection to the last byte of the request's headers, and of the TLS handshake. */
  readonly headerMs: number;
  /** One WebSocket message; text is refused above 64 KiB in any case, by the protocol's own means. */
  readonly messageBytes: number;
  readonly sessions: number;
  readonly sessionsPerOrganization: number;
  /** New sessions a second in the long run; twice as many at once. */
  readonly handshakesPerSecond: number;
  /** Messages (or 2 KiB of audio) a second that one client may send in the long run, and at once. */
  readonly messagesPerSecond: number;
  readonly messageBurst: number;
  /** What may wait to be sent to one client. */
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
  /** What clients sign as `@authority` when a proxy in between rewrites Host. */
  readonly authority?: string;
  /** Without it the server speaks plain HTTP, for loopback or behind a TLS terminator. */
  readonly tls?: CertifiedKey;
  readonly limits?: Partial<AudioHookLimits>;
  readonly timing?: Partial<SessionTiming>;
  /** Failed authentications are answered this long after the request. */
  readonly refusalDelayMs?: number;
  /** How long the stream of a connection that broke waits for a session to continue it. */
  readonly lossWindowMs?: number;
  /** The same after a `close` with reason reconnect. */
  readonly reconnectWindowMs?: number;
  readonly supportedLanguages?: readonly string[];
  /** Begin with our own pause on: always, or as the function says of a call. */
  readonly startPaused?: boolean | ((request: OpenRequest) => boolean);
  /** Ask clients to throw away what they hold of a call from before this position of it, in seconds. */
  readonly discardToSeconds?: number | ((request: OpenRequest) => number);
  /** Waited for between the end of a stream and `closed`, for at most 4 s: lets recordings be finished first. */
  readonly finishStream?: (interactionId: string) => Promise<void>;
  readonly clock?: Clock;
}
