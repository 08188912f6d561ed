import type { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Server as TlsServer } from 'node:tls';
import { z } from 'zod';
import { parseOptions } from '../../config/options.js';
import { systemClock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import type { AuditFields, SilenceEdge } from '../../core/events.js';
import type { HealthCheck } from '../../core/health.js';
import { checkCertifiedKey } from '../../core/network/certificate.js';
import { TokenBucket } from '../../core/network/token-bucket.js';
import { nativeDeinterleaver } from '../../native/deinterleaver.js';
import type { Source, SourceContext, SourceInteraction } from '../source.js';
import { formatDuration } from './protocol/duration.js';
import { Authenticator } from './protocol/signature.js';
import type { EventEntity } from './protocol/wire.js';
import type { AudioHookSessionInfo, AudioHookSessionSummary } from './server/connection-contract.js';
import { AudioHookServer } from './server/server.js';
import { ServerCounters } from './server/server-counters.js';
import type { AudioHookCounters, AudioHookHealth, AudioHookRejection } from './server/server-events.js';
import {
  type AudioHookServerOptions,
  checkServerOptions,
  DEFAULT_PATH,
  type Replacement,
} from './server/server-options.js';

/** Events that AudioHook adds to its node. */
export interface AudioHookEvents {
  /** A client's `open` has been answered. Probes come as well. */
  sessionOpened: [info: AudioHookSessionInfo];
  /** A connection was closed; it may not have had a session. */
  sessionEnded: [summary: AudioHookSessionSummary];
  /** A request was refused; the client received only the HTTP status. */
  rejected: [rejection: AudioHookRejection];
}

export interface AudioHookOptions extends Omit<AudioHookServerOptions, 'clock' | 'finishStream'> {
  /** Name of the source in the node; default `audiohook`. Two of them in one node need two names. */
  readonly name?: string;
  /**
   * Report to each client where its channels fall silent and become audible again, as `event` entities of type
   * `trunkline.silence`; default false.
   */
  readonly silenceEvents?: boolean;
  /** Milliseconds that clients are given to leave by themselves when the node closes; default 10,000. */
  readonly drainMs?: number;
}

export interface AudioHookStatus {
  readonly draining: boolean;
  readonly sessions: readonly AudioHookSessionInfo[];
  readonly counters: AudioHookCounters;
}

const DEFAULT_DRAIN_MS = 10_000;
/** Refusals beyond this rate are counted, but not reported one by one. */
const REFUSALS_REPORTED_PER_SECOND = 5;
const REFUSALS_REPORTED_AT_ONCE = 50;

const NOT_STARTED: AudioHookStatus = {
  draining: false,
  sessions: [],
  counters: {
    sessionsLive: 0,
    streamsDetached: 0,
    rejected: {},
    ...new ServerCounters().with([]),
  },
};

const ownSchema = z.strictObject({
  name: z.string().min(1).exactOptional(),
  silenceEvents: z.boolean().exactOptional(),
  drainMs: z.number().nonnegative().max(3_600_000).exactOptional(),
});

/** The server that Genesys Cloud's AudioHook integration connects to, as a source. Made by audioHook(). */
export class AudioHook implements Source<AudioHookEvents, AudioHookStatus> {
  readonly name: string;
  readonly kind = 'audiohook';
  readonly eventTypes?: AudioHookEvents;
  readonly #options: AudioHookOptions;
  #server: AudioHookServer | undefined;
  #refusals: TokenBucket | undefined;
  #isClosed = false;

  /** @throws TrunklineError CONFIG_INVALID for keys or a certificate that cannot be right. */
  constructor(options: AudioHookOptions) {
    const { name, silenceEvents, drainMs, ...server } = options;
    parseOptions('audioHook()', ownSchema, { name, silenceEvents, drainMs });
    checkServerOptions(server);
    new Authenticator({ ...server, notBeforeMs: systemClock.wallMs() });
    if (server.tls !== undefined) checkCertifiedKey(server.tls, systemClock.wallMs());
    this.name = name ?? 'audiohook';
    this.#options = options;
  }

  /**
   * Listens. Resolves when clients can connect.
   * @throws TrunklineError CONNECTION_FAILED when it cannot listen on the port.
   */
  async start(context: SourceContext<AudioHookEvents>): Promise<void> {
    if (this.#isClosed) throw closed();
    const { name: _name, silenceEvents, drainMs: _drainMs, ...options } = this.#options;
    const { clock, ingest, native } = context;
    const deinterleaver = native === 'off' ? undefined : nativeDeinterleaver(ingest.ordered);
    const server = new AudioHookServer(
      ingest,
      {
        ...options,
        clock,
        finishStream: (interactionId) => context.streamFinished(interactionId),
        problems: () => [...(options.problems?.() ?? []), ...context.problems()],
      },
      { deinterleaver },
    );
    this.#server = server;
    this.#refusals = new TokenBucket(REFUSALS_REPORTED_PER_SECOND, REFUSALS_REPORTED_AT_ONCE, clock.nowUs());
    if (silenceEvents === true) context.addSink({ silenceEdge: (edge) => this.#sendSilence(edge) });
    this.#forwardEvents(server, context);
    await server.listen();
  }

  /** Where clients connect, `ws:` or `wss:`. @throws TrunklineError ENGINE_CLOSED before start(). */
  get url(): string {
    return `${this.#isTls ? 'wss' : 'ws'}://${this.#authority()}${this.#options.path ?? DEFAULT_PATH}`;
  }

  /** Answers 200 with the number of sessions; 503 while draining, and while recordings or the audit cannot be written. */
  get healthUrl(): string {
    return `${this.#isTls ? 'https' : 'http'}://${this.#authority()}/health`;
  }

  /**
   * Withholds an interaction's audio until resume(), from this moment on, even before its client has paused; the recording
   * keeps its time. A session that continues the interaction begins paused. The client's own pause is separate: audio is
   * kept only when neither is active.
   */
  pause(interactionId: string): boolean {
    return this.#setPaused(interactionId, true);
  }

  resume(interactionId: string): boolean {
    return this.#setPaused(interactionId, false);
  }

  /**
   * Ends an interaction: its client is asked to close the session, and closes the connection; audio on its way is kept. The
   * call itself goes on. False when no such interaction is open.
   */
  end(interactionId: string): boolean {
    return this.#server?.end(interactionId) ?? false;
  }

  *interactions(): IterableIterator<SourceInteraction> {
    for (const { interactionId, detachedUntilUs } of this.#server?.streams.openStreams() ?? []) {
      yield { interactionId, state: detachedUntilUs > 0 ? 'interrupted' : 'streaming' };
    }
  }

  /**
   * Takes a WebSocket request of the embedder's HTTP server, with the arguments of its `upgrade` event. False, and nothing
   * done, when the request is for another path, or the node has not been started.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    return this.#server?.handleUpgrade(request, socket, head) ?? false;
  }

  /**
   * Takes other keys, and another certificate, while it runs. Sessions that are open go on; those that begin need one of
   * the new keys.
   * @throws TrunklineError CONFIG_INVALID for keys or a certificate that cannot be right; all stays as it was then.
   */
  replace(replacement: Replacement): void {
    if (replacement.tls !== undefined) checkCertifiedKey(replacement.tls, systemClock.wallMs());
    this.#server?.replace(replacement);
  }

  /** Whether clients can open sessions. */
  health(): readonly HealthCheck[] {
    const check = { name: `${this.name}.server`, affects: 'ready' } as const;
    if (this.#server === undefined) return [{ ...check, status: 'failing', reason: 'It does not listen yet.' }];
    if (!this.#server.draining) return [{ ...check, status: 'ok' }];
    return [{ ...check, status: 'failing', reason: 'It is draining: new sessions are refused.' }];
  }

  /** What GET /health answers, for an embedder who answers it. */
  healthResponse(): AudioHookHealth {
    return this.#server?.health() ?? { status: 'failing', sessions: 0, problems: ['The node has not been started.'] };
  }

  /**
   * Queues entities for the client as an `event`; they are sent as fast as the platform's rate limit allows. False when
   * the interaction has no live session or too many wait already.
   *
   * @throws TrunklineError CONFIG_INVALID when an entity is not JSON or is too large.
   */
  sendEvent(interactionId: string, entities: readonly EventEntity[]): boolean {
    return this.#server?.sessionOf(interactionId)?.sendEvent(entities) ?? false;
  }

  /** Asks the client to continue in a new session. False when the interaction has no live session. */
  requestReconnect(interactionId: string, info?: string): boolean {
    const session = this.#server?.sessionOf(interactionId);
    session?.requestReconnect(info);
    return session !== undefined;
  }

  /** Asks the client to close the session. False when the interaction has no live one. */
  disconnect(interactionId: string, info?: string): boolean {
    const session = this.#server?.sessionOf(interactionId);
    session?.disconnect('completed', info);
    return session !== undefined;
  }

  refusals(): Readonly<Record<string, number>> {
    return this.#server?.refusals() ?? {};
  }

  status(): AudioHookStatus {
    const server = this.#server;
    if (server === undefined) return NOT_STARTED;
    return { draining: server.draining, sessions: server.sessions(), counters: server.counters() };
  }

  /**
   * Takes no more sessions, asks each client to reconnect elsewhere, and to close at the deadline. Resolves when all
   * have gone. Meanwhile the health check answers 503.
   */
  async drain(deadlineMs: number = this.#options.drainMs ?? DEFAULT_DRAIN_MS): Promise<void> {
    await this.#server?.drain(deadlineMs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#server?.close();
  }

  #setPaused(interactionId: string, paused: boolean): boolean {
    return this.#server?.setPaused(interactionId, paused) ?? false;
  }

  get #isTls(): boolean {
    const { tls, httpServer } = this.#options;
    return tls !== undefined || httpServer instanceof TlsServer;
  }

  #authority(): string {
    const address = this.#server?.address;
    if (address === undefined) throw closed();
    const { host, port } = address;
    if (host === '::' || host === '0.0.0.0') return `localhost:${port}`;
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }

  #forwardEvents(server: AudioHookServer, context: SourceContext<AudioHookEvents>): void {
    const { logger: log } = context;
    server.on('sessionOpened', (info) => {
      const { sessionId, organizationId, interactionId, media, probe, continued } = info;
      const fields = { sessionId, interactionId, format: media?.format, channels: media?.channels };
      log.debug(fields, probe ? 'connection probe' : continued ? 'session continued' : 'session opened');
      const action = probe ? 'audiohook_probe' : continued ? 'audiohook_continued' : 'audiohook_opened';
      context.audit(action, { sessionId, organizationId }, interactionId);
      context.emit('sessionOpened', info);
    });
    server.on('sessionEnded', (summary) => {
      const { sessionId, interactionId, endReason, fault, counts } = summary;
      const fields = { sessionId, interactionId, endReason, framesReceived: counts.framesReceived };
      if (fault !== undefined) log.warn({ ...fields, fault: fault.kind, info: fault.info }, 'session ended by us');
      else if (endReason === 'lost') log.warn(fields, 'session lost: the client disconnected without closing it');
      else log.debug(fields, 'session ended');
      context.audit('audiohook_ended', summaryFields(summary), interactionId);
      context.emit('sessionEnded', summary);
    });
    server.on('pauseChanged', ({ interactionId, paused, by }) => {
      context.paused({ interactionId, paused, by: by === 'client' ? 'client' : 'operator' });
    });
    server.on('warning', ({ reason, message, ...fields }) => log.warn({ reason, ...fields }, message));
    server.on('rejected', (rejection) => this.#onRejected(rejection, context));
    server.on('internalError', (message) => context.report(new Error(message)));
  }

  #onRejected(rejection: AudioHookRejection, context: SourceContext<AudioHookEvents>): void {
    if (this.#refusals?.tryTake(1, context.clock.nowUs()) !== true) return;
    const { reason, status, sessionId, organizationId, code = status } = rejection;
    context.logger.warn(rejection, 'request refused');
    context.audit('audiohook_rejected', {
      reason,
      ...(code === undefined ? {} : { code }),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(organizationId === undefined ? {} : { organizationId }),
    });
    context.emit('rejected', rejection);
  }

  #sendSilence({ info, channel, silent, kind, positionSamples }: SilenceEdge): void {
    const session = this.#server?.sessionOf(info.interactionId);
    const channels = session?.info?.media?.channels;
    if (session === undefined || channels === undefined) return;
    const name = channels.length === 1 ? channels[0] : channel === 0 ? 'external' : 'internal';
    const position = formatDuration(positionSamples, info.sampleRate);
    const data = { channel: name, silent, ...(kind && { kind }), position };
    session.sendEvent([{ type: 'trunkline.silence', data }]);
  }
}

/**
 * A source that Genesys Cloud's AudioHook integration connects to. The interaction of a session is its conversation; see
 * `sessionOpened`.
 *
 * @example
 * const hook = audioHook({ port: 8443, keys: [{ apiKey, clientSecret }], tls: { cert, key } });
 * const node = await createNode({ sources: [hook] });
 * node.on('sessionOpened', ({ interactionId }) => …);
 * console.log(hook.url);
 *
 * @throws TrunklineError CONFIG_INVALID for options, keys or a certificate that cannot be right.
 */
export function audioHook(options: AudioHookOptions): AudioHook {
  return new AudioHook(options);
}

function closed(): TrunklineError {
  return new TrunklineError(
    'ENGINE_CLOSED',
    'This AudioHook server is not listening; start its node, or make another.',
  );
}

/** What the audit keeps of a session; nothing of it names a person. */
function summaryFields(summary: AudioHookSessionSummary): AuditFields {
  const { sessionId, organizationId, connectedAtMs, endedAtMs, endReason, fault, counts } = summary;
  const toMs = (samples: number): number => Math.round((samples * 1e3) / (summary.media?.rate ?? 8000));
  return {
    sessionId,
    organizationId,
    reason: endReason,
    ...(fault === undefined ? {} : { code: fault.kind }),
    durationMs: Math.round(endedAtMs - connectedAtMs),
    keptMs: toMs(counts.samplesKept),
    pausedMs: toMs(counts.samplesPaused + counts.pausedUnsentSamples),
    discardedMs: toMs(counts.discardedSamples),
    framesReceived: counts.framesReceived,
    messagesReceived: counts.messagesReceived,
    messagesSent: counts.messagesSent,
    faults: counts.faults,
    ...(counts.bytesIgnored === 0 ? {} : { bytesIgnored: counts.bytesIgnored }),
    ...(summary.stalls === 0 ? {} : { stalls: summary.stalls }),
  };
}
