import { EventEmitter } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { type Clock, systemClock } from '../core/clock.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import { US_PER_MS } from '../core/units.js';
import type { OrderedStreamIngest } from '../engine/ingest.js';
import { Admission, pathOf } from './admission.js';
import { AudioHookConnection } from './connection.js';
import type { AudioHookSessionInfo, AudioHookSessionSummary, ConnectionHost } from './connection-contract.js';
import type { AudioHookCounters, AudioHookRejection, AudioHookServerEvents } from './server-events.js';
import { AUDIOHOOK_LIMITS, type AudioHookLimits, type AudioHookServerOptions } from './server-options.js';
import { type OpenRequest, SESSION_TIMING, type SessionTiming } from './session-contract.js';
import { newSessionCounts, type SessionCounts } from './session-counts.js';
import { AudioHookSource } from './source.js';

const DEFAULT_PATH = '/audiohook/ws';
const DEFAULT_LOSS_WINDOW_MS = 5_000;
const DEFAULT_RECONNECT_WINDOW_MS = 15_000;
const TICK_MS = 100;
/** What close() allows for audio that waits for room in the engine. */
const CLOSE_FLOWING_MS = 5_000;

/**
 * The server that Genesys Cloud's AudioHook integration connects to. Takes sessions in, hands their audio to the engine
 * through `ingest`, and answers; whatever one client does, the others and the process go on.
 */
export class AudioHookServer extends EventEmitter<AudioHookServerEvents> {
  readonly #options: AudioHookServerOptions;
  readonly #limits: AudioHookLimits;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #admission: Admission;
  readonly #source: AudioHookSource;
  readonly #host: ConnectionHost & { draining: boolean };
  readonly #live = new Map<string, AudioHookConnection>();
  readonly #totals = newSessionCounts();
  readonly #events = {
    connected: 0,
    opened: 0,
    ended: 0,
    probes: 0,
    continued: 0,
    slowReaders: 0,
    throttled: 0,
    stalls: 0,
    internalErrors: 0,
  };
  #ticker: NodeJS.Timeout | undefined;
  #drained: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  /** @throws TrunklineError CONFIG_INVALID for keys that could let nobody in, or anybody. */
  constructor(ingest: OrderedStreamIngest, options: AudioHookServerOptions) {
    super();
    this.#options = options;
    this.#limits = { ...AUDIOHOOK_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#path = options.path ?? DEFAULT_PATH;
    this.#source = new AudioHookSource(ingest);
    this.#host = this.#makeHost({ ...SESSION_TIMING, ...options.timing });
    this.#admission = this.#makeAdmission();
    const { headerMs, messageBytes } = this.#limits;
    const http = {
      headersTimeout: headerMs,
      requestTimeout: headerMs,
      keepAliveTimeout: headerMs,
      // Node looks for late headers only every 30 s unless told otherwise.
      connectionsCheckingInterval: Math.max(100, headerMs / 4),
    };
    const { tls } = options;
    this.#http =
      tls === undefined ? createServer(http) : createTlsServer({ ...http, ...tls, handshakeTimeout: headerMs });
    this.#http.on('request', this.#onRequest);
    this.#http.on('upgrade', this.#onUpgrade);
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: messageBytes,
      // The session checks it, and answers with a message instead of a cut connection.
      skipUTF8Validation: true,
    });
  }

  /**
   * Starts to listen.
   * @throws TrunklineError CONNECTION_FAILED when the port cannot be had.
   */
  async listen(): Promise<{ readonly host: string; readonly port: number }> {
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error): void => {
        const { port } = this.#options;
        reject(
          new TrunklineError(
            'CONNECTION_FAILED',
            `Cannot listen on port ${port}: ${messageOf(error)}. Choose another port.`,
            { cause: error },
          ),
        );
      };
      this.#http.once('error', onError);
      this.#http.listen({ port: this.#options.port, host: this.#options.host, backlog: 1024 }, () => {
        this.#http.off('error', onError);
        this.#http.on('error', (error) => this.#internalError(messageOf(error)));
        resolve();
      });
    });
    this.#ticker = setInterval(this.#tick, TICK_MS);
    const { address, port } = this.#http.address() as AddressInfo;
    return { host: address, port };
  }

  get draining(): boolean {
    return this.#host.draining;
  }

  /** The live session of that id. */
  session(sessionId: string): AudioHookConnection | undefined {
    return this.#live.get(sessionId.toLowerCase());
  }

  /** The live session that feeds that interaction's stream. */
  sessionOf(interactionId: string): AudioHookConnection | undefined {
    const stream = this.#source.find(interactionId);
    return stream === undefined ? undefined : this.#live.get(stream.ownerSessionId);
  }

  /** The open sessions. */
  sessions(): AudioHookSessionInfo[] {
    return [...this.#live.values()].flatMap(({ info }) => info ?? []);
  }

  /**
   * Our own pause of an interaction, on or off. It outlasts the session: one that continues the interaction begins
   * paused. False when no such interaction is open.
   */
  setPaused(interactionId: string, paused: boolean): boolean {
    const stream = this.#source.find(interactionId);
    if (stream === undefined) return false;
    stream.paused = paused;
    const session = this.#live.get(stream.ownerSessionId);
    if (paused) session?.pause();
    else session?.resume();
    return true;
  }

  counters(): AudioHookCounters {
    const totals = { ...this.#totals };
    let { throttled, stalls } = this.#events;
    for (const connection of this.#live.values()) {
      addCounts(totals, connection.session.counts);
      throttled += connection.throttled;
      stalls += connection.stalls;
    }
    const { connected, opened, ended, probes, continued, slowReaders, internalErrors } = this.#events;
    return {
      sessionsLive: this.#live.size,
      streamsHeld: this.#source.heldStreams,
      sessionsConnected: connected,
      sessionsOpened: opened,
      sessionsEnded: ended,
      probes,
      continued,
      slowReaders,
      throttled,
      stalls,
      internalErrors,
      rejected: this.#admission.rejected,
      totals,
    };
  }

  /**
   * Takes no new sessions, asks every client to reconnect elsewhere, and at the deadline to close. Resolves when all
   * have gone; those that will not are cut off a while after the deadline. The health check answers 503 from now on.
   */
  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs);
    return this.#drained;
  }

  /** Cuts what is left, ends every stream and stops listening. */
  async close(): Promise<void> {
    this.#host.draining = true;
    clearInterval(this.#ticker);
    for (const connection of this.#live.values()) connection.terminate();
    this.#source.sweep(this.#clock.nowUs(), Number.POSITIVE_INFINITY);
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeAllConnections();
    await this.#idle();
    await closed;
    await settledWithin(this.#source.flowing(), CLOSE_FLOWING_MS);
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.#host.draining = true;
    this.#source.sweep(this.#clock.nowUs(), Number.POSITIVE_INFINITY);
    for (const connection of this.#live.values()) connection.requestReconnect('Server is shutting down');
    await this.#idle(deadlineMs);
    for (const connection of this.#live.values()) connection.disconnect('completed', 'Server is shutting down');
    await this.#idle(this.#host.timing.closeWaitUs / US_PER_MS);
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

  #makeHost(timing: SessionTiming): ConnectionHost & { draining: boolean } {
    const { options, limits } = { options: this.#options, limits: this.#limits };
    const { startPaused } = options;
    return {
      clock: this.#clock,
      source: this.#source,
      timing,
      inbound: { messagesPerSecond: limits.messagesPerSecond, burst: limits.messageBurst },
      outboundBytes: limits.outboundBytes,
      lossWindowUs: (options.lossWindowMs ?? DEFAULT_LOSS_WINDOW_MS) * US_PER_MS,
      reconnectWindowUs: (options.reconnectWindowMs ?? DEFAULT_RECONNECT_WINDOW_MS) * US_PER_MS,
      supportedLanguages: options.supportedLanguages ?? [],
      draining: false,
      startPaused: (request: OpenRequest) =>
        typeof startPaused === 'function' ? startPaused(request) : startPaused === true,
      finishStream: options.finishStream,
      opened: (_connection, info) => {
        this.#events.opened += 1;
        if (info.probe) this.#events.probes += 1;
        if (info.continued) this.#events.continued += 1;
        this.#notify('sessionOpened', info);
      },
      ended: this.#onEnded,
      internalError: (message) => this.#internalError(message),
    };
  }

  #makeAdmission(): Admission {
    const server = this;
    const host = {
      path: this.#path,
      get draining() {
        return server.draining;
      },
      get sessionsLive() {
        return server.#live.size;
      },
      isLive: (sessionId: string) => this.#live.has(sessionId),
      rejected: (rejection: AudioHookRejection) => this.#notify('rejected', rejection),
    };
    return new Admission(host, this.#options, this.#limits, this.#clock);
  }

  readonly #tick = (): void => {
    const nowUs = this.#clock.nowUs();
    for (const connection of this.#live.values()) connection.tick(nowUs);
    this.#source.sweep(nowUs);
  };

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const path = pathOf(request.url);
    if (path === '/health') {
      const status = this.draining ? 'draining' : 'ok';
      response.writeHead(this.draining ? 503 : 200, {
        'content-type': 'application/json',
        'cache-control': 'no-store',
      });
      response.end(`{"status":"${status}","sessions":${this.#live.size}}\n`);
      return;
    }
    const expectsUpgrade = path === this.#path;
    response.writeHead(expectsUpgrade ? 426 : 404, expectsUpgrade ? { upgrade: 'websocket' } : {});
    response.end();
  };

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // The peer may vanish at any time before ws takes over.
    socket.on('error', ignoreError);
    try {
      this.#upgrade(request, socket, head);
    } catch (thrown) {
      this.#internalError(messageOf(thrown));
      socket.destroy();
    }
  };

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const verdict = this.#admission.admit(request);
    if ('status' in verdict) {
      this.#admission.refuse(request, socket, verdict);
      return;
    }
    // Calls back within this turn, or answers 400 itself when it is no proper WebSocket request.
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#events.connected += 1;
      this.#admission.connected(verdict);
      this.#live.set(verdict.sessionId, new AudioHookConnection(webSocket, verdict, this.#host));
    });
  }

  readonly #onEnded = (connection: AudioHookConnection, summary: AudioHookSessionSummary): void => {
    this.#live.delete(connection.sessionId);
    this.#admission.left(connection.identity);
    addCounts(this.#totals, summary.counts);
    this.#events.ended += 1;
    this.#events.throttled += summary.throttled;
    this.#events.stalls += summary.stalls;
    if (summary.fault?.kind === 'slowReader') this.#events.slowReaders += 1;
    this.#notify('sessionEnded', summary);
    if (this.#live.size > 0) return;
    const onIdle = this.#onIdle;
    this.#onIdle = undefined;
    onIdle?.();
  };

  #internalError(message: string): void {
    this.#events.internalErrors += 1;
    this.#notify('internalError', message);
  }

  // A listener's own fault is not the session's.
  #notify<E extends keyof AudioHookServerEvents>(event: E, value: AudioHookServerEvents[E][0]): void {
    try {
      (this as EventEmitter).emit(event, value);
    } catch {
      this.#events.internalErrors += 1;
    }
  }
}

function ignoreError(): void {}

async function settledWithin(promise: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}

function addCounts(sum: SessionCounts, counts: Readonly<SessionCounts>): void {
  for (const name of Object.keys(sum) as (keyof SessionCounts)[]) sum[name] += counts[name];
}
