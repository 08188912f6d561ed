import { EventEmitter } from 'node:events';
import { type Clock, systemClock } from '../../../core/clock.js';
import { US_PER_MS } from '../../../core/units.js';
import type { OrderedStreamIngest } from '../../../engine/input/ingest.js';
import { type OpenRequest, SESSION_TIMING, type SessionTiming } from '../session/session-contract.js';
import { newSessionCounts, type SessionCounts } from '../session/session-counts.js';
import { AudioHookStreams } from '../session/streams.js';
import { Admission, type AdmissionDependencies } from './admission.js';
import { AudioHookConnection } from './connection.js';
import type { AudioHookSessionInfo, AudioHookSessionSummary, ConnectionDependencies } from './connection-contract.js';
import { Listener, type ListenerDependencies } from './listener.js';
import type { AudioHookCounters, AudioHookServerEvents } from './server-events.js';
import { AUDIOHOOK_LIMITS, type AudioHookLimits, type AudioHookServerOptions } from './server-options.js';

const DEFAULT_PATH = '/audiohook/ws';
const DEFAULT_LOSS_WINDOW_MS = 5_000;
const DEFAULT_RECONNECT_WINDOW_MS = 15_000;
const TICK_MS = 100;
/** How long close() waits for audio that waits for capacity in the engine. */
const CLOSE_FLOWING_MS = 5_000;

/**
 * The server that Genesys Cloud's AudioHook integration connects to. Accepts sessions, answers them, and passes their
 * audio to the engine through `ingest`. Nothing that one client does affects the others or the process.
 */
export class AudioHookServer extends EventEmitter<AudioHookServerEvents> {
  readonly #options: AudioHookServerOptions;
  readonly #limits: AudioHookLimits;
  readonly #clock: Clock;
  readonly #admission: Admission;
  readonly #listener: Listener;
  readonly #streams: AudioHookStreams;
  readonly #dependencies: ConnectionDependencies & { draining: boolean };
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

  /** @throws TrunklineError CONFIG_INVALID for keys that would admit no client, or any client. */
  constructor(ingest: OrderedStreamIngest, options: AudioHookServerOptions) {
    super();
    this.#options = options;
    this.#limits = { ...AUDIOHOOK_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#streams = new AudioHookStreams(ingest);
    this.#dependencies = this.#connectionDependencies({ ...SESSION_TIMING, ...options.timing });
    const dependencies = this.#admissionDependencies();
    this.#admission = new Admission(dependencies, options, this.#limits, this.#clock);
    this.#listener = new Listener(dependencies, this.#admission, options, this.#limits);
  }

  /**
   * Starts to listen.
   * @throws TrunklineError CONNECTION_FAILED when it cannot listen on the port.
   */
  async listen(): Promise<{ readonly host: string; readonly port: number }> {
    const address = await this.#listener.listen();
    this.#ticker = setInterval(this.#tick, TICK_MS);
    return address;
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
    const stream = this.#streams.find(interactionId);
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
    const stream = this.#streams.find(interactionId);
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
      streamsDetached: this.#streams.detachedCount,
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
    this.#streams.endDetached(this.#clock.nowUs(), Number.POSITIVE_INFINITY);
    const closed = this.#listener.close();
    await this.#idle();
    await closed;
    await settledWithin(this.#streams.flowing(), CLOSE_FLOWING_MS);
  }

  async #drain(deadlineMs: number): Promise<void> {
    this.#dependencies.draining = true;
    this.#streams.endDetached(this.#clock.nowUs(), Number.POSITIVE_INFINITY);
    for (const connection of this.#live.values()) connection.requestReconnect('Server is shutting down');
    await this.#idle(deadlineMs);
    for (const connection of this.#live.values()) connection.disconnect('completed', 'Server is shutting down');
    await this.#idle(this.#dependencies.timing.closeWaitUs / US_PER_MS);
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

  #connectionDependencies(timing: SessionTiming): ConnectionDependencies & { draining: boolean } {
    const { options, limits } = { options: this.#options, limits: this.#limits };
    const { startPaused, discardToSeconds = 0 } = options;
    return {
      clock: this.#clock,
      streams: this.#streams,
      timing,
      inbound: { messagesPerSecond: limits.messagesPerSecond, burst: limits.messageBurst },
      outboundBytes: limits.outboundBytes,
      lossWindowUs: (options.lossWindowMs ?? DEFAULT_LOSS_WINDOW_MS) * US_PER_MS,
      reconnectWindowUs: (options.reconnectWindowMs ?? DEFAULT_RECONNECT_WINDOW_MS) * US_PER_MS,
      supportedLanguages: options.supportedLanguages ?? [],
      draining: false,
      startPaused: (request: OpenRequest) =>
        typeof startPaused === 'function' ? startPaused(request) : startPaused === true,
      discardToSeconds: (request: OpenRequest) =>
        typeof discardToSeconds === 'function' ? discardToSeconds(request) : discardToSeconds,
      finishStream: options.finishStream,
      opened: (info) => {
        this.#events.opened += 1;
        if (info.probe) this.#events.probes += 1;
        if (info.continued) this.#events.continued += 1;
        this.#notify('sessionOpened', info);
      },
      ended: this.#onEnded,
      internalError: (message) => this.#internalError(message),
    };
  }

  #admissionDependencies(): AdmissionDependencies & ListenerDependencies {
    const server = this;
    return {
      path: this.#options.path ?? DEFAULT_PATH,
      get draining() {
        return server.draining;
      },
      get sessionsLive() {
        return server.#live.size;
      },
      isLive: (sessionId) => this.#live.has(sessionId),
      rejected: (rejection) => this.#notify('rejected', rejection),
      connected: (socket, identity) => {
        this.#events.connected += 1;
        this.#admission.connected(identity);
        this.#live.set(identity.sessionId, new AudioHookConnection(socket, identity, this.#dependencies));
      },
      internalError: (message) => this.#internalError(message),
    };
  }

  readonly #tick = (): void => {
    const nowUs = this.#clock.nowUs();
    for (const connection of this.#live.values()) connection.tick(nowUs);
    this.#streams.endDetached(nowUs);
  };

  readonly #onEnded = (summary: AudioHookSessionSummary): void => {
    this.#live.delete(summary.sessionId);
    this.#admission.disconnected(summary);
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

  // An error in a listener must not affect the session.
  #notify<E extends keyof AudioHookServerEvents>(event: E, value: AudioHookServerEvents[E][0]): void {
    try {
      (this as EventEmitter).emit(event, value);
    } catch {
      this.#events.internalErrors += 1;
    }
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

function addCounts(sum: SessionCounts, counts: Readonly<SessionCounts>): void {
  for (const name of Object.keys(sum) as (keyof SessionCounts)[]) sum[name] += counts[name];
}
