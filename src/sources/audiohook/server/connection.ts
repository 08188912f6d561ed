import type { WebSocket } from 'ws';
import { messageOf } from '../../../core/errors.js';
import { US_PER_SECOND } from '../../../core/units.js';
import type { EventEntity } from '../protocol/wire.js';
import { AudioHookSession } from '../session/session.js';
import type { OpenRequest, SessionFault, SessionOutput } from '../session/session-contract.js';
import type { AudioHookStream, StreamFeeder } from '../session/stream.js';
import { openFailure } from '../source.js';
import type {
  AudioHookSessionInfo,
  AudioHookSessionSummary,
  ConnectionDependencies,
  ConnectionIdentity,
} from './connection-contract.js';
import { Inflow } from './inflow.js';

/** From our own close frame to the end of patience with its answer. */
const HANG_UP_WAIT_US = 2 * US_PER_SECOND;

/** A session on its socket: carries bytes in, texts out, and audio on to the stream. */
export class AudioHookConnection implements SessionOutput, StreamFeeder {
  readonly identity: ConnectionIdentity;
  readonly session: AudioHookSession;
  readonly #host: ConnectionDependencies;
  readonly #socket: WebSocket;
  readonly #inflow: Inflow;
  readonly #connectedAtMs: number;
  #stream: AudioHookStream | undefined;
  #info: AudioHookSessionInfo | undefined;
  #fault: AudioHookSessionSummary['fault'];
  #hungUpUs = -1;

  constructor(socket: WebSocket, identity: ConnectionIdentity, host: ConnectionDependencies) {
    const nowUs = host.clock.nowUs();
    this.identity = identity;
    this.#host = host;
    this.#socket = socket;
    this.#connectedAtMs = host.clock.wallMs();
    this.#inflow = new Inflow(socket, host.inbound, nowUs);
    this.session = new AudioHookSession(identity, this, nowUs, host.timing);
    socket.on('message', this.#onMessage);
    socket.on('close', this.#onClose);
    socket.on('error', this.#onBroken);
  }

  get interactionId(): string | undefined {
    return this.#info?.interactionId;
  }

  get info(): AudioHookSessionInfo | undefined {
    return this.#info;
  }

  get throttled(): number {
    return this.#inflow.throttled;
  }

  get stalls(): number {
    return this.#inflow.stalls;
  }

  // ---- What the embedder may do ----------------------------------------------------------------------------------

  pause(): void {
    const stream = this.#ownStream;
    if (stream !== undefined) stream.paused = true;
    this.session.pause(this.#host.clock.nowUs());
  }

  resume(): void {
    const stream = this.#ownStream;
    if (stream !== undefined) stream.paused = false;
    this.session.resume(this.#host.clock.nowUs());
  }

  /** See AudioHookSession.sendEvent. */
  sendEvent(entities: readonly EventEntity[]): boolean {
    return this.session.sendEvent(entities, this.#host.clock.nowUs());
  }

  requestReconnect(info?: string): void {
    this.session.requestReconnect(info, this.#host.clock.nowUs());
  }

  disconnect(reason: 'completed' | 'error', info?: string): void {
    this.session.disconnect(reason, info, this.#host.clock.nowUs());
  }

  /** Cuts the connection without a word; only for a client that cannot be talked to any more. */
  terminate(): void {
    this.#socket.terminate();
  }

  tick(nowUs: number): void {
    this.#inflow.tick(nowUs);
    // What the client sends while it is made to wait cannot be read, its pings included.
    if (this.#inflow.isStalled) this.session.excuse(nowUs);
    this.#ownStream?.release(nowUs);
    try {
      this.session.tick(nowUs);
    } catch (thrown) {
      this.#internalError(thrown);
    }
  }

  // ---- StreamFeeder ----------------------------------------------------------------------------------------------

  get sessionId(): string {
    return this.identity.sessionId;
  }

  get positionSamples(): number {
    return this.session.positionSamples;
  }

  stalled(): void {
    this.#inflow.stall();
  }

  resumed(): void {
    this.#inflow.endStall();
  }

  // ---- SessionOutput ---------------------------------------------------------------------------------------------

  send(text: string): void {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return;
    socket.send(text);
    // A peer that does not read cannot be told so either.
    if (socket.bufferedAmount > this.#host.outboundBytes) {
      this.#fault ??= { kind: 'slowReader', info: 'Client does not read what is sent to it' };
      socket.terminate();
    }
  }

  openRequested(request: OpenRequest): void {
    const host = this.#host;
    const nowUs = host.clock.nowUs();
    if (host.draining) {
      this.session.refuse('completed', 'Server is shutting down', nowUs);
      return;
    }
    let baseSamples = 0;
    let continued = false;
    if (request.media !== undefined && !request.probe) {
      try {
        const opened = host.source.open(this, request, request.media, nowUs);
        this.#stream = opened.stream;
        baseSamples = opened.baseSamples;
        continued = opened.stream.sessionIds.length > 1;
      } catch (thrown) {
        const { info, detail } = openFailure(thrown);
        host.internalError(detail);
        this.session.refuse('error', info, nowUs);
        return;
      }
    }
    const { supportedLanguages } = host;
    // A call that comes back is paused if it was when it broke off; only a new one is asked about.
    const startPaused = continued ? this.#stream?.paused === true : host.startPaused(request);
    if (this.#stream !== undefined) this.#stream.paused = startPaused;
    const discardToSamples = Math.round(host.discardToSeconds(request) * (request.media?.rate ?? 0));
    this.session.accept({ startPaused, supportedLanguages, baseSamples, discardToSamples }, nowUs);
    const { media, conversationId, participantId, probe } = request;
    this.#info = {
      ...this.identity,
      conversationId,
      participantId,
      probe,
      continued,
      openedAtMs: host.clock.wallMs(),
      ...(this.#stream === undefined ? {} : { interactionId: this.#stream.interactionId }),
      ...(media === undefined ? {} : { media: { format: media.format, rate: media.rate, channels: media.channels } }),
    };
    host.opened(this, this.#info);
  }

  audio(bytes: Uint8Array, positionSamples: number, nowUs: number): void {
    this.#ownStream?.audio(bytes, positionSamples, nowUs);
  }

  flush(): void {
    this.#ownStream?.flush(this.#host.clock.nowUs());
  }

  mark(state: 'paused' | 'discarded', startSamples: number, lengthSamples: number): void {
    this.#ownStream?.mark(state, startSamples, lengthSamples, this.#host.clock.nowUs());
  }

  pauseChanged(): void {
    // The marks on the time line say it all.
  }

  finishRequested(): void {
    const finish = this.#host.finishStream;
    const interactionId = this.#letGo();
    if (interactionId === undefined || finish === undefined) {
      this.session.finished(this.#host.clock.nowUs());
      return;
    }
    // The session answers by itself when this takes too long, so an outcome of either kind is the same to it.
    const done = (): void => this.session.finished(this.#host.clock.nowUs());
    finish(interactionId).then(done, done);
  }

  faulted(kind: SessionFault, info: string): void {
    this.#fault ??= { kind, info };
  }

  hangUp(): void {
    const nowUs = this.#host.clock.nowUs();
    if (this.#hungUpUs < 0) {
      this.#hungUpUs = nowUs;
      this.#socket.close(1000);
    } else if (nowUs - this.#hungUpUs > HANG_UP_WAIT_US) {
      this.#socket.terminate();
    }
  }

  // ---- The socket ------------------------------------------------------------------------------------------------

  readonly #onMessage = (data: unknown, isBinary: boolean): void => {
    if (!(data instanceof Uint8Array)) return;
    const nowUs = this.#host.clock.nowUs();
    this.#inflow.took(data.length, nowUs);
    try {
      if (isBinary) this.session.binary(data, nowUs);
      else this.session.text(data, nowUs);
    } catch (thrown) {
      this.#internalError(thrown);
    }
  };

  // No WebSocket any more, or a message beyond all limits. ws closes it by itself; the rest happens on close.
  readonly #onBroken = ({ message }: Error): void => {
    this.session.counts.faults += 1;
    this.#fault ??= { kind: 'protocol', info: message };
  };

  readonly #onClose = (): void => {
    const { session } = this;
    const broken = session.state === 'ACTIVE' || session.state === 'PAUSED';
    session.transportClosed();
    const stream = this.#stream;
    if (broken && stream !== undefined && !stream.ended && this.#fault === undefined && !this.#host.draining) {
      const heldUntilUs = this.#host.clock.nowUs() + this.#host.lossWindowUs;
      this.#host.source.hold(stream, this.identity.sessionId, 'lost', heldUntilUs);
    } else {
      this.#letGoAtLast();
    }
    const { rttSeconds, language, closeReason, endReason, positionSamples, counts } = session;
    this.#host.ended(this, {
      ...this.identity,
      ...this.#info,
      connectedAtMs: this.#connectedAtMs,
      endedAtMs: this.#host.clock.wallMs(),
      endReason,
      positionSamples,
      droppedSamples: stream?.droppedSamples ?? 0,
      throttled: this.throttled,
      stalls: this.stalls,
      counts,
      ...(closeReason === undefined ? {} : { closeReason }),
      ...(this.#fault === undefined ? {} : { fault: this.#fault }),
      ...(rttSeconds < 0 ? {} : { rttSeconds }),
      ...(language === undefined ? {} : { language }),
    });
  };

  // The stream, unless another session has taken it over.
  get #ownStream(): AudioHookStream | undefined {
    return this.#stream?.feeder === this ? this.#stream : undefined;
  }

  // Whatever goes wrong here, the session is over and has to be counted as such.
  #letGoAtLast(): void {
    try {
      this.#letGo();
    } catch (thrown) {
      this.#host.internalError(messageOf(thrown));
    }
  }

  // Ends the stream, or keeps it for the session that the client says will follow. Returns what has been ended.
  #letGo(): string | undefined {
    const stream = this.#stream;
    if (stream === undefined || stream.ended || stream.ownerSessionId !== this.identity.sessionId) return undefined;
    const { source, clock, draining, reconnectWindowUs } = this.#host;
    const nowUs = clock.nowUs();
    if (stream.heldUntilUs > 0) return undefined;
    if (this.session.closeReason === 'reconnect' && !draining) {
      source.hold(stream, this.identity.sessionId, 'interrupted', nowUs + reconnectWindowUs);
      return undefined;
    }
    source.end(stream, this.identity.sessionId, this.session.endReason, nowUs);
    return stream.interactionId;
  }

  #internalError(thrown: unknown): void {
    this.#fault ??= { kind: 'internal', info: 'Internal error' };
    this.#host.internalError(messageOf(thrown));
    this.#socket.terminate();
  }
}
