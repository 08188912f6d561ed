import type { CallAttributes } from '../../../core/attributes/attributes.js';
import { US_PER_SECOND } from '../../../core/units.js';
import type { SelectedMedia } from '../protocol/media.js';
import type { PausedBy } from './session-pauses.js';
import type { TimeLineOutput } from './time-line.js';

/** What an `open` asks for. */
export interface OpenRequest {
  readonly organizationId: string;
  readonly conversationId: string;
  readonly participantId: string;
  readonly language: string | undefined;
  readonly media: SelectedMedia | undefined;
  /** A connection probe: null UUIDs as conversation and participant. Answered like a call, never recorded. */
  readonly probe: boolean;
  /** What `open` says of the call, the participant's numbers and name among it: the node keeps those only if it was told to. */
  readonly attributes: CallAttributes;
  /** Sessions that this one continues. */
  readonly continuedSessions: readonly { readonly id: string }[];
  /** Position of the client's own time line, in samples; above zero when it continues an earlier session. */
  readonly positionSamples: number;
}

export interface AcceptOptions {
  /** Begin with our own pause on. */
  readonly startPaused?: boolean;
  /** Ask the client to discard audio before this position. */
  readonly discardToSamples?: number;
  /** Listed in `opened` when the client asks for them. */
  readonly supportedLanguages?: readonly string[];
  /** Position on the stream's time line at which this session begins: after the audio of an earlier session. */
  readonly baseSamples?: number;
  /** When the stream began, if an earlier session began it. */
  readonly streamOpenedUs?: number;
}

/** Receives the output of a session, in order, while one of its methods runs. */
export interface SessionOutput extends TimeLineOutput {
  send(text: string): void;
  /** `open` arrived: call accept() or refuse() before returning; nothing may be awaited. */
  openRequested(request: OpenRequest): void;
  /** A pause of the client or of this server began or ended. */
  pauseChanged(by: PausedBy, paused: boolean): void;
  /** `close` arrived: end the stream, then call finished(), which answers `closed`. */
  finishRequested(): void;
  /** The client broke the protocol or a time limit; `info` was sent to it. */
  faulted(kind: SessionFault, info: string): void;
  /** The client did not close the connection in time: close it. */
  hangUp(): void;
}

export type SessionFault = 'protocol' | 'timeout' | 'unauthorized' | 'refused' | 'limit';

export interface SessionTiming {
  /** From the connection to `open`, microseconds like the others. Default: 10 s. */
  readonly openWaitUs: number;
  /** From `opened`, or a `ping`, to the next `ping`. Default: 30 s. */
  readonly pingWaitUs: number;
  /** From `disconnect` to `close`. Default: 5 s. */
  readonly closeWaitUs: number;
  /** From `close` to `closed`, even when the stream has not been finished. Default: 4 s. */
  readonly finishWaitUs: number;
  /** From `closed` to the end of the connection. Default: 5 s. */
  readonly hangUpWaitUs: number;
  /** Unsolicited messages; Genesys drops a connector that sends more than 5 to 10 a second. Default: 4 per second. */
  readonly messagesPerSecond: number;
  /** Unsolicited messages at once. Default: 4. */
  readonly messageBurst: number;
}

export const SESSION_TIMING: SessionTiming = {
  openWaitUs: 10 * US_PER_SECOND,
  pingWaitUs: 30 * US_PER_SECOND,
  closeWaitUs: 5 * US_PER_SECOND,
  finishWaitUs: 4 * US_PER_SECOND,
  hangUpWaitUs: 5 * US_PER_SECOND,
  messagesPerSecond: 4,
  messageBurst: 4,
};

export interface SessionIdentity {
  readonly sessionId: string;
  /** Of the request that was authenticated; `open` must name the same one. */
  readonly organizationId: string;
}
