import type { WebSocket } from 'ws';
import type { Clock } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import type { EndReason } from '../core/events.js';
import { US_PER_SECOND } from '../core/units.js';
import type { MediaChannel } from './media.js';
import { AudioHookSession } from './session.js';
import type { OpenRequest, SessionFault, SessionOutput, SessionTiming } from './session-contract.js';
import type { SessionCounts } from './session-counts.js';
import { type AudioHookSource, type AudioHookStream, openFailure } from './source.js';
import { TokenBucket } from './token-bucket.js';
import type { CloseReason, EventEntity } from './wire.js';

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
  /** Samples, of all channels, that the engine had no room for. */
  readonly droppedSamples: number;
  /** Times that reading was held up because the client sent too much too fast. */
  readonly throttled: number;
  /** As the client measured it last. */
  readonly rttSeconds?: number;
  readonly language?: string;
  readonly counts: Readonly<SessionCounts>;
}

/** What a connection needs of its server. */
export interface ConnectionHost {
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
  /** Resolves when the stream's files are finished; undefined when there is nothing to wait for. */
  finishStream: ((interactionId: string) => Promise<void>) | undefined;
  opened(connection: AudioHookConnection, info: AudioHookSessionInfo): void;
  ended(connection: AudioHookConnection, summary: AudioHookSessionSummary): void;
  internalError(message: string): void;
}

/** Bytes that weigh as much as one message when a client sends faster than anybody speaks. */
const BYTES_PER_TOKEN = 2048;

/** From our own close frame to the end of patience with its answer. */
const HANG_UP_WAIT_US = 2 * US_PER_SECOND;

/** A session on its socket: carries bytes in, texts out, and audio on to the stream. */
export class AudioHookConnection implements SessionOutput {
  readonly identity: ConnectionIdentity;
  readonly session: AudioHookSession;
  readonly #host: ConnectionHost;
  readonly #socket: WebSocket;
  readonly #inbound: TokenBucket;
  readonly #connectedAtMs: number;
  #stream: AudioHookStream | undefined;
  #info: AudioHookSessionInfo | undefined;
  #fault: AudioHookSessionSummary['fault'];
  #stoppedUntilUs = 0;
  #throttled = 0;
  #hungUpUs = -1;

  constructor(socket: WebSocket, identity: ConnectionIdentity, host: ConnectionHost) {
    const nowUs = host.clock.nowUs();
    this.identity = identity;
    this.#host = host;
    this.#socket = socket;
    this.#connectedAtMs = host.clock.wallMs();
    this.#inbound = new TokenBucket(host.inbound.messagesPerSecond, host.inbound.burst, nowUs);
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
    return this.#throttled;
  }

  // ---- What the embedder may do ----------------------------------------------------------------------------------

  pause(): void {
    if (this.#stream?.ownerSessionId === this.identity.sessionId) this.#stream.paused = true;
    this.session.pause(this.#host.clock.nowUs());
  }

  resume(): void {
    if (this.#stream?.ownerSessionId === this.identity.sessionId) this.#stream.paused = false;
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
    if (this.#stoppedUntilUs > 0 && nowUs >= this.#stoppedUntilUs) {
      this.#stoppedUntilUs = 0;
      this.#socket.resume();
    }
    if (this.#stream?.ownerSessionId === this.identity.sessionId) this.#stream.release(nowUs);
    try {
      this.session.tick(nowUs);
    } catch (thrown) {
      this.#internalError(thrown);
    }
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
        const opened = host.source.open(this.identity.sessionId, request, request.media, nowUs);
        this.#stream = opened.stream;
        opened.stream.positionOf = () => this.session.positionSamples;
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
    this.session.accept({ startPaused, supportedLanguages, baseSamples }, nowUs);
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
    const stream = this.#stream;
    if (stream?.ownerSessionId === this.identity.sessionId) stream.audio(bytes, positionSamples, nowUs);
  }

  flush(): void {
    const stream = this.#stream;
    if (stream?.ownerSessionId === this.identity.sessionId) stream.flush(this.#host.clock.nowUs());
  }

  mark(state: 'paused' | 'discarded', startSamples: number, lengthSamples: number): void {
    const stream = this.#stream;
    if (stream?.ownerSessionId !== this.identity.sessionId) return;
    stream.mark(state, startSamples, lengthSamples, this.#host.clock.nowUs());
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
    const overdrawnUs = this.#inbound.spend(1 + data.length / BYTES_PER_TOKEN, nowUs);
    if (overdrawnUs > 0) this.#stopReading(nowUs + overdrawnUs);
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
      throttled: this.#throttled,
      counts,
      ...(closeReason === undefined ? {} : { closeReason }),
      ...(this.#fault === undefined ? {} : { fault: this.#fault }),
      ...(rttSeconds < 0 ? {} : { rttSeconds }),
      ...(language === undefined ? {} : { language }),
    });
  };

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

  // Not a drop: TCP makes the client wait. Everything it sent is taken in the end.
  #stopReading(untilUs: number): void {
    if (this.#stoppedUntilUs === 0) {
      this.#throttled += 1;
      this.#socket.pause();
    }
    this.#stoppedUntilUs = untilUs;
  }

  #internalError(thrown: unknown): void {
    this.#fault ??= { kind: 'internal', info: 'Internal error' };
    this.#host.internalError(messageOf(thrown));
    this.#socket.terminate();
  }
}
