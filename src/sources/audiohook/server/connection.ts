import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { messageOf } from '../../../core/errors.js';
import { US_PER_SECOND } from '../../../core/units.js';
import type { Interleaved } from '../protocol/deinterleave.js';
import type { EventEntity } from '../protocol/wire.js';
import { AudioHookSession } from '../session/session.js';
import type { OpenRequest, SessionFault, SessionOutput } from '../session/session-contract.js';
import type { PausedBy } from '../session/session-pauses.js';
import type { AudioHookStream, StreamOwner } from '../session/stream.js';
import { openFailure } from '../session/streams.js';
import type { AdmittedClient } from './admission.js';
import { AudioPath } from './audio-path.js';
import type {
  AudioHookSessionInfo,
  AudioHookSessionSummary,
  ConnectionDependencies,
  ConnectionIdentity,
} from './connection-contract.js';
import { FlowControl } from './flow-control.js';

/** How long the client may take to answer our close frame. */
const HANG_UP_WAIT_US = 2 * US_PER_SECOND;

/** A session on its socket: passes bytes to the session, texts to the socket, and audio to the stream. */
export class AudioHookConnection implements SessionOutput, StreamOwner {
  readonly identity: ConnectionIdentity;
  readonly apiKey: string;
  readonly attributes: AdmittedClient['attributes'];
  readonly session: AudioHookSession;
  readonly #dependencies: ConnectionDependencies;
  readonly #socket: WebSocket;
  readonly #flow: FlowControl;
  readonly #audioPath: AudioPath | undefined;
  readonly #connectedAtMs: number;
  readonly #connectedUs: number;
  #stream: AudioHookStream | undefined;
  #info: AudioHookSessionInfo | undefined;
  #fault: AudioHookSessionSummary['fault'];
  #hungUpUs = -1;
  #ended = false;

  /** @param transport what the WebSocket reads from, of which nothing has been read. */
  constructor(
    socket: WebSocket,
    transport: Duplex,
    { identity, apiKey, attributes }: AdmittedClient,
    dependencies: ConnectionDependencies,
  ) {
    const nowUs = dependencies.clock.nowUs();
    this.identity = identity;
    this.apiKey = apiKey;
    this.attributes = attributes;
    this.#dependencies = dependencies;
    this.#socket = socket;
    this.#connectedAtMs = dependencies.clock.wallMs();
    this.#connectedUs = dependencies.clock.nowUs();
    this.#flow = new FlowControl(socket, dependencies.inbound, nowUs);
    this.session = new AudioHookSession(identity, this, nowUs, dependencies.timing);
    const { messageBytes, audioByWs } = dependencies;
    if (!audioByWs) this.#audioPath = new AudioPath(transport, { messageBytes, audio: this.#onAudio });
    socket.on('message', this.#onMessage);
    socket.on('ping', this.#onPing);
    socket.on('pong', this.#onPong);
    socket.on('close', this.#end);
    socket.on('error', this.#onBroken);
  }

  get interactionId(): string | undefined {
    return this.#info?.interactionId;
  }

  get info(): AudioHookSessionInfo | undefined {
    return this.#info;
  }

  get throttled(): number {
    return this.#flow.throttled;
  }

  get stalls(): number {
    return this.#flow.stalls;
  }

  // ---- What the embedder may do ----------------------------------------------------------------------------------

  pause(): void {
    const stream = this.#ownStream;
    if (stream !== undefined) stream.paused = true;
    this.session.pause(this.#dependencies.clock.nowUs());
  }

  resume(): void {
    const stream = this.#ownStream;
    if (stream !== undefined) stream.paused = false;
    this.session.resume(this.#dependencies.clock.nowUs());
  }

  /** See AudioHookSession.sendEvent. */
  sendEvent(entities: readonly EventEntity[]): boolean {
    return this.session.sendEvent(entities, this.#dependencies.clock.nowUs());
  }

  requestReconnect(info?: string): void {
    this.session.requestReconnect(info, this.#dependencies.clock.nowUs());
  }

  disconnect(reason: 'completed' | 'error', info?: string): void {
    this.session.disconnect(reason, info, this.#dependencies.clock.nowUs());
  }

  /**
   * The client has connected again, so that this connection must be dead, although its loss has not been detected. Ends
   * the session and closes the connection; the stream waits for the new session.
   */
  supersede(): void {
    this.#fault ??= { kind: 'superseded', info: 'The client connected again' };
    this.#end();
    this.#socket.terminate();
  }

  /** Closes the connection at once; only for a client that can no longer be reached by messages. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** See AudioHookSession.extendTimers. */
  extendTimers(byUs: number, nowUs: number): void {
    this.session.extendTimers(byUs, nowUs);
    if (this.#hungUpUs >= 0) this.#hungUpUs = Math.min(nowUs, this.#hungUpUs + byUs);
  }

  tick(nowUs: number): void {
    // Also when the pause ends with this tick: what the client sent meanwhile has not been read yet.
    const wasBlocked = this.#flow.isBlocked;
    this.#flow.tick(nowUs);
    if (wasBlocked) this.session.restartTimers(nowUs);
    this.#ownStream?.release(nowUs);
    try {
      this.session.tick(nowUs);
    } catch (thrown) {
      this.#internalError(thrown);
    }
  }

  // ---- StreamOwner ----------------------------------------------------------------------------------------------

  get sessionId(): string {
    return this.identity.sessionId;
  }

  get positionSamples(): number {
    return this.session.positionSamples;
  }

  stalled(): void {
    this.#flow.stall();
  }

  resumed(): void {
    this.#flow.endStall();
  }

  // ---- SessionOutput ---------------------------------------------------------------------------------------------

  send(text: string): void {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return;
    socket.send(text);
    this.#checkBuffered();
  }

  openRequested(request: OpenRequest): void {
    const dependencies = this.#dependencies;
    const nowUs = dependencies.clock.nowUs();
    if (dependencies.draining) {
      this.session.refuse('completed', 'Server is shutting down', nowUs);
      return;
    }
    let baseSamples = 0;
    let streamOpenedUs = nowUs;
    let continued = false;
    if (request.media !== undefined && !request.probe) {
      try {
        const opened = dependencies.streams.open(this, request, request.media, nowUs);
        if (opened === 'ahead') {
          this.session.refuse('error', 'Position too far ahead of the clock', nowUs, 'limit');
          return;
        }
        this.#stream = opened.stream;
        baseSamples = opened.baseSamples;
        streamOpenedUs = opened.stream.openedUs;
        continued = opened.stream.sessionIds.length > 1;
      } catch (thrown) {
        const { info, detail } = openFailure(thrown);
        dependencies.internalError(detail);
        this.session.refuse('error', info, nowUs);
        return;
      }
    }
    const { supportedLanguages } = dependencies;
    // A continued call keeps the pause that it had; startPaused applies to new ones.
    const startPaused = continued ? this.#stream?.paused === true : dependencies.startPaused(request);
    if (this.#stream !== undefined) this.#stream.paused = startPaused;
    const discardToSamples = Math.round(dependencies.discardToSeconds(request) * (request.media?.rate ?? 0));
    const { media, conversationId, participantId, probe } = request;
    this.#info = {
      ...this.identity,
      conversationId,
      participantId,
      probe,
      continued,
      openedAtMs: dependencies.clock.wallMs(),
      ...(this.#stream === undefined ? {} : { interactionId: this.#stream.interactionId }),
      ...(media === undefined ? {} : { media: { format: media.format, rate: media.rate, channels: media.channels } }),
    };
    this.session.accept({ startPaused, supportedLanguages, baseSamples, streamOpenedUs, discardToSamples }, nowUs);
    dependencies.opened(this.#info, (dependencies.clock.nowUs() - this.#connectedUs) / US_PER_SECOND);
    // A continued call keeps our pause, which is no change; the client's is over until it sends `paused` again.
    if (startPaused && !continued) this.pauseChanged('server', true);
    if (this.#stream?.clientPaused === true) this.pauseChanged('client', false);
  }

  audio(bytes: Uint8Array, positionSamples: number, nowUs: number): boolean {
    const stream = this.#ownStream;
    stream?.audio(bytes, positionSamples, nowUs);
    return stream !== undefined;
  }

  wholeAudio(samples: Interleaved, pairs: number, positionSamples: number, nowUs: number): boolean {
    return this.#ownStream?.wholeAudio(samples, pairs, positionSamples, nowUs) ?? false;
  }

  flush(): void {
    this.#ownStream?.flush(this.#dependencies.clock.nowUs());
  }

  mark(state: 'paused' | 'discarded', startSamples: number, lengthSamples: number): void {
    this.#ownStream?.mark(state, startSamples, lengthSamples, this.#dependencies.clock.nowUs());
  }

  pauseChanged(by: PausedBy, paused: boolean): void {
    const { interactionId, sessionId, positionSamples } = this;
    // A session that begins paused is reported once it is open.
    const isOpening = this.session.state === 'OPENING';
    const stream = this.#ownStream;
    if (isOpening || interactionId === undefined || stream === undefined) return;
    if (by === 'client') stream.clientPaused = paused;
    const withheld = this.session.isPaused;
    this.#dependencies.pauseChanged({ sessionId, interactionId, by, paused, withheld, positionSamples });
  }

  finishRequested(): void {
    const finish = this.#dependencies.finishStream;
    const interactionId = this.#releaseStream();
    if (interactionId === undefined || finish === undefined) {
      this.session.finished(this.#dependencies.clock.nowUs());
      return;
    }
    // The session answers by itself when this takes too long, so that success and failure are treated alike.
    const done = (): void => this.session.finished(this.#dependencies.clock.nowUs());
    finish(interactionId).then(done, done);
  }

  faulted(kind: SessionFault, info: string): void {
    this.#fault ??= { kind, info };
  }

  hangUp(): void {
    const nowUs = this.#dependencies.clock.nowUs();
    if (this.#hungUpUs < 0) {
      this.#hungUpUs = nowUs;
      this.#socket.close(1000);
    } else if (nowUs - this.#hungUpUs > HANG_UP_WAIT_US) {
      this.#socket.terminate();
    }
  }

  // ---- The socket ------------------------------------------------------------------------------------------------

  readonly #onMessage = (data: unknown, isBinary: boolean): void => {
    if (!(data instanceof Uint8Array) || this.#ended) return;
    const nowUs = this.#dependencies.clock.nowUs();
    this.#flow.received(data.length, nowUs);
    try {
      if (isBinary) this.session.binary(data, nowUs);
      else this.session.text(data, nowUs);
    } catch (thrown) {
      this.#internalError(thrown);
    }
  };

  /** See AudioPathDependencies. */
  readonly #onAudio = (samples: Interleaved, length: number): boolean => {
    if (this.#ended) return false;
    const nowUs = this.#dependencies.clock.nowUs();
    try {
      if (!this.session.wholeBinary(samples, length, nowUs)) return false;
    } catch (thrown) {
      this.#internalError(thrown);
    }
    this.#flow.received(length, nowUs);
    return true;
  };

  readonly #onPing = (data: Buffer): void => {
    this.#flow.received(data.length, this.#dependencies.clock.nowUs());
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return;
    socket.pong(data);
    this.#checkBuffered();
  };

  readonly #onPong = (data: Buffer): void => {
    this.#flow.received(data.length, this.#dependencies.clock.nowUs());
  };

  // A client that does not read cannot be sent an error either.
  #checkBuffered(): void {
    if (this.#socket.bufferedAmount <= this.#dependencies.outboundBytes) return;
    this.#fault ??= { kind: 'slowReader', info: 'Client does not read what is sent to it' };
    this.#socket.terminate();
  }

  // A violation of RFC 6455, or a message beyond the size limit. ws closes the connection, and 'close' follows.
  readonly #onBroken = ({ message }: Error): void => {
    this.#audioPath?.close();
    this.session.counts.faults += 1;
    this.#fault ??= { kind: 'protocol', info: message };
  };

  // The connection is closed, or superseded.
  readonly #end = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    const { session } = this;
    const nowUs = this.#dependencies.clock.nowUs();
    const broken = session.state === 'ACTIVE' || session.state === 'PAUSED';
    session.transportClosed(nowUs);
    const stream = this.#stream;
    const mayContinue = this.#fault === undefined || this.#fault.kind === 'superseded';
    if (broken && stream !== undefined && !stream.ended && mayContinue && !this.#dependencies.draining) {
      this.#dependencies.streams.detach(stream, this, 'lost', nowUs + this.#dependencies.lossWindowUs);
    } else {
      this.#releaseStreamSafely();
    }
    const { rttSeconds, language, closeReason, endReason, positionSamples, counts } = session;
    this.#dependencies.ended(this, {
      ...this.identity,
      ...this.#info,
      connectedAtMs: this.#connectedAtMs,
      endedAtMs: this.#dependencies.clock.wallMs(),
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

  // The stream, unless another session owns it now.
  get #ownStream(): AudioHookStream | undefined {
    return this.#stream?.owner === this ? this.#stream : undefined;
  }

  // An error here must not keep the session from being counted as ended.
  #releaseStreamSafely(): void {
    try {
      this.#releaseStream();
    } catch (thrown) {
      this.#dependencies.internalError(messageOf(thrown));
    }
  }

  // Ends the stream, or detaches it when the client announced another session. Returns the id of an ended stream.
  #releaseStream(): string | undefined {
    const stream = this.#stream;
    if (stream === undefined || stream.ended || stream.owner !== this) return undefined;
    const { streams, clock, draining, reconnectWindowUs } = this.#dependencies;
    const nowUs = clock.nowUs();
    if (stream.detachedUntilUs > 0) return undefined;
    if (this.session.closeReason === 'reconnect' && !draining) {
      streams.detach(stream, this, 'interrupted', nowUs + reconnectWindowUs);
      return undefined;
    }
    streams.end(stream, this, this.session.endReason, nowUs);
    return stream.interactionId;
  }

  #internalError(thrown: unknown): void {
    this.#fault ??= { kind: 'internal', info: 'Internal error' };
    this.#dependencies.internalError(messageOf(thrown));
    this.#socket.terminate();
  }
}
