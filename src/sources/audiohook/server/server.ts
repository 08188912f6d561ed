import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { type Clock, systemClock } from '../../../core/clock.js';
import { GuardedEmitter, guardResult } from '../../../core/emitter.js';
import { messageOf } from '../../../core/errors.js';
import { US_PER_MS } from '../../../core/units.js';
import type { OrderedStreamIngest } from '../../../engine/input/ingest.js';
import { JsDeinterleaver } from '../protocol/deinterleave.js';
import { PublicAddress } from '../protocol/public-address.js';
import type { Authenticator } from '../protocol/signature.js';
import { type OpenRequest, SESSION_TIMING } from '../session/session-contract.js';
import type { StreamOwner } from '../session/stream.js';
import { AudioHookStreams, type ContinuationRefusal } from '../session/streams.js';
import { Admission, type AdmissionDependencies, type AdmittedClient } from './admission.js';
import { AudioHookConnection } from './connection.js';
import type { AudioHookSessionInfo, AudioHookSessionSummary, ConnectionDependencies } from './connection-contract.js';
import { Listener, type ListenerDependencies } from './listener.js';
import { authenticatorOf, type NonceFile } from './nonce-file.js';
import { ServerCounters } from './server-counters.js';
import type { AudioHookCounters, AudioHookHealth, AudioHookRejection, AudioHookServerEvents } from './server-events.js';
import {
  AUDIOHOOK_LIMITS,
  type AudioHookLimits,
  type AudioHookParts,
  type AudioHookServerOptions,
  checkServerOptions,
  DEFAULT_PATH,
  type Replacement,
} from './server-options.js';
import { FirstOccurrences } from './warnings.js';

const DEFAULT_REFUSAL_DELAY_MS = 500;
const DEFAULT_LOSS_WINDOW_MS = 5_000;
const DEFAULT_RECONNECT_WINDOW_MS = 15_000;
const TICK_MS = 100;
/** A tick that comes later than this shows that the process did not run, or hardly. */
const LATE_TICK_US = 100 * US_PER_MS;
/** What clients are given to close after the deadline of drain(). */
const DRAIN_CLOSE_WAIT_MS = 500;
/** The counters of live sessions are looked through for warnings every so many ticks. */
const WARNING_TICKS = 10;
/** How long close() waits for audio that waits for capacity in the engine. */
const CLOSE_FLOWING_MS = 5_000;

const CONTINUATION_REFUSED: Readonly<Record<ContinuationRefusal, string>> = {
  key: 'a session named a stream of another API key, and was given one of its own',
  call: 'a session named the stream of another call, and was given one of its own',
  format: 'a session continues a call in another format, in a stream of its own',
  ahead: 'a session was refused: its position is too far ahead of the clock',
};

/**
 * The server that Genesys Cloud's AudioHook integration connects to. Accepts sessions, answers them, and passes their
 * audio to the engine through `ingest`. Nothing that one client does affects the others or the process.
 */
export class AudioHookServer extends GuardedEmitter<AudioHookServerEvents> {
  readonly #options: AudioHookServerOptions;
  readonly #limits: AudioHookLimits;
  readonly #clock: Clock;
  readonly #admission: Admission;
  readonly #listener: Listener;
  /** The open streams, attached to a session or not. */
  readonly streams: AudioHookStreams;
  readonly #nonceFile: NonceFile | undefined;
  readonly #authenticator: Authenticator;
  readonly #dependencies: ConnectionDependencies & { draining: boolean };
  readonly #live = new Map<string, AudioHookConnection>();
  readonly #counters = new ServerCounters();
  readonly #warnings = new FirstOccurrences((warning) => this.#notify('warning', warning));
  #ticker: NodeJS.Timeout | undefined;
  #ticks = 0;
  #tickedUs = 0;
  #drained: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  /**
   * @throws TrunklineError CONFIG_INVALID for unknown or wrong options and for keys that would admit no client, or any
   *   client; FILE_FAILED when the nonce file cannot be written.
   */
  constructor(ingest: OrderedStreamIngest, options: AudioHookServerOptions, parts: AudioHookParts = {}) {
    super();
    checkServerOptions(options);
    this.#options = options;
    this.#limits = { ...AUDIOHOOK_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    const { audioByWs = false, deinterleaver = new JsDeinterleaver(ingest.ordered) } = parts;
    this.streams = new AudioHookStreams(ingest, deinterleaver, (reason, { sessionId }) => {
      this.#counters.continuationRefused(reason);
      this.#warnings.report(`continuation:${reason}`, CONTINUATION_REFUSED[reason], { sessionId });
    });
    const { publicAuthority = options.authority, publicPath, trustedProxies } = options;
    const publicAddress = new PublicAddress({ publicAuthority, publicPath, trustedProxies });
    const { authenticator, nonceFile } = authenticatorOf(options, this.#clock.wallMs(), (detail) => {
      this.#counters.nonceFileErrors += 1;
      this.#warnings.report('nonceFile', 'a nonce could not be written to the nonce file', { detail });
    });
    this.#nonceFile = nonceFile;
    this.#authenticator = authenticator;
    this.#dependencies = { ...this.#connectionDependencies(), audioByWs };
    this.#admission = new Admission(this.#admissionDependencies(authenticator, publicAddress));
    this.#listener = new Listener(this.#listenerDependencies(), this.#admission, options, this.#limits);
  }

  /**
   * Starts to take connections. Returns the address of the HTTP server; undefined when it does not listen, or not on a
   * port.
   * @throws TrunklineError CONNECTION_FAILED when it cannot listen on the port.
   */
  async listen(): Promise<{ readonly host: string; readonly port: number } | undefined> {
    await this.#listener.listen();
    this.#tickedUs = this.#clock.nowUs();
    this.#ticker = setInterval(this.#tick, TICK_MS);
    return this.address;
  }

  /** See AudioHook.replace(). */
  replace({ keys, tls }: Replacement): void {
    this.#authenticator.useKeys(keys);
    if (tls !== undefined) this.#listener.useCertificate(tls);
  }

  /** The address of the HTTP server, its own or the embedder's; undefined when it does not listen, or not on a port. */
  get address(): { readonly host: string; readonly port: number } | undefined {
    const bound = this.#listener.address();
    return bound && { host: bound.address, port: bound.port };
  }

  /**
   * Takes a WebSocket request of the embedder's HTTP server, with the arguments of its `upgrade` event. False, and
   * nothing done, when the request is for another path.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    return this.#listener.handleUpgrade(request, socket, head);
  }

  /** The answer of the health check. */
  health(): AudioHookHealth {
    const sessions = this.#live.size;
    if (this.draining) return { status: 'draining', sessions };
    const problems = this.#options.problems?.() ?? [];
    return problems.length === 0 ? { status: 'ok', sessions } : { status: 'failing', sessions, problems };
  }

  get draining(): boolean {
    return this.#dependencies.draining;
  }

  /** The live session of that id. */
  session(sessionId: string): AudioHookConnection | undefined {
    return this.#live.get(sessionId.toLowerCase());
  }

  /** The live session of that interaction. */
  sessionOf(interactionId: string): AudioHookConnection | undefined {
    const stream = this.streams.find(interactionId);
    return stream === undefined ? undefined : this.#live.get(stream.ownerSessionId);
  }

  /** The open sessions. */
  sessions(): AudioHookSessionInfo[] {
    return [...this.#live.values()].flatMap(({ info }) => info ?? []);
  }

  /**
   * Begins or ends our own pause of an interaction. A session that continues the interaction begins paused. False when
   * no such interaction is open.
   */
  setPaused(interactionId: string, paused: boolean): boolean {
    const stream = this.streams.find(interactionId);
    if (stream === undefined) return false;
    const session = this.#live.get(stream.ownerSessionId);
    if (session === undefined && stream.paused !== paused) {
      const { sessionId, positionSamples } = stream.owner;
      const change = { sessionId, interactionId, by: 'server', paused, withheld: paused, positionSamples } as const;
      this.#notify('pauseChanged', change);
    }
    stream.paused = paused;
    if (paused) session?.pause();
    else session?.resume();
    return true;
  }

  /** Asks the client to close the session; a stream without one ends at once. False when no such interaction is open. */
  end(interactionId: string): boolean {
    const session = this.sessionOf(interactionId);
    session?.disconnect('completed', 'Ended by the operator');
    return session !== undefined || this.streams.endDetachedOf(interactionId, this.#clock.nowUs());
  }

  counters(): AudioHookCounters {
    return {
      sessionsLive: this.#live.size,
      streamsDetached: this.streams.detachedCount,
      rejected: this.#admission.rejected,
      ...this.#counters.with(this.#live.values()),
    };
  }

  refusals(): Record<string, number> {
    return this.#counters.refusals(this.#live.values(), this.#admission.rejected);
  }

  /**
   * Accepts no new sessions, asks every client to reconnect elsewhere, and at the deadline to close. Resolves when all
   * are gone; clients that do not close are disconnected shortly after the deadline. The health check answers 503.
   */
  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs);
    return this.#drained;
  }

  /** Closes every connection, ends every stream and stops listening. */
  async close(): Promise<void> {
    this.#dependencies.draining = true;
    clearInterval(this.#ticker);
    for (const connection of this.#live.values()) connection.terminate();
    this.streams.endDetached(this.#clock.nowUs(), Number.POSITIVE_INFINITY);
    const closed = this.#listener.close();
    await this.#idle();
    await closed;
    this.#nonceFile?.close();
    await settledWithin(this.streams.flowing(), CLOSE_FLOWING_MS);
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.#dependencies.draining = true;
    this.streams.endDetached(this.#clock.nowUs(), Number.POSITIVE_INFINITY);
    for (const connection of this.#live.values()) connection.requestReconnect('Server is shutting down');
    await this.#idle(deadlineMs);
    for (const connection of this.#live.values()) connection.disconnect('completed', 'Server is shutting down');
    await this.#idle(Math.min(DRAIN_CLOSE_WAIT_MS, this.#dependencies.timing.closeWaitUs / US_PER_MS));
    for (const connection of this.#live.values()) connection.terminate();
    await this.#idle();
  }

  // Resolves when no session is left, or after `timeoutMs`.
  #idle(timeoutMs?: number): Promise<void> {
    if (this.#live.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs);
      const before = this.#onIdle;
      this.#onIdle = () => {
        clearTimeout(timer);
        before?.();
        resolve();
      };
    });
  }

  #connectionDependencies(): Omit<ConnectionDependencies, 'audioByWs'> & { draining: boolean } {
    const { options, limits } = { options: this.#options, limits: this.#limits };
    const { startPaused = false, discardToSeconds = 0 } = options;
    return {
      clock: this.#clock,
      streams: this.streams,
      timing: { ...SESSION_TIMING, ...options.timing },
      inbound: { messagesPerSecond: limits.messagesPerSecond, burst: limits.messageBurst },
      outboundBytes: limits.outboundBytes,
      messageBytes: limits.messageBytes,
      lossWindowUs: (options.lossWindowMs ?? DEFAULT_LOSS_WINDOW_MS) * US_PER_MS,
      reconnectWindowUs: (options.reconnectWindowMs ?? DEFAULT_RECONNECT_WINDOW_MS) * US_PER_MS,
      supportedLanguages: options.supportedLanguages ?? [],
      draining: false,
      // Only a plain false lets audio through: a promise or a forgotten return must not.
      startPaused: (request: OpenRequest) =>
        (typeof startPaused === 'function' ? this.#answerOf(startPaused(request)) : startPaused) !== false,
      discardToSeconds: (request: OpenRequest) =>
        typeof discardToSeconds === 'function' ? this.#answerOf(discardToSeconds(request)) : discardToSeconds,
      finishStream: options.finishStream,
      opened: (info, seconds) => {
        this.#counters.opened(info, seconds);
        this.#notify('sessionOpened', info);
      },
      ended: (connection, summary) => this.#onEnded(connection, summary),
      pauseChanged: (change) => this.#notify('pauseChanged', change),
      internalError: (message) => this.#internalError(message),
    };
  }

  #admissionDependencies(authenticator: Authenticator, publicAddress: PublicAddress): AdmissionDependencies {
    const server = this;
    return {
      path: this.#options.path ?? DEFAULT_PATH,
      get draining() {
        return server.draining;
      },
      get sessionsLive() {
        return server.#live.size;
      },
      authenticator,
      publicAddress,
      clock: this.#clock,
      limits: this.#limits,
      refusalDelayMs: this.#options.refusalDelayMs ?? DEFAULT_REFUSAL_DELAY_MS,
      liveSession: (sessionId) => this.#live.get(sessionId),
      rejected: (rejection) => this.#onRejected(rejection),
    };
  }

  #listenerDependencies(): ListenerDependencies {
    return {
      path: this.#options.path ?? DEFAULT_PATH,
      health: () => this.health(),
      connected: (socket, transport, client) => this.#onConnected(socket, transport, client),
      internalError: (message) => this.#internalError(message),
    };
  }

  #onConnected(socket: WebSocket, transport: Duplex, client: AdmittedClient): void {
    const { sessionId } = client.identity;
    const earlier = this.#live.get(sessionId);
    if (earlier !== undefined) {
      this.#counters.takenOver += 1;
      earlier.supersede();
    }
    this.#counters.sessionsConnected += 1;
    this.#admission.connected(client.identity);
    this.#live.set(sessionId, new AudioHookConnection(socket, transport, client, this.#dependencies));
  }

  readonly #tick = (): void => {
    const nowUs = this.#clock.nowUs();
    this.#extendTimersWhenLate(nowUs);
    for (const connection of this.#live.values()) connection.tick(nowUs);
    this.streams.endDetached(nowUs);
    this.#ticks += 1;
    if (this.#ticks % WARNING_TICKS !== 0) return;
    for (const { session, sessionId } of this.#live.values()) this.#warnings.check(session.counts, sessionId);
  };

  /**
   * After a stall of the process, timers run before sockets are read: pings, audio and new connections of that time are
   * still unread. The time does not count against the clients.
   */
  #extendTimersWhenLate(nowUs: number): void {
    const lateUs = nowUs - this.#tickedUs - TICK_MS * US_PER_MS;
    this.#tickedUs = nowUs;
    if (lateUs < LATE_TICK_US) return;
    for (const connection of this.#live.values()) connection.extendTimers(lateUs, nowUs);
    this.streams.extendTimers(lateUs);
  }

  #onEnded(connection: StreamOwner, summary: AudioHookSessionSummary): void {
    const { sessionId, counts, droppedSamples } = summary;
    if (this.#live.get(sessionId) === connection) this.#live.delete(sessionId);
    this.#admission.disconnected(summary);
    this.#counters.ended(summary);
    this.#warnings.check(counts, sessionId);
    if (droppedSamples > 0) {
      this.#warnings.report('droppedSamples', 'audio came after the engine had ended its stream', { sessionId });
    }
    this.#notify('sessionEnded', summary);
    if (this.#live.size > 0) return;
    const onIdle = this.#onIdle;
    this.#onIdle = undefined;
    onIdle?.();
  }

  #onRejected(rejection: AudioHookRejection): void {
    const { reason, sessionId, detail } = rejection;
    this.#warnings.report(`rejected:${reason}`, `a request was refused: ${reason}`, {
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(detail === undefined ? {} : { detail }),
    });
    this.#notify('rejected', rejection);
  }

  #internalError(message: string): void {
    this.#counters.internalErrors += 1;
    this.#notify('internalError', message);
  }

  #notify<E extends keyof AudioHookServerEvents>(event: E, value: AudioHookServerEvents[E][0]): void {
    (this as EventEmitter).emit(event, value);
  }

  /** An error in a listener does not affect the session. */
  protected override report(_thrown: unknown): void {
    this.#counters.internalErrors += 1;
  }

  /** What an embedder's callback has returned; a promise is not an answer, and its rejection is counted. */
  #answerOf<T>(answer: T): T {
    guardResult(answer, (thrown) => this.#internalError(messageOf(thrown)));
    return answer;
  }
}

async function settledWithin(promise: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}
