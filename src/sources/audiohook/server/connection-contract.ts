import type { Clock } from '../../../core/clock.js';
import type { EndReason } from '../../../core/events.js';
import type { MediaChannel } from '../protocol/media.js';
import type { CloseReason } from '../protocol/wire.js';
import type { OpenRequest, SessionFault, SessionTiming } from '../session/session-contract.js';
import type { SessionCounts } from '../session/session-counts.js';
import type { PausedBy } from '../session/session-pauses.js';
import type { StreamOwner } from '../session/stream.js';
import type { AudioHookStreams } from '../session/streams.js';

/** The client, from the headers of the authenticated request. */
export interface ConnectionIdentity {
  /** In lower case. */
  readonly sessionId: string;
  readonly organizationId: string;
  readonly correlationId: string;
}

/** An open session, for events, logs and audit. Contains no personal name and no telephone number. */
export interface AudioHookSessionInfo extends ConnectionIdentity {
  readonly conversationId: string;
  readonly participantId: string;
  /** The id of the stream in the engine; absent for a probe and for a session without an acceptable medium. */
  readonly interactionId?: string;
  readonly media?: { readonly format: string; readonly rate: number; readonly channels: readonly MediaChannel[] };
  readonly probe: boolean;
  /** The session continues the stream of an earlier one. */
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
  /** The reason in the client's `close`, if it sent one. */
  readonly closeReason?: CloseReason;
  /** Why we ended it. */
  readonly fault?: {
    /** `superseded`: the client connected again before the loss of this connection was detected. */
    readonly kind: SessionFault | 'slowReader' | 'superseded' | 'internal';
    readonly info: string;
  };
  /** Length of the time line at its end, samples of one channel. */
  readonly positionSamples: number;
  /** Samples, of all channels, that arrived after the engine had ended the stream. */
  readonly droppedSamples: number;
  /** How often the client was throttled because it sent too fast. */
  readonly throttled: number;
  /** How often its socket was not read because the engine had no capacity for its audio. */
  readonly stalls: number;
  /** Round trip, last measurement of the client. */
  readonly rttSeconds?: number;
  readonly language?: string;
  readonly counts: Readonly<SessionCounts>;
}

/** A pause of a session began or ended. */
export interface AudioHookPauseChange {
  readonly sessionId: string;
  readonly interactionId: string;
  /** The client, for a secure pause, or this server. */
  readonly by: PausedBy;
  /** Whether that pause is active now. */
  readonly paused: boolean;
  /** Audio is withheld now: by this pause, or by the other one. */
  readonly withheld: boolean;
  /** Where on the stream's time line, samples of one channel. */
  readonly positionSamples: number;
}

/** What a connection needs from its server. */
export interface ConnectionDependencies {
  readonly clock: Clock;
  readonly streams: AudioHookStreams;
  readonly timing: SessionTiming;
  readonly inbound: { readonly messagesPerSecond: number; readonly burst: number };
  readonly outboundBytes: number;
  readonly messageBytes: number;
  readonly audioByWs: boolean;
  readonly lossWindowUs: number;
  readonly reconnectWindowUs: number;
  readonly supportedLanguages: readonly string[];
  readonly draining: boolean;
  startPaused(request: OpenRequest): boolean;
  discardToSeconds(request: OpenRequest): number;
  /** Resolves when the stream's files are finished; undefined when there is nothing to wait for. */
  finishStream: ((interactionId: string) => Promise<void>) | undefined;
  /** `opened` has been sent, so many seconds after the client's request was accepted. */
  opened(info: AudioHookSessionInfo, seconds: number): void;
  ended(connection: StreamOwner, summary: AudioHookSessionSummary): void;
  pauseChanged(change: AudioHookPauseChange): void;
  internalError(message: string): void;
}
