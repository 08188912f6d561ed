import { isUint8Array } from 'node:util/types';
import { z } from 'zod';
import { parseOptions } from '../config/options.js';
import { abortable } from '../core/abort.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { Codec, StreamFormat } from '../core/codec.js';
import { GuardedEmitter } from '../core/emitter.js';
import { TrunklineError } from '../core/errors.js';
import type {
  Channel,
  EndReason,
  FrameView,
  MarkedSpan,
  ReceptionCounts,
  SilenceDetector,
  SilenceEdge,
  StreamInfo,
  StreamSummary,
} from '../core/events.js';
import { SILENCE_DETECTORS } from '../core/events.js';
import { LIMITS } from '../core/limits.js';
import type { MediaChunk } from '../core/media/media-chunk.js';
import { Engine, type EngineCounters } from './engine.js';
import type { StreamOptions } from './input/ingest.js';
import type { EngineOptions } from './options.js';
import {
  type AttachedQueue,
  type AudioFrame,
  type ChunkOptions,
  chunkQueue,
  type FrameOptions,
  type FrameQueue,
  frameQueue,
} from './output/frame-queue.js';

export interface AudioEngineOptions extends EngineOptions {
  /** Samples of silent frames come with the frames, too; default true, since an embedder sees `isSilent`. */
  readonly silentPcm?: boolean;
}

/** How a pushed stream is coded. What is left out follows from the codec. */
export interface PushFormat {
  /** `pcmu`, `pcma`, `l16` or `opus`. */
  readonly codec: Codec;
  /** Default: 8000 for G.711 and L16, 48000 for Opus. */
  readonly sampleRate?: StreamFormat['sampleRate'];
  /** Default 1. */
  readonly channels?: 1 | 2;
  /** Byte order of L16; default `big`. */
  readonly l16Order?: 'big' | 'little';
}

/** What one pushed stream has of its own. */
export interface PushOptions {
  /**
   * How speech is told from silence in this stream: `adaptive`, `fixed` or `neural`, which needs the package
   * `@ricky0123/vad-web`; default: the engine's `silenceDetector`.
   */
  readonly silenceDetector?: SilenceDetector | undefined;
}

export interface PushedPacket {
  /** RTP sequence number, wrapping or not. */
  readonly sequenceNumber: number;
  /** RTP timestamp, wrapping or not. */
  readonly timestamp: number;
  /** Copied; the caller may use its memory again at once. */
  readonly payload: Uint8Array;
  /** 0 external, 1 internal; default 0. */
  readonly channel?: Channel;
  /** Arrival, microseconds of the engine's clock; now when absent, not finite or in the future. */
  readonly arrivalUs?: number;
}

export interface AudioEngineEvents {
  /** Valid only until the listener returns; see FrameView. */
  frame: [frame: FrameView];
  silence: [edge: SilenceEdge];
  marked: [span: MarkedSpan];
  opened: [info: StreamInfo];
  ended: [info: StreamInfo, summary: StreamSummary];
  error: [error: Error];
}

/** One stream that the embedder pushes packets into. Made by AudioEngine.open(). */
export interface PushStream {
  readonly interactionId: string;
  /**
   * Takes in one packet, in whatever order they come. False when it was not taken: the stream has ended, or the engine is
   * full (counted in counters().arenaFull).
   * @throws TrunklineError LIMIT_EXCEEDED for a payload that no packet can have, PROTOCOL_ERROR for numbers that none can
   *   have.
   */
  push(packet: PushedPacket): boolean;
  /** Reception counts so far; undefined once it has ended. */
  counts(): ReceptionCounts | undefined;
  /** Releases what is held; the `ended` event follows when the last frame has been delivered. Default reason: `ended`. */
  end(reason?: EndReason): void;
}

class EngineStream implements PushStream {
  readonly interactionId: string;
  readonly #engine: Engine;
  readonly #index: number;
  readonly #clock: Clock;
  #open = true;

  constructor(engine: Engine, interactionId: string, format: StreamFormat, clock: Clock, options: StreamOptions) {
    this.interactionId = interactionId;
    this.#engine = engine;
    this.#clock = clock;
    this.#index = engine.openStream(interactionId, format, options);
  }

  /**
   * Adds one packet; packets may come in any order. False when it was not taken: the stream has ended, or the engine is
   * full (counted in counters().arenaFull).
   * @throws TrunklineError LIMIT_EXCEEDED for a payload of more than 16,384 bytes, PROTOCOL_ERROR for a payload that is
   *   not a Uint8Array and for numbers that no packet can have.
   */
  push(packet: PushedPacket): boolean {
    checkPacket(packet);
    if (!this.#open || this.#engine.isClosed) return false;
    const { sequenceNumber, timestamp, payload, channel = 0 } = packet;
    const { batch } = this.#engine;
    const { columns } = batch;
    const offset = batch.claim(payload.length);
    if (offset < 0) return false;
    batch.bytes.set(payload, offset);
    // A packet with an arrival in the future would delay all packets after it.
    const nowUs = this.#clock.nowUs();
    const { row } = batch;
    columns.channel[row] = this.#index * 2 + channel;
    columns.wireSequence[row] = sequenceNumber;
    columns.wireTimestamp[row] = timestamp;
    columns.arrivalUs[row] = Number.isFinite(packet.arrivalUs) ? Math.min(packet.arrivalUs ?? nowUs, nowUs) : nowUs;
    columns.flags[row] = 0;
    columns.payloadOffset[row] = offset;
    columns.payloadLength[row] = payload.length;
    batch.add(1);
    this.#engine.submitLater();
    return true;
  }

  counts(): ReceptionCounts | undefined {
    return this.#open ? this.#engine.counts(this.#index) : undefined;
  }

  /** Releases what the jitter buffer holds; the `ended` event follows when the last frame has been delivered. */
  end(reason: EndReason = 'ended'): void {
    if (!this.#open) return;
    this.#open = false;
    this.#engine.endStream(this.#index, reason);
  }
}

export interface CreateEngineOptions extends AudioEngineOptions {
  /** Gives up the start when aborted, and closes the engine when aborted later. */
  readonly signal?: AbortSignal;
}

/** The engine as an embedder sees it: push packets, get frames. Made by createEngine(). */
export class AudioEngine extends GuardedEmitter<AudioEngineEvents> {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #queues = new Set<AttachedQueue<MediaChunk> | AttachedQueue<AudioFrame>>();
  #closing: Promise<void> | undefined;

  constructor(options: AudioEngineOptions = {}) {
    super();
    const { silentPcm, ...engineOptions } = optionsObject(options);
    const { silentPcm: withSilence } = parseOptions('createEngine()', ownSchema, { silentPcm });
    this.#engine = new Engine(engineOptions);
    this.#clock = options.clock ?? systemClock;
    this.#engine.addSink({
      pcmSelection: () => (withSilence ? 'all' : 'speech'),
      frame: (frame) => this.emit('frame', frame),
      silenceEdge: (edge) => this.emit('silence', edge),
      markedSpan: (span) => this.emit('marked', span),
      streamOpened: (info) => this.emit('opened', info),
      streamEnded: (info, summary) => this.emit('ended', info, summary),
    });
    this.#engine.on('failed', (error) => this.report(error));
    this.#engine.on('sinkError', (error) => this.report(error));
  }

  /**
   * Starts the threads. Resolves when they run. When the signal aborts first, the engine is closed, and start() rejects
   * with its reason.
   * @throws TrunklineError NATIVE_UNAVAILABLE, ENGINE_FAILED.
   */
  async start({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    try {
      await abortable(this.#engine.start(), signal);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Begins a stream that packets are pushed into.
   *
   * @example
   * const stream = engine.open('call-1', { codec: 'pcmu' }, { silenceDetector: 'neural' });
   *
   * @throws TrunklineError STREAM_EXISTS, LIMIT_EXCEEDED, CODEC_UNSUPPORTED, ENGINE_CLOSED, or CONFIG_INVALID for options
   *   that cannot be right and for `neural` without its model.
   */
  open(interactionId: string, format: PushFormat, options: PushOptions = {}): PushStream {
    parseOptions('open()', formatSchema, format);
    const { silenceDetector } = parseOptions('open()', pushSchema, options);
    const { codec, channels = 1, l16Order = 'big' } = format;
    const sampleRate = format.sampleRate ?? (codec === 'opus' ? 48000 : 8000);
    const clockRate = codec === 'opus' ? 48000 : sampleRate;
    return new EngineStream(
      this.#engine,
      interactionId,
      { codec, clockRate, sampleRate, channels, l16Order },
      this.#clock,
      silenceDetector === undefined ? {} : { silenceDetector },
    );
  }

  /**
   * Decoded audio for a `for await` loop, from now on. A reader that is too slow loses chunks, counted in
   * `droppedFrames`; the engine never waits for it. Ends when the engine closes or the signal aborts.
   *
   * @example
   * for await (const { metadata, payload } of engine.chunks({ signal })) await transcribe(metadata.interactionId, payload);
   */
  chunks(options: ChunkOptions = {}): FrameQueue<MediaChunk> {
    return this.#attach(chunkQueue(options, (queue) => this.#detach(queue)));
  }

  /** The same with every frame and all that is known of it, silence, loss and concealment included. */
  frames(options: FrameOptions = {}): FrameQueue<AudioFrame> {
    return this.#attach(frameQueue(options, (queue) => this.#detach(queue)));
  }

  counters(): EngineCounters {
    return this.#engine.counters();
  }

  get backend(): 'js' | 'native' {
    return this.#engine.backend;
  }

  /** Ends a shard's thread as a crash would, for tests and drills; the engine replaces it. */
  killShard(shard: number): void {
    this.#engine.killShard(shard);
  }

  /** Ends every stream, waits until all frames are delivered, and stops the threads. */
  close(): Promise<void> {
    this.#closing ??= this.#engine.close().then(() => {
      for (const queue of this.#queues) queue.end();
    });
    return this.#closing;
  }

  /** The same as close(). */
  stop(): Promise<void> {
    return this.close();
  }

  /** For `await using engine = await createEngine()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #detach(queue: AttachedQueue<MediaChunk> | AttachedQueue<AudioFrame>): void {
    this.#queues.delete(queue);
    this.#engine.removeSink(queue);
  }

  #attach<Queue extends AttachedQueue<MediaChunk> | AttachedQueue<AudioFrame>>(queue: Queue): Queue {
    this.#queues.add(queue);
    this.#engine.addSink(queue);
    if (this.#closing !== undefined) queue.end();
    return queue;
  }
}

/**
 * An engine whose threads are at work.
 * @throws TrunklineError NATIVE_UNAVAILABLE when the native module is required and cannot be used.
 */
export async function createEngine(allOptions: CreateEngineOptions = {}): Promise<AudioEngine> {
  const { signal, ...options } = optionsObject(allOptions);
  parseOptions('createEngine()', createSchema, { signal });
  const engine = new AudioEngine(options);
  await engine.start(signal === undefined ? {} : { signal });
  signal?.addEventListener('abort', () => void engine.close(), { once: true });
  return engine;
}

const ownSchema = z.strictObject({ silentPcm: z.boolean().default(true) });
const createSchema = z.strictObject({ signal: z.instanceof(AbortSignal).optional() });
/** Which codecs and rates go together is checked when the stream opens. */
const formatSchema = z.strictObject({
  codec: z.unknown().optional(),
  sampleRate: z.unknown().optional(),
  channels: z.unknown().optional(),
  l16Order: z.enum(['big', 'little']).optional(),
});

const pushSchema = z.strictObject({ silenceDetector: z.enum(SILENCE_DETECTORS).optional() });

/** @throws TrunklineError CONFIG_INVALID for what is no object. */
function optionsObject<Options extends object>(options: Options): Options {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options;
  throw new TrunklineError('CONFIG_INVALID', 'createEngine() takes an object of options.');
}

/** @throws TrunklineError when the packet cannot be one. Nothing of it has been used then. */
function checkPacket(packet: PushedPacket): void {
  const { sequenceNumber, timestamp, payload, channel = 0, arrivalUs = 0 } = packet ?? {};
  if (!isUint8Array(payload)) {
    throw new TrunklineError('PROTOCOL_ERROR', `A payload is a Uint8Array or Buffer; this one is ${kindOf(payload)}.`);
  }
  if (payload.length > LIMITS.maxPayloadBytes) {
    throw new TrunklineError('LIMIT_EXCEEDED', `A payload has at most ${LIMITS.maxPayloadBytes} bytes; cut it up.`);
  }
  if (
    isCount(sequenceNumber) &&
    isCount(timestamp) &&
    (channel === 0 || channel === 1) &&
    typeof arrivalUs === 'number'
  ) {
    return;
  }
  throw new TrunklineError(
    'PROTOCOL_ERROR',
    'A packet has a sequenceNumber and a timestamp, whole numbers from 0 on, channel 0 or 1, and an arrivalUs that is ' +
      `a number, if any; this one has ${sequenceNumber}, ${timestamp}, ${channel} and ${packet.arrivalUs}.`,
  );
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function kindOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value === null ? null : typeof value);
  return value.constructor?.name ?? 'an object';
}
