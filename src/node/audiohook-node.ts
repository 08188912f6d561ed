import type { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Clock, systemClock } from '../core/clock.js';
import type { NodeEvents } from '../sinks/events/event-sink.js';
import type { RecorderSink } from '../sinks/recorder/recorder-sink.js';
import type { RepairReport } from '../sinks/recorder/repair.js';
import type { SinkStats } from '../sinks/sink.js';
import {
  type AudioHook,
  type AudioHookEvents,
  type AudioHookOptions,
  type AudioHookStatus,
  audioHook,
} from '../sources/audiohook/audiohook.js';
import type { EventEntity } from '../sources/audiohook/protocol/wire.js';
import type { AudioHookHealth } from '../sources/audiohook/server/server-events.js';
import { checkServerOptions } from '../sources/audiohook/server/server-options.js';
import { AudioNode } from './audio-node.js';
import type { StartOptions } from './options.js';
import { type EffectiveSettings, type NodeSettings, partsOf } from './settings.js';
import { type NodeSummary, summaryOf } from './summary.js';
import type { AudioNodeClass } from './typed-events.js';

/** All events of an AudioHook node. */
export interface AudioHookNodeEvents extends NodeEvents, AudioHookEvents {}

export interface AudioHookNodeSettings extends NodeSettings {
  /** Where to listen, who may connect, and the limits; see AudioHookServerOptions. */
  readonly server: Omit<AudioHookOptions, 'name' | 'silenceEvents' | 'drainMs'>;
  /**
   * Report to each client where its channels fall silent and become audible again, as `event` entities of type
   * `trunkline.silence`; default false.
   */
  readonly silenceEvents?: boolean;
  /** Milliseconds that close() gives the clients to leave by themselves; default 10,000. */
  readonly drainMs?: number;
}

/**
 * A node that Genesys Cloud's AudioHook integration connects to: createNode() with an audioHook(), and a recorder() and an
 * audit() as its settings ask for them.
 *
 * @example
 * const node = new AudioHookNode({ server: { port: 8443, keys, tls }, record: true, out: 'capture' });
 * node.on('sessionOpened', ({ interactionId }) => …);
 * await node.start();
 */
export class AudioHookNode extends (AudioNode as AudioNodeClass<AudioHookEvents>) {
  /** The settings with every default. */
  readonly config: EffectiveSettings;
  readonly #hook: AudioHook;
  readonly #recorder: RecorderSink | undefined;

  /** @throws TrunklineError CONFIG_INVALID for settings, keys or a certificate that cannot be right. */
  constructor(
    { server, silenceEvents = false, drainMs, ...settings }: AudioHookNodeSettings,
    clock: Clock = systemClock,
  ) {
    // Checked here as well, because its options have other names here than in audioHook().
    checkServerOptions(server, 'server');
    const hook = audioHook({ ...server, silenceEvents, ...(drainMs === undefined ? {} : { drainMs }) });
    const { config, recorder, options } = partsOf(settings, clock);
    super({ ...options, sources: [hook] });
    this.config = config;
    this.#hook = hook;
    this.#recorder = recorder;
  }

  /**
   * Starts the threads and listens.
   *
   * @throws TrunklineError CONNECTION_FAILED when the port cannot be had, FILE_FAILED, ENGINE_FAILED; the node is
   *   closed then. ENGINE_CLOSED when it has been closed before.
   */
  override async start(options: StartOptions = {}): Promise<void> {
    await super.start(options);
  }

  /**
   * What was repaired of the recordings that an earlier process left unfinished, once that is done; it begins with
   * start(), which does not wait for it. Undefined when nothing is recorded.
   */
  async repaired(): Promise<RepairReport | undefined> {
    return this.#recorder?.repaired();
  }

  /** Where clients connect, `ws:` or `wss:`. @throws TrunklineError ENGINE_CLOSED before start(). */
  get url(): string {
    return this.#hook.url;
  }

  /** Answers 200 with the number of sessions, and 503 from drain() on. */
  get healthUrl(): string {
    return this.#hook.healthUrl;
  }

  /**
   * Takes a WebSocket request of the embedder's HTTP server, with the arguments of its `upgrade` event; for a node with
   * `server: { noServer: true }`. False, and nothing done, when the request is for another path.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    return this.#hook.handleUpgrade(request, socket, head);
  }

  /** What GET /health answers, for an embedder who answers it. */
  healthResponse(): AudioHookHealth {
    return this.#hook.healthResponse();
  }

  /**
   * Queues entities for the client as an `event`; they are sent as fast as the platform's rate limit allows. False when
   * the interaction has no live session or too many wait already.
   *
   * @throws TrunklineError CONFIG_INVALID when an entity is not JSON or is too large.
   */
  sendEvent(interactionId: string, entities: readonly EventEntity[]): boolean {
    return this.#hook.sendEvent(interactionId, entities);
  }

  /** Asks the client to continue in a new session. False when the interaction has no live session. */
  requestReconnect(interactionId: string, info?: string): boolean {
    return this.#hook.requestReconnect(interactionId, info);
  }

  /** Asks the client to close the session. False when the interaction has no live one. */
  disconnect(interactionId: string, info?: string): boolean {
    return this.#hook.disconnect(interactionId, info);
  }

  status(): AudioHookStatus {
    return this.#hook.status();
  }

  summary(): NodeSummary {
    return summaryOf(this.stats(), this.config.out);
  }

  /** What the recorder has counted; undefined when nothing is recorded. @deprecated Use stats().sinks.recorder. */
  recorderCounters(): SinkStats | undefined {
    return this.#recorder?.stats();
  }
}
