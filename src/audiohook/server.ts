import { EventEmitter } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { type Clock, systemClock } from '../core/clock.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import { US_PER_MS } from '../core/units.js';
import type { StreamIngest } from '../engine/ingest.js';
import {
  AudioHookConnection,
  type AudioHookSessionInfo,
  type AudioHookSessionSummary,
  type ConnectionHost,
  type ConnectionIdentity,
} from './connection.js';
import type { AudioHookCounters, AudioHookServerEvents, RejectionReason } from './server-events.js';
import { AUDIOHOOK_LIMITS, type AudioHookLimits, type AudioHookServerOptions } from './server-options.js';
import { type OpenRequest, SESSION_TIMING, type SessionTiming } from './session-contract.js';
import { newSessionCounts, type SessionCounts } from './session-counts.js';
import { Authenticator } from './signature.js';
import { AudioHookSource } from './source.js';
import { TokenBucket } from './token-bucket.js';
import { isUuid } from './wire.js';

const DEFAULT_PATH = '/audiohook/ws';
const DEFAULT_REFUSAL_DELAY_MS = 500;
const DEFAULT_LOSS_WINDOW_MS = 5_000;
const DEFAULT_RECONNECT_WINDOW_MS = 15_000;
const TICK_MS = 100;
/** Refused requests that wait for their answer; beyond them connections are cut without one. */
const MAX_DELAYED_REFUSALS = 1_024;

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
  readonly #authenticator: Authenticator;
  readonly #source: AudioHookSource;
  readonly #host: ConnectionHost & { draining: boolean };
  readonly #handshakes: TokenBucket;
  readonly #live = new Map<string, AudioHookConnection>();
  readonly #liveByOrganization = new Map<string, number>();
  readonly #rejected: Partial<Record<RejectionReason, number>> = {};
  readonly #totals = newSessionCounts();
  readonly #events = {
    connected: 0,
    opened: 0,
    ended: 0,
    probes: 0,
    continued: 0,
    slowReaders: 0,
    throttled: 0,
    internalErrors: 0,
  };
  #delayedRefusals = 0;
  #ticker: NodeJS.Timeout | undefined;
  #drained: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  /** @throws TrunklineError CONFIG_INVALID for keys that could let nobody in, or anybody. */
  constructor(ingest: StreamIngest, options: AudioHookServerOptions) {
    super();
    this.#options = options;
    this.#limits = { ...AUDIOHOOK_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#path = options.path ?? DEFAULT_PATH;
    this.#source = new AudioHookSource(ingest);
    this.#authenticator = new Authenticator(options);
    const { handshakesPerSecond, headerMs, messageBytes } = this.#limits;
    this.#handshakes = new TokenBucket(handshakesPerSecond, 2 * handshakesPerSecond, this.#clock.nowUs());
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
    this.#host = this.#makeHost({ ...SESSION_TIMING, ...options.timing });
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
    let { throttled } = this.#events;
    for (const connection of this.#live.values()) {
      addCounts(totals, connection.session.counts);
      throttled += connection.throttled;
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
      internalErrors,
      rejected: { ...this.#rejected },
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
    const verdict = this.#admit(request);
    if ('status' in verdict) {
      if (verdict.status === 401) this.#refuseLater(request, socket, verdict);
      else this.#reject(request, socket, verdict);
      return;
    }
    // Calls back within this turn, or answers 400 itself when it is no proper WebSocket request.
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#events.connected += 1;
      this.#countOrganization(verdict.organizationId, 1);
      this.#live.set(verdict.sessionId, new AudioHookConnection(webSocket, verdict, this.#host));
    });
  }

  // What a stranger can learn comes after the signature; what costs us work, before it.
  #admit(request: IncomingMessage): ConnectionIdentity | Refusal {
    const { clock, draining } = this.#host;
    if (pathOf(request.url) !== this.#path) return { status: 404, reason: 'path' };
    if (draining) return { status: 503, reason: 'draining' };
    if (!this.#handshakes.tryTake(1, clock.nowUs())) return { status: 429, reason: 'handshakeRate' };
    const signed = { method: request.method ?? 'GET', target: request.url ?? '/', headers: request.headersDistinct };
    const auth = this.#authenticator.verify(signed, clock.wallMs());
    if (!auth.ok) return { status: 401, reason: auth.reason };
    const identity = identityOf(request);
    if (identity === undefined) return { status: 400, reason: 'identity' };
    const { sessions, sessionsPerOrganization } = this.#limits;
    if (this.#live.size >= sessions) return { status: 503, reason: 'sessionLimit' };
    const ofOrganization = this.#liveByOrganization.get(identity.organizationId) ?? 0;
    if (ofOrganization >= sessionsPerOrganization) return { status: 429, reason: 'organizationLimit' };
    if (this.#live.has(identity.sessionId)) return { status: 409, reason: 'sessionLive' };
    return identity;
  }

  #refuseLater(request: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    if (this.#delayedRefusals >= MAX_DELAYED_REFUSALS) {
      this.#note(request, refusal);
      socket.destroy();
      return;
    }
    this.#delayedRefusals += 1;
    setTimeout(() => {
      this.#delayedRefusals -= 1;
      this.#reject(request, socket, refusal);
    }, this.#options.refusalDelayMs ?? DEFAULT_REFUSAL_DELAY_MS).unref();
  }

  #reject(request: IncomingMessage, socket: Duplex, refusal: Refusal): void {
    this.#note(request, refusal);
    const line = `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`;
    socket.end(`${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
  }

  #note(request: IncomingMessage, { status, reason }: Refusal): void {
    this.#rejected[reason] = (this.#rejected[reason] ?? 0) + 1;
    const { remoteAddress } = request.socket;
    const from = remoteAddress === undefined ? {} : { remoteAddress };
    this.#notify('rejected', { reason, status, ...identityOf(request), ...from });
  }

  readonly #onEnded = (connection: AudioHookConnection, summary: AudioHookSessionSummary): void => {
    const { sessionId, organizationId } = connection.identity;
    this.#live.delete(sessionId);
    this.#countOrganization(organizationId, -1);
    addCounts(this.#totals, summary.counts);
    this.#events.ended += 1;
    this.#events.throttled += summary.throttled;
    if (summary.fault?.kind === 'slowReader') this.#events.slowReaders += 1;
    this.#notify('sessionEnded', summary);
    if (this.#live.size > 0) return;
    const onIdle = this.#onIdle;
    this.#onIdle = undefined;
    onIdle?.();
  };

  #countOrganization(organizationId: string, change: number): void {
    const count = (this.#liveByOrganization.get(organizationId) ?? 0) + change;
    if (count > 0) this.#liveByOrganization.set(organizationId, count);
    else this.#liveByOrganization.delete(organizationId);
  }

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

interface Refusal {
  readonly status: number;
  readonly reason: RejectionReason;
}

function ignoreError(): void {}

function pathOf(url: string | undefined): string {
  return url?.split('?', 1)[0] ?? '';
}

function identityOf(request: IncomingMessage): ConnectionIdentity | undefined {
  const sessionId = request.headers['audiohook-session-id'];
  const organizationId = request.headers['audiohook-organization-id'];
  const correlationId = request.headers['audiohook-correlation-id'];
  if (typeof sessionId !== 'string' || !isUuid(sessionId)) return undefined;
  if (typeof organizationId !== 'string' || !isUuid(organizationId)) return undefined;
  return {
    sessionId: sessionId.toLowerCase(),
    organizationId: organizationId.toLowerCase(),
    correlationId: typeof correlationId === 'string' && isUuid(correlationId) ? correlationId.toLowerCase() : '',
  };
}

function addCounts(sum: SessionCounts, counts: Readonly<SessionCounts>): void {
  for (const name of Object.keys(sum) as (keyof SessionCounts)[]) sum[name] += counts[name];
}
