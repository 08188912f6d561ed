import type { EndReason } from '../../../core/events.js';
import type { Interleaved } from '../protocol/deinterleave.js';
import {
  type ClientMessage,
  type CloseReason,
  type DisconnectReason,
  type EventEntity,
  parseClientMessage,
} from '../protocol/wire.js';
import { entityText } from './event-queue.js';
import { SessionContext, type SessionState } from './session-context.js';
import {
  type AcceptOptions,
  type OpenRequest,
  SESSION_TIMING,
  type SessionFault,
  type SessionIdentity,
  type SessionOutput,
  type SessionTiming,
} from './session-contract.js';
import type { SessionCounts } from './session-counts.js';
import { audio, finished } from './session-handlers.js';
import { dispatch, SESSION_TABLE } from './session-table.js';

/**
 * One AudioHook session, server side, without I/O or clock. No input makes it throw, every request gets one answer,
 * and its messages are numbered without a gap. session-table.ts says what is allowed in which state.
 */
export class AudioHookSession {
  readonly #context: SessionContext;

  constructor(identity: SessionIdentity, output: SessionOutput, nowUs: number, timing: SessionTiming = SESSION_TIMING) {
    this.#context = new SessionContext(identity, output, nowUs, timing);
  }

  get counts(): SessionCounts {
    return this.#context.counts;
  }

  get state(): SessionState {
    return this.#context.state;
  }

  /** Audio is withheld by a pause, the client's or ours. */
  get isPaused(): boolean {
    return this.#context.audio.pauses.active;
  }

  /** Samples of one channel from the start of the stream, discarded ones included. */
  get positionSamples(): number {
    return this.#context.audio.positionSamples;
  }

  get request(): OpenRequest | undefined {
    return this.#context.request;
  }

  get language(): string | undefined {
    return this.#context.language;
  }

  get closeReason(): CloseReason | undefined {
    return this.#context.closeReason;
  }

  /** Round trip as measured by the client, seconds; −1 before its first measurement. */
  get rttSeconds(): number {
    return this.#context.rttSeconds;
  }

  /** Why the stream ended, or would if it ended now. */
  get endReason(): EndReason {
    return this.#context.endReason ?? 'lost';
  }

  // ---- Input -----------------------------------------------------------------------------------------------------

  text(bytes: Uint8Array, nowUs: number): void {
    const context = this.#context;
    context.counts.messagesReceived += 1;
    const message = parseClientMessage(bytes);
    if (message.type === 'fault') {
      if (message.seq !== undefined) context.sender.clientseq = message.seq;
      context.fault('protocol', message.info, nowUs);
      return;
    }
    context.counts.unknownFields += message.unknownFields;
    if (inSequence(context, message, nowUs)) dispatch(context, message, nowUs);
  }

  binary(bytes: Uint8Array, nowUs: number): void {
    const context = this.#context;
    const { counts } = context;
    counts.framesReceived += 1;
    counts.bytesReceived += bytes.length;
    if (bytes.length === 0) counts.emptyFrames += 1;
    else SESSION_TABLE[context.state].binary(context, bytes, nowUs);
  }

  /**
   * As binary(), for a frame of `length` bytes that may be masked. False, and nothing done, when it must come by binary().
   */
  wholeBinary(samples: Interleaved, length: number, nowUs: number): boolean {
    const context = this.#context;
    if (SESSION_TABLE[context.state].binary !== audio) return false;
    const verdict = context.audio.wholeFrame(samples, length, nowUs);
    if (verdict === undefined) return false;
    context.counts.framesReceived += 1;
    context.counts.bytesReceived += length;
    context.accepts(verdict, nowUs);
    return true;
  }

  /** The client's socket is not being read, so that a ping or a `close` of its cannot be seen: those timers restart. */
  restartTimers(nowUs: number): void {
    const context = this.#context;
    context.lastPingUs = nowUs;
    if (context.state === 'ENDING') context.sinceUs = nowUs;
  }

  /** The server did not run for `byUs`, and has not read yet what the client sent meanwhile: every time limit moves. */
  extendTimers(byUs: number, nowUs: number): void {
    const context = this.#context;
    context.lastPingUs = Math.min(nowUs, context.lastPingUs + byUs);
    context.sinceUs = Math.min(nowUs, context.sinceUs + byUs);
  }

  /** The connection is closed, by either side. */
  transportClosed(nowUs: number): void {
    const context = this.#context;
    if (context.isOpen || context.state === 'ENDING') context.audio.end(undefined, nowUs);
    if (context.state !== 'CLOSED') context.output.flush();
    context.state = 'CLOSED';
    context.sender.dropPending();
  }

  /** Checks the time limits. Call it every few hundred milliseconds. */
  tick(nowUs: number): void {
    const context = this.#context;
    SESSION_TABLE[context.state].tick(context, nowUs);
  }

  // ---- What the embedder decides ---------------------------------------------------------------------------------

  /** Answers `open` with `opened`. Only from within openRequested(). */
  accept(options: AcceptOptions, nowUs: number): void {
    const context = this.#context;
    const { audio, request, sender } = context;
    if (context.state !== 'OPENING') return;
    if (options.startPaused === true) audio.setOwnPause(true, nowUs);
    context.lastPingUs = nowUs;
    const parameters = audio.begin(request, options, nowUs);
    if (context.asksLanguages) parameters.supportedLanguages = options.supportedLanguages ?? [];
    context.enter('ACTIVE', nowUs);
    sender.send('opened', parameters);
  }

  /** Answers `open` with `disconnect`. Only from within openRequested(). */
  refuse(reason: DisconnectReason, info: string, nowUs: number, fault: SessionFault = 'refused'): void {
    const context = this.#context;
    if (context.state === 'OPENING') context.fault(fault, info, nowUs, reason);
  }

  /** The stream is finished, after finishRequested(): answers `closed`. */
  finished(nowUs: number): void {
    finished(this.#context, nowUs);
  }

  /**
   * Begins our own pause, which is independent of the client's: audio that arrives from now on is not kept, whether or
   * not the client has received our request yet. Each call asks the client again, within the rate limit.
   */
  pause(nowUs: number): void {
    this.#context.audio.setOwnPause(true, nowUs);
    this.#requestControl('pause', nowUs);
  }

  /** Ends our own pause. Audio flows once the client's pause is over as well. */
  resume(nowUs: number): void {
    this.#context.audio.setOwnPause(false, nowUs);
    this.#requestControl('resume', nowUs);
  }

  /**
   * Queues entities for an `event`. False when the session is not open or the queue is full; none of the entities is
   * queued then.
   * @throws TrunklineError CONFIG_INVALID when an entity is not JSON or is too large.
   */
  sendEvent(entities: readonly EventEntity[], nowUs: number): boolean {
    const context = this.#context;
    const texts = entities.map(entityText);
    if (!context.isOpen || !context.sender.queue.addEntities(texts)) {
      context.counts.entitiesRefused += texts.length;
      return false;
    }
    context.flushUnsolicited(nowUs);
    return true;
  }

  /** Asks the client to connect again elsewhere. */
  requestReconnect(info: string | undefined, nowUs: number): void {
    this.#context.sender.queue.requestReconnect(info);
    this.#context.flushUnsolicited(nowUs);
  }

  /** Asks the client to close; audio in flight is still taken. Not sent before the first `pong`. */
  disconnect(reason: 'completed' | 'error', info: string | undefined, nowUs: number): void {
    const context = this.#context;
    if (context.state === 'CONNECTED' || context.state === 'OPENING') {
      context.fault('refused', info ?? 'Disconnected', nowUs, reason);
      return;
    }
    context.sender.pendingDisconnect = info === undefined ? { reason } : { reason, info };
    context.flushUnsolicited(nowUs);
  }

  #requestControl(control: 'pause' | 'resume', nowUs: number): void {
    const context = this.#context;
    if (!context.isOpen) return;
    context.sender.queue.requestControl(control);
    context.flushUnsolicited(nowUs);
  }
}

/** Checks the sequence numbers and the id of a message; a violation faults the session. */
function inSequence(context: SessionContext, message: ClientMessage, nowUs: number): boolean {
  const { sender, state } = context;
  const expected = sender.clientseq + 1;
  sender.clientseq = message.seq;
  // The session is over already; the client may still close it in good order.
  if (state === 'FAULTED' || state === 'CLOSING') return true;
  if (message.seq !== expected) return context.fault('protocol', 'Sequence number out of step', nowUs);
  if (message.serverseq > sender.seq) return context.fault('protocol', 'serverseq of a message never sent', nowUs);
  if (message.id.toLowerCase() !== context.identity.sessionId.toLowerCase()) {
    return context.fault('protocol', 'Session id does not match', nowUs);
  }
  return true;
}
