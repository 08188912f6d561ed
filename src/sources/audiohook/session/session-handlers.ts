import type { EndReason } from '../../../core/events.js';
import { openAttributes } from '../protocol/call-attributes.js';
import { durationSamples, durationSeconds } from '../protocol/duration.js';
import { type ClientMessageOf, type CloseReason, NULL_UUID } from '../protocol/wire.js';
import type { SessionContext } from './session-context.js';

/**
 * The handlers of session-table.ts: what a session does with one message, one binary frame, or the passing of time.
 */
const END_REASON: Readonly<Record<CloseReason, EndReason>> = {
  end: 'ended',
  disconnect: 'stopped',
  error: 'error',
  reconnect: 'interrupted',
};

// ---- Messages -----------------------------------------------------------------------------------------------------

export function open(session: SessionContext, message: ClientMessageOf<'open'>, nowUs: number): void {
  const { parameters, position } = message;
  session.enter('OPENING', nowUs);
  session.sender.id = message.id;
  if (parameters.organizationId.toLowerCase() !== session.identity.organizationId.toLowerCase()) {
    session.fault('unauthorized', 'Organization id does not match', nowUs, 'unauthorized');
    return;
  }
  const media = session.audio.choose(parameters.media);
  session.asksLanguages = parameters.supportedLanguages ?? false;
  session.language = parameters.language;
  session.request = {
    organizationId: parameters.organizationId,
    conversationId: parameters.conversationId,
    participantId: parameters.participant.id,
    language: parameters.language,
    media,
    probe: parameters.conversationId === NULL_UUID && parameters.participant.id === NULL_UUID,
    attributes: openAttributes(parameters),
    continuedSessions: parameters.continuedSessions,
    positionSamples: durationSamples(position, media?.rate ?? 8000),
  };
  session.output.openRequested(session.request);
}

export function ping(session: SessionContext, { parameters }: ClientMessageOf<'ping'>, nowUs: number): void {
  session.counts.pings += 1;
  session.lastPingUs = nowUs;
  if (parameters.rtt !== undefined) session.rttSeconds = durationSeconds(parameters.rtt);
  session.sender.send('pong', {});
  if (session.isOpen) session.sender.mayInitiate = true;
  session.flushUnsolicited(nowUs);
}

export function paused(session: SessionContext, _message: ClientMessageOf<'paused'>, nowUs: number): void {
  if (session.audio.paused(nowUs) && session.state === 'ACTIVE') session.state = 'PAUSED';
}

export function resumed(session: SessionContext, { parameters }: ClientMessageOf<'resumed'>, nowUs: number): void {
  const wasPaused = session.state === 'PAUSED';
  if (session.accepts(session.audio.resumed(parameters, nowUs), nowUs) && wasPaused) session.state = 'ACTIVE';
}

export function discarded(session: SessionContext, { parameters }: ClientMessageOf<'discarded'>, nowUs: number): void {
  session.accepts(session.audio.discarded(parameters, nowUs), nowUs);
}

export function update(session: SessionContext, { parameters }: ClientMessageOf<'update'>): void {
  session.counts.updates += 1;
  session.language = parameters.language ?? session.language;
  session.sender.send('updated', {});
}

export function clientError(session: SessionContext, { parameters }: ClientMessageOf<'error'>, nowUs: number): void {
  session.counts.clientErrors += 1;
  if (parameters.code !== 429 || parameters.retryAfter === undefined) return;
  session.sender.queue.suspend(durationSeconds(parameters.retryAfter), nowUs);
}

export function close(session: SessionContext, message: ClientMessageOf<'close'>, nowUs: number): void {
  const { parameters, position } = message;
  session.closeReason = parameters.reason;
  session.endReason ??= END_REASON[parameters.reason];
  session.audio.end(position, nowUs);
  session.output.flush();
  session.sender.dropPending();
  session.enter('CLOSING', nowUs);
  session.output.finishRequested();
}

/** A message of the Audio Connector, a different product: tolerated and counted. */
export function connectorMessage(session: SessionContext): void {
  session.counts.connectorMessages += 1;
}

/** A message type that this version of the protocol does not define: tolerated and counted. */
export function unknownMessage(session: SessionContext): void {
  session.counts.unknownTypes += 1;
}

/** A message that has no meaning in the current state: tolerated and counted. */
export function strayMessage(session: SessionContext): void {
  session.counts.strayMessages += 1;
}

// ---- Binary frames ------------------------------------------------------------------------------------------------

/** Takes the samples, or drops them while a pause is active. */
export function audio(session: SessionContext, bytes: Uint8Array, nowUs: number): void {
  session.accepts(session.audio.frame(bytes, nowUs), nowUs);
}

export function audioBeforeOpen(session: SessionContext, _bytes: Uint8Array, nowUs: number): void {
  session.fault('protocol', 'Audio before the session was opened', nowUs);
}

/** Audio that came after the end: dropped and counted. */
export function lateAudio(session: SessionContext, bytes: Uint8Array): void {
  session.counts.framesIgnored += 1;
  session.counts.bytesIgnored += bytes.length;
}

// ---- Time ---------------------------------------------------------------------------------------------------------

export function awaitOpen(session: SessionContext, nowUs: number): void {
  if (nowUs - session.sinceUs > session.timing.openWaitUs) session.fault('timeout', "No 'open' in time", nowUs);
}

export function awaitPing(session: SessionContext, nowUs: number): void {
  if (nowUs - session.lastPingUs > session.timing.pingWaitUs) session.pingTimedOut(nowUs);
  else session.flushUnsolicited(nowUs);
}

export function awaitClose(session: SessionContext, nowUs: number): void {
  if (nowUs - session.sinceUs > session.timing.closeWaitUs) session.output.hangUp();
}

/** Answers `closed` although the stream has not been finished yet: the client does not wait longer. */
export function awaitFinish(session: SessionContext, nowUs: number): void {
  if (nowUs - session.sinceUs > session.timing.finishWaitUs) finished(session, nowUs);
}

/** The client closes the connection first; only if it does not, the server does. */
export function awaitHangUp(session: SessionContext, nowUs: number): void {
  if (nowUs - session.sinceUs > session.timing.hangUpWaitUs) session.output.hangUp();
}

export function finished(session: SessionContext, nowUs: number): void {
  if (session.state !== 'CLOSING') return;
  session.enter('CLOSED', nowUs);
  session.sender.send('closed', {});
}
