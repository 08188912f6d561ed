import type { Clock } from '../../../core/clock.js';
import type { EndReason } from '../../../core/events.js';
import type { MediaChannel } from '../protocol/media.js';
import type { CloseReason } from '../protocol/wire.js';
import type { OpenRequest, SessionFault, SessionTiming } from '../session/session-contract.js';
import type { SessionCounts } from '../session/session-counts.js';
import type { AudioHookSource } from '../source.js';
import type { AudioHookConnection } from './connection.js';

/** Who connected, from the headers of the request that was authenticated. */
export interface ConnectionIdentity {
  /** In lower case. */
  readonly sessionId: string;
  readonly organizationId: string;
  readonly correlationId: string;
}

/** An open session, for events, logs and audit. Nothing in it names a person or a telephone number. */
export interface AudioHookSessionInfo extends ConnectionIdentity {
  readonly conversationId: string;
  readonly participantId: string;
  /** What the engine calls the stream; absent when there is none: a probe, or no medium that we take. */
  readonly interactionId?: string;
  readonly media?: { readonly format: string; readonly rate: number; readonly channels: readonly MediaChannel[] };
  readonly probe: boolean;
  /** The stream was begun by an earlier session. */
  readonly continued: boolean;
  /** Wall clock, milliseconds since 1970. */
  readonly openedAtMs: number;
}

export interface AudioHookSessionSummary
  extends Partial<Omit<AudioHookSessionInfo, keyof ConnectionIdentity>>,
    ConnectionIdentity {
  readonly connectedAtMs: number;
  readonly endedAtMs: number;
  readonly endReason: EndReason;
  /** What the client's `close` said, if there was one. */
  readonly closeReason?: CloseReason;
  /** Why we ended it. */
  readonly fault?: { readonly kind: SessionFault | 'slowReader' | 'internal'; readonly info: string };
  /** Length of the time line at its end, samples of one channel. */
  readonly positionSamples: number;
  /** Samples, of all channels, that came after the engine had ended the stream by itself. */
  readonly droppedSamples: number;
  /** Times that the client was made to wait because it sent too much too fast. */
  readonly throttled: number;
  /** Times that it was made to wait because there was no room for its audio. */
  readonly stalls: number;
  /** As the client measured it last. */
  readonly rttSeconds?: number;
  readonly language?: string;
  readonly counts: Readonly<SessionCounts>;
}

/** What a connection needs of its server. */
export interface ConnectionDependencies {
  readonly clock: Clock;
  readonly source: AudioHookSource;
  readonly timing: SessionTiming;
  readonly inbound: { readonly messagesPerSecond: number; readonly burst: number };
  readonly outboundBytes: number;
  readonly lossWindowUs: number;
  readonly reconnectWindowUs: number;
  readonly supportedLanguages: readonly string[];
  readonly draining: boolean;
  startPaused(request: OpenRequest): boolean;
  discardToSeconds(request: OpenRequest): number;
  /** Resolves when the stream's files are finished; undefined when there is nothing to wait for. */
  finishStream: ((interactionId: string) => Promise<void>) | undefined;
  opened(connection: AudioHookConnection, info: AudioHookSessionInfo): void;
  ended(connection: AudioHookConnection, summary: AudioHookSessionSummary): void;
  internalError(message: string): void;
}
