import { type Clock, systemClock } from '../core/clock.js';
import { TrunklineError } from '../core/errors.js';
import type { FrameSink, SilenceEdge, StreamInfo } from '../core/events.js';
import { TokenBucket } from '../core/token-bucket.js';
import type { AuditExtra } from '../sinks/audit/audit-log.js';
import type { RepairReport } from '../sinks/recorder/repair.js';
import { formatDuration } from '../sources/audiohook/protocol/duration.js';
import { Authenticator } from '../sources/audiohook/protocol/signature.js';
import type { EventEntity } from '../sources/audiohook/protocol/wire.js';
import { checkCertifiedKey } from '../sources/audiohook/server/certificate.js';
import type { AudioHookSessionInfo, AudioHookSessionSummary } from '../sources/audiohook/server/connection-contract.js';
import { AudioHookServer } from '../sources/audiohook/server/server.js';
import type { AudioHookCounters, AudioHookRejection } from '../sources/audiohook/server/server-events.js';
import { type AudioHookServerOptions, checkServerOptions } from '../sources/audiohook/server/server-options.js';
import { AudioNode, type NodeSettings } from './audio-node.js';

export interface AudioHookNodeSettings extends NodeSettings {
  /** Where to listen, who may connect, and the limits; see AudioHookServerOptions. */
  readonly server: Omit<AudioHookServerOptions, 'clock' | 'finishStream'>;
  /** Tell each client where its channels fall silent and speak up, as `event` entities of type `trunkline.silence`. */
  readonly silenceEvents?: boolean;
  /** What stop() gives the clients to leave by themselves; 10,000 when absent. */
  readonly drainMs?: number;
}

export interface AudioHookStatus {
  readonly draining: boolean;
  readonly sessions: readonly AudioHookSessionInfo[];
  readonly counters: AudioHookCounters;
}

const DEFAULT_DRAIN_MS = 10_000;
/** Anybody can be refused as often as he likes; beyond this refusals are counted and not written down. */
const REFUSALS_TOLD_PER_SECOND = 5;
const REFUSALS_TOLD_AT_ONCE = 50;

/**
 * A node that Genesys Cloud's AudioHook integration connects to.
 *
 *     const node = new AudioHookNode({ server: { port: 8443, keys, tls }, out: 'capture' });
 *     node.on('sessionOpened', ({ interactionId }) => …);
 *     await node.start();
 *
 * The interaction of a session is its conversation; see sessionOpened.
 */
export class AudioHookNode extends AudioNode {
  readonly #server: AudioHookServer;
  readonly #ends = new StreamEnds();
  readonly #drainMs: number;
  readonly #isTls: boolean;
  readonly #path: string;
  readonly #refusals: TokenBucket;
  #address: { readonly host: string; readonly port: number } | undefined;
  #stopped: Promise<void> | undefined;

  /** @throws TrunklineError CONFIG_INVALID for settings, keys or a certificate that cannot be right. */
  constructor({ server, silenceEvents, drainMs, ...settings }: AudioHookNodeSettings, clock: Clock = systemClock) {
    // Before there are threads, which a node that was never made could not stop.
    checkServerOptions(server);
    new Authenticator(server);
    if (server.tls !== undefined) checkCertifiedKey(server.tls, clock.wallMs());
    super(settings, clock);
    this.#drainMs = drainMs ?? DEFAULT_DRAIN_MS;
    this.#isTls = server.tls !== undefined;
    this.#path = server.path ?? DEFAULT_PATH;
    this.#refusals = new TokenBucket(REFUSALS_TOLD_PER_SECOND, REFUSALS_TOLD_AT_ONCE, clock.nowUs());
    this.#server = new AudioHookServer(this.engine, {
      ...server,
      clock,
      finishStream: (interactionId) => this.#ends.of(interactionId).then(() => this.recorded()),
    });
    this.engine.addSink(this.#ends);
    if (silenceEvents === true) this.engine.addSink({ silenceEdge: (edge) => this.#tellSilence(edge) });
    this.#forwardEvents();
  }

  /**
   * Starts the threads and listens. What repair did to recordings of an earlier process is returned.
   *
   * @throws TrunklineError CONNECTION_FAILED when the port cannot be had, FILE_FAILED, ENGINE_FAILED; the node is
   *   stopped then. ENGINE_CLOSED when it has been stopped before.
   */
  async start(): Promise<RepairReport | undefined> {
    try {
      const repaired = await this.startSinks();
      this.#address = await this.#server.listen();
      return repaired;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Where clients connect, `ws:` or `wss:`. @throws TrunklineError ENGINE_CLOSED before start(). */
  get url(): string {
    return `${this.#isTls ? 'wss' : 'ws'}://${this.#authority()}${this.#path}`;
  }

  /** Answers 200 with the number of sessions, and 503 from drain() on. */
  get healthUrl(): string {
    return `${this.#isTls ? 'https' : 'http'}://${this.#authority()}/health`;
  }

  /**
   * Keeps nothing of an interaction until resume(), whether or not its client has been told yet; the recording keeps
   * its time. It outlasts the session: one that continues the interaction begins paused. The client's own pause is
   * another matter, and audio flows only when both are over.
   *
   * @throws TrunklineError STREAM_UNKNOWN when no session of that interaction is open.
   */
  pause(interactionId: string): void {
    this.#setPaused(interactionId, true);
  }

  /** @throws TrunklineError STREAM_UNKNOWN when no session of that interaction is open. */
  resume(interactionId: string): void {
    this.#setPaused(interactionId, false);
  }

  /**
   * Queues entities for the client as an `event`; they go out as fast as the platform's rate limit allows. False when
   * the interaction has no live session or too many wait already.
   *
   * @throws TrunklineError CONFIG_INVALID when an entity is not JSON or is too large.
   */
  sendEvent(interactionId: string, entities: readonly EventEntity[]): boolean {
    return this.#server.sessionOf(interactionId)?.sendEvent(entities) ?? false;
  }

  /** Asks the client to go on in a new session. False when the interaction has no live session. */
  requestReconnect(interactionId: string, info?: string): boolean {
    const session = this.#server.sessionOf(interactionId);
    session?.requestReconnect(info);
    return session !== undefined;
  }

  /** Asks the client to close the session. False when the interaction has no live one. */
  disconnect(interactionId: string, info?: string): boolean {
    const session = this.#server.sessionOf(interactionId);
    session?.disconnect('completed', info);
    return session !== undefined;
  }

  status(): AudioHookStatus {
    const { draining } = this.#server;
    return { draining, sessions: this.#server.sessions(), counters: this.#server.counters() };
  }

  /**
   * Takes no more sessions, asks each client to reconnect elsewhere, and to close at the deadline. Resolves when all
   * have gone. Meanwhile the health check answers 503.
   */
  drain(deadlineMs: number = this.#drainMs): Promise<void> {
    return this.#server.drain(deadlineMs);
  }

  /** Drains, finishes every file, and stops the threads. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    if (this.#address !== undefined) {
      await this.drain();
      await this.#server.close();
    }
    await this.stopSinks();
  }

  #setPaused(interactionId: string, paused: boolean): void {
    if (this.#server.setPaused(interactionId, paused)) return;
    throw new TrunklineError(
      'STREAM_UNKNOWN',
      `No session of interaction ${interactionId} is open; pause and resume between its sessionOpened and sessionEnded.`,
    );
  }

  #authority(): string {
    if (this.#address === undefined)
      throw new TrunklineError('ENGINE_CLOSED', 'Start the node before asking where it is.');
    const { host, port } = this.#address;
    if (host === '::' || host === '0.0.0.0') return `localhost:${port}`;
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }

  #forwardEvents(): void {
    const server = this.#server;
    server.on('sessionOpened', (info) => {
      const { sessionId, organizationId, interactionId, probe, continued } = info;
      const action = probe ? 'audiohook_probe' : continued ? 'audiohook_continued' : 'audiohook_opened';
      this.auditEvent(action, { sessionId, organizationId }, interactionId);
      this.emit('sessionOpened', info);
    });
    server.on('sessionEnded', (summary) => {
      this.auditEvent('audiohook_ended', summaryExtra(summary), summary.interactionId);
      this.emit('sessionEnded', summary);
    });
    server.on('pauseChanged', ({ interactionId, withheld }) =>
      this.emit('paused', { interactionId, paused: withheld }),
    );
    server.on('rejected', (rejection) => this.#onRejected(rejection));
    server.on('internalError', (message) => this.report(new Error(message)));
  }

  #onRejected(rejection: AudioHookRejection): void {
    if (!this.#refusals.tryTake(1, this.clock.nowUs())) return;
    const { reason, status, sessionId, organizationId, code = status } = rejection;
    this.auditEvent('audiohook_rejected', {
      reason,
      ...(code === undefined ? {} : { code }),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(organizationId === undefined ? {} : { organizationId }),
    });
    this.emit('rejected', rejection);
  }

  #tellSilence({ info, channel, silent, positionSamples }: SilenceEdge): void {
    const session = this.#server.sessionOf(info.interactionId);
    const channels = session?.info?.media?.channels;
    if (session === undefined || channels === undefined) return;
    const name = channels.length === 1 ? channels[0] : channel === 0 ? 'external' : 'internal';
    const data = { channel: name, silent, position: formatDuration(positionSamples, info.sampleRate) };
    session.sendEvent([{ type: 'trunkline.silence', data }]);
  }
}

const DEFAULT_PATH = '/audiohook/ws';

/** Lets somebody wait until the last frame of a stream has been delivered. */
class StreamEnds implements FrameSink {
  // An interaction may be back, and over again, before the end of its first stream has come through.
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Call it in the turn in which the stream was ended. */
  of(interactionId: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(interactionId, [...(this.#waiting.get(interactionId) ?? []), resolve]);
    });
  }

  streamEnded({ interactionId }: StreamInfo): void {
    const [first, ...others] = this.#waiting.get(interactionId) ?? [];
    if (others.length > 0) this.#waiting.set(interactionId, others);
    else this.#waiting.delete(interactionId);
    first?.();
  }
}

/** What the audit keeps of a session; nothing of it names a person. */
function summaryExtra(summary: AudioHookSessionSummary): AuditExtra {
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
    ...(summary.stalls === 0 ? {} : { stalls: summary.stalls }),
  };
}
