import type { EndReason } from '../../../core/events.js';
import { durationSamples, durationSeconds } from '../protocol/duration.js';
import {
  type ClientMessage,
  type CloseReason,
  type DisconnectReason,
  type EventEntity,
  NULL_UUID,
  type OpenParameters,
  parseClientMessage,
} from '../protocol/wire.js';
import { entityText } from './event-queue.js';
import { MessageSender } from './message-sender.js';
import { SessionAudio, type Stretch } from './session-audio.js';
import {
  type AcceptOptions,
  type OpenRequest,
  SESSION_TIMING,
  type SessionFault,
  type SessionIdentity,
  type SessionOutput,
  type SessionTiming,
} from './session-contract.js';
import { newSessionCounts, type SessionCounts } from './session-counts.js';
import { type Arrival, SESSION_TABLE, type SessionState } from './session-table.js';
import type { TimeLineVerdict } from './time-line.js';

const END_REASON: Readonly<Record<CloseReason, EndReason>> = {
  end: 'ended',
  disconnect: 'stopped',
  error: 'error',
  reconnect: 'interrupted',
};

/**
 * One AudioHook session, server side, without I/O or clock. Whatever arrives, nothing throws, every request gets one
 * answer, and what goes out is numbered without a gap. What is allowed when stands in session-table.ts.
 */
export class AudioHookSession {
  readonly counts: SessionCounts = newSessionCounts();
  readonly #identity: SessionIdentity;
  readonly #output: SessionOutput;
  readonly #timing: SessionTiming;
  readonly #audio: SessionAudio;
  readonly #voice: MessageSender;
  #state: SessionState = 'CONNECTED';
  /** When the state began, for the states that may only last so long. */
  #sinceUs: number;
  #request: OpenRequest | undefined;
  #wantsLanguages = false;
  #language: string | undefined;

  #lastPingUs = 0;
  #rttSeconds = -1;

  #closeReason: CloseReason | undefined;
  #endReason: EndReason | undefined;

  constructor(identity: SessionIdentity, output: SessionOutput, nowUs: number, timing: SessionTiming = SESSION_TIMING) {
    this.#identity = identity;
    this.#output = output;
    this.#timing = timing;
    this.#sinceUs = nowUs;
    this.#audio = new SessionAudio(output, this.counts);
    this.#voice = new MessageSender(identity.sessionId, output, this.counts, this.#audio.pauses, timing, nowUs);
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Samples of one channel from the start of the stream, thrown away ones included. */
  get positionSamples(): number {
    return this.#audio.positionSamples;
  }

  get request(): OpenRequest | undefined {
    return this.#request;
  }

  get language(): string | undefined {
    return this.#language;
  }

  get closeReason(): CloseReason | undefined {
    return this.#closeReason;
  }

  /** Round trip as the client measured it last, seconds; −1 before it has. */
  get rttSeconds(): number {
    return this.#rttSeconds;
  }

  /** Why the stream ended, or would if it ended now. */
  get endReason(): EndReason {
    return this.#endReason ?? 'lost';
  }

  // ---- What arrives --------------------------------------------------------------------------------------------

  text(bytes: Uint8Array, nowUs: number): void {
    this.counts.messagesReceived += 1;
    const message = parseClientMessage(bytes);
    if (message.type === 'fault') {
      if (message.seq !== undefined) this.#voice.clientseq = message.seq;
      this.#fault('protocol', message.info, nowUs);
      return;
    }
    this.counts.unknownFields += message.unknownFields;
    if (this.#inStep(message, nowUs)) this.#apply(message, nowUs);
  }

  binary(bytes: Uint8Array, nowUs: number): void {
    this.counts.framesReceived += 1;
    this.counts.bytesReceived += bytes.length;
    if (bytes.length === 0) {
      this.counts.emptyFrames += 1;
      return;
    }
    const action = SESSION_TABLE[this.#state].binary;
    if (action === 'fault') {
      this.#fault('protocol', 'Audio before the session was opened', nowUs);
    } else if (action === 'late') {
      this.counts.framesIgnored += 1;
    } else {
      this.#judge(this.#audio.frame(bytes, nowUs), nowUs);
    }
  }

  /** The client is being made to wait and cannot be heard: it is not silent. */
  excuse(nowUs: number): void {
    this.#lastPingUs = nowUs;
  }

  /** The connection is gone, whoever closed it. */
  transportClosed(): void {
    if (this.#state !== 'CLOSED') this.#output.flush();
    this.#state = 'CLOSED';
    this.#voice.dropPending();
  }

  /** Time passes. Call it every few hundred milliseconds. */
  tick(nowUs: number): void {
    const forUs = nowUs - this.#sinceUs;
    const timing = this.#timing;
    switch (this.#state) {
      case 'CONNECTED':
      case 'OPENING':
        if (forUs > timing.openWaitUs) this.#fault('timeout', "No 'open' in time", nowUs);
        break;
      case 'ACTIVE':
      case 'PAUSED':
        if (nowUs - this.#lastPingUs > timing.pingWaitUs) this.#fault('timeout', "No 'ping' in time", nowUs);
        else this.#flushUnsolicited(nowUs);
        break;
      case 'ENDING':
      case 'FAULTED':
        if (forUs > timing.closeWaitUs) this.#output.hangUp();
        break;
      case 'CLOSING':
        if (forUs > timing.finishWaitUs) this.finished(nowUs);
        break;
      case 'CLOSED':
        if (forUs > timing.partingWaitUs) this.#output.hangUp();
        break;
    }
  }

  // ---- What the embedder decides ---------------------------------------------------------------------------------

  /** Answers `open` with `opened`. Only from within openRequested(). */
  accept(options: AcceptOptions, nowUs: number): void {
    if (this.#state !== 'OPENING') return;
    if (options.startPaused === true) this.#audio.pauses.own = true;
    this.#lastPingUs = nowUs;
    const parameters = this.#audio.begin(this.#request, options.baseSamples ?? 0, options.discardToSamples ?? 0, nowUs);
    if (this.#wantsLanguages) parameters.supportedLanguages = options.supportedLanguages ?? [];
    this.#enter('ACTIVE', nowUs);
    this.#voice.say('opened', parameters);
  }

  /** Answers `open` with `disconnect`. Only from within openRequested(). */
  refuse(reason: DisconnectReason, info: string, nowUs: number): void {
    if (this.#state === 'OPENING')
      this.#fault(reason === 'unauthorized' ? 'unauthorized' : 'refused', info, nowUs, reason);
  }

  /** The stream is finished, after finishRequested(): answers `closed`. */
  finished(nowUs: number): void {
    if (this.#state !== 'CLOSING') return;
    this.#enter('CLOSED', nowUs);
    this.#voice.say('closed', {});
  }

  /**
   * Our own pause, apart from the client's: nothing that arrives from now on is kept, whether or not the client has
   * been told yet. Every call asks the client again, as far as the rate limit lets it.
   */
  pause(nowUs: number): void {
    this.#audio.pauses.own = true;
    this.#control('pause', nowUs);
  }

  /** Ends our own pause. Audio flows when the client's is over as well. */
  resume(nowUs: number): void {
    this.#audio.pauses.own = false;
    this.#control('resume', nowUs);
  }

  /**
   * Queues entities for an `event`. False when the session is not open or too many wait already; all of them are
   * refused then.
   * @throws TrunklineError CONFIG_INVALID when an entity is not JSON or is too large.
   */
  sendEvent(entities: readonly EventEntity[], nowUs: number): boolean {
    const texts = entities.map(entityText);
    if (!this.#isOpen() || !this.#voice.outbox.addEntities(texts)) {
      this.counts.entitiesRefused += texts.length;
      return false;
    }
    this.#flushUnsolicited(nowUs);
    return true;
  }

  /** Asks the client to connect again elsewhere. */
  requestReconnect(info: string | undefined, nowUs: number): void {
    this.#voice.outbox.reconnect(info);
    this.#flushUnsolicited(nowUs);
  }

  /** Asks the client to close; what is in flight is still taken. Held back until the first `pong`. */
  disconnect(reason: 'completed' | 'error', info: string | undefined, nowUs: number): void {
    if (this.#state === 'CONNECTED' || this.#state === 'OPENING') {
      this.#fault('refused', info ?? 'Disconnected', nowUs, reason);
      return;
    }
    this.#voice.farewell = info === undefined ? { reason } : { reason, info };
    this.#flushUnsolicited(nowUs);
  }

  // ---- Messages --------------------------------------------------------------------------------------------------

  #inStep(message: ClientMessage, nowUs: number): boolean {
    const expected = this.#voice.clientseq + 1;
    this.#voice.clientseq = message.seq;
    // Its session is over already; all that is left is to let it go in good order.
    if (this.#state === 'FAULTED' || this.#state === 'CLOSING') return true;
    if (message.seq !== expected) return this.#fault('protocol', 'Sequence number out of step', nowUs);
    if (message.serverseq > this.#voice.seq) return this.#fault('protocol', 'serverseq of a message never sent', nowUs);
    if (message.id.toLowerCase() !== this.#identity.sessionId.toLowerCase()) {
      return this.#fault('protocol', 'Session id does not match', nowUs);
    }
    return true;
  }

  #apply(message: ClientMessage, nowUs: number): void {
    const counts = this.counts;
    const arrival: Arrival = message.type;
    const action = SESSION_TABLE[this.#state][arrival];
    switch (action) {
      case 'open':
        if (message.type === 'open') this.#open(message.parameters, message, nowUs);
        return;
      case 'pong':
        if (message.type === 'ping') this.#ping(message.parameters.rtt, nowUs);
        return;
      case 'pause':
        if (this.#audio.paused() && this.#state === 'ACTIVE') this.#state = 'PAUSED';
        return;
      case 'resume':
        if (message.type === 'resumed') this.#resumed(message.parameters, nowUs);
        return;
      case 'discard':
        if (message.type === 'discarded') this.#judge(this.#audio.discarded(message.parameters, nowUs), nowUs);
        return;
      case 'update':
        if (message.type === 'update') {
          counts.updates += 1;
          this.#language = message.parameters.language;
          this.#voice.say('updated', {});
        }
        return;
      case 'note':
        if (message.type === 'error') this.#clientError(message.parameters, nowUs);
        return;
      case 'close':
        if (message.type === 'close') this.#close(message.parameters.reason, nowUs);
        return;
      case 'foreign':
        counts.connectorMessages += 1;
        return;
      case 'unknown':
        counts.unknownTypes += 1;
        return;
      default:
        counts.strayMessages += 1;
    }
  }

  #open(parameters: OpenParameters, message: ClientMessage, nowUs: number): void {
    this.#enter('OPENING', nowUs);
    this.#voice.id = message.id;
    if (parameters.organizationId.toLowerCase() !== this.#identity.organizationId.toLowerCase()) {
      this.#fault('unauthorized', 'Organization id does not match', nowUs, 'unauthorized');
      return;
    }
    const media = this.#audio.choose(parameters.media);
    this.#wantsLanguages = parameters.supportedLanguages ?? false;
    this.#language = parameters.language;
    this.#request = {
      organizationId: parameters.organizationId,
      conversationId: parameters.conversationId,
      participantId: parameters.participant.id,
      language: parameters.language,
      media,
      probe: parameters.conversationId === NULL_UUID && parameters.participant.id === NULL_UUID,
      continuedSessions: parameters.continuedSessions ?? [],
      positionSamples: durationSamples(message.position, media?.rate ?? 8000),
    };
    this.#output.openRequested(this.#request);
  }

  #ping(rtt: string | undefined, nowUs: number): void {
    this.counts.pings += 1;
    this.#lastPingUs = nowUs;
    if (rtt !== undefined) this.#rttSeconds = durationSeconds(rtt);
    this.#voice.say('pong', {});
    if (this.#state === 'ACTIVE' || this.#state === 'PAUSED') this.#voice.ponged = true;
    this.#flushUnsolicited(nowUs);
  }

  #resumed(stretch: Stretch, nowUs: number): void {
    const wasPaused = this.#state === 'PAUSED';
    if (this.#judge(this.#audio.resumed(stretch, nowUs), nowUs) && wasPaused) this.#state = 'ACTIVE';
  }

  #clientError(parameters: { code: number; retryAfter?: string | undefined }, nowUs: number): void {
    this.counts.clientErrors += 1;
    if (parameters.code !== 429 || parameters.retryAfter === undefined) return;
    this.#voice.outbox.holdOff(durationSeconds(parameters.retryAfter), nowUs);
  }

  #close(reason: CloseReason, nowUs: number): void {
    this.#closeReason = reason;
    this.#endReason ??= END_REASON[reason];
    this.#output.flush();
    this.#voice.dropPending();
    this.#enter('CLOSING', nowUs);
    this.#output.finishRequested();
  }

  #judge(verdict: TimeLineVerdict, nowUs: number): boolean {
    if (verdict === 'ok') return true;
    if (verdict === 'ahead') return this.#fault('limit', 'Time line too far ahead of the clock', nowUs);
    return this.#fault('protocol', 'Audio frame is not a whole number of samples', nowUs);
  }

  // ---- What goes out ---------------------------------------------------------------------------------------------

  #control(control: 'pause' | 'resume', nowUs: number): void {
    if (!this.#isOpen()) return;
    this.#voice.outbox.control(control);
    this.#flushUnsolicited(nowUs);
  }

  #flushUnsolicited(nowUs: number): void {
    if (!this.#isOpen() || !this.#voice.ponged) return;
    const { farewell } = this.#voice;
    if (farewell === undefined) {
      this.#voice.flush(nowUs);
      return;
    }
    this.#endReason ??= farewell.reason === 'error' ? 'error' : 'stopped';
    this.#enter('ENDING', nowUs);
    this.#voice.say('disconnect', farewell);
    this.#voice.dropPending();
  }

  // Always false, so that a check can end with it.
  #fault(kind: SessionFault, info: string, nowUs: number, reason: DisconnectReason = 'error'): false {
    this.counts.faults += 1;
    switch (this.#state) {
      case 'FAULTED':
      case 'CLOSING':
      case 'CLOSED':
        return false;
      case 'ENDING':
        this.#state = 'FAULTED';
        break;
      default:
        this.#enter('FAULTED', nowUs);
        this.#voice.say('disconnect', { reason, info });
    }
    this.#endReason = kind === 'timeout' ? 'lost' : reason === 'completed' ? 'stopped' : 'error';
    this.#output.flush();
    this.#voice.dropPending();
    this.#output.faulted(kind, info);
    return false;
  }

  #isOpen(): boolean {
    return this.#state === 'ACTIVE' || this.#state === 'PAUSED';
  }

  #enter(state: SessionState, nowUs: number): void {
    this.#state = state;
    this.#sinceUs = nowUs;
  }
}
