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
  SilenceEdge,
  StreamInfo,
  StreamSummary,
} from '../core/events.js';
import { LIMITS } from '../core/limits.js';
import { Engine, type EngineCounters } from './engine.js';
import type { EngineOptions } from './options.js';

export interface AudioEngineOptions extends EngineOptions {
  /** Samples of silent frames come with the frames, too; default true, since an embedder sees `isSilent`. */
  readonly silentPcm?: boolean;
}

/** How a pushed stream is coded. What is left out follows from the codec. */
export interface PushFormat {
  readonly codec: Codec;
  /** Default: 8000 for G.711 and L16, 48000 for Opus. */
  readonly sampleRate?: StreamFormat['sampleRate'];
  /** Default 1. */
  readonly channels?: 1 | 2;
  /** Byte order of L16; default `big`. */
  readonly l16Order?: 'big' | 'little';
}

export interface PushedPacket {
  /** RTP sequence number, wrapping or not. */
  readonly sequenceNumber: number;
  /** RTP timestamp, wrapping or not. */
  readonly timestamp: number;
  /** Copied; the caller may use its memory again at once. */
  readonly payload: Uint8Array;
  readonly channel?: Channel;
  /** Arrival, microseconds of the engine's clock; now when absent. */
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

/** One stream that the embedder pushes packets into. */
export class PushStream {
  readonly interactionId: string;
  readonly #engine: Engine;
  readonly #index: number;
  readonly #clock: Clock;
  #open = true;

  constructor(engine: Engine, interactionId: string, format: StreamFormat, clock: Clock) {
    this.interactionId = interactionId;
    this.#engine = engine;
    this.#clock = clock;
    this.#index = engine.openStream(interactionId, format);
  }

  /**
   * Takes in one packet, in whatever order they come. False when it was not taken: the stream has ended, or the
   * engine is full (counted in counters().arenaFull).
   * @throws TrunklineError LIMIT_EXCEEDED for a payload that no packet can have, PROTOCOL_ERROR for numbers that none
   *   can have.
   */
  push(packet: PushedPacket): boolean {
    const { payload } = packet;
    if (payload.length > LIMITS.maxPayloadBytes) {
      throw new TrunklineError('LIMIT_EXCEEDED', `A payload has at most ${LIMITS.maxPayloadBytes} bytes; cut it up.`);
    }
    if (!this.#open || this.#engine.isClosed) return false;
    const { batch } = this.#engine;
    const { sequenceNumber, timestamp, channel = 0 } = packet;
    if (!isCount(sequenceNumber) || !isCount(timestamp) || (channel !== 0 && channel !== 1)) {
      throw new TrunklineError(
        'PROTOCOL_ERROR',
        `A packet has a sequenceNumber and a timestamp, whole numbers from 0 on, and channel 0 or 1; this one has ` +
          `${sequenceNumber}, ${timestamp} and ${channel}.`,
      );
    }
    const at = batch.claim(payload.length);
    if (at < 0) return false;
    batch.bytes.set(payload, at);
    // An arrival in the future would hold up whatever comes after it.
    const nowUs = this.#clock.nowUs();
    const arrivalUs = Math.min(packet.arrivalUs ?? nowUs, nowUs) || nowUs;
    batch.push(this.#index, channel, sequenceNumber, timestamp, arrivalUs, 0, at, payload.length);
    this.#engine.submitLater();
    return true;
  }

  counts(): ReceptionCounts | undefined {
    return this.#open ? this.#engine.counts(this.#index) : undefined;
  }

  /** Lets go what is held; the `ended` event follows when the last frame has been delivered. */
  end(reason: EndReason = 'ended'): void {
    if (!this.#open) return;
    this.#open = false;
    this.#engine.endStream(this.#index, reason);
  }
}

/** The engine as an embedder sees it: push packets, get frames. Made by createEngine(). */
export class AudioEngine extends GuardedEmitter<AudioEngineEvents> {
  readonly #engine: Engine;
  readonly #clock: Clock;

  constructor(options: AudioEngineOptions = {}) {
    super();
    this.#clock = options.clock ?? systemClock;
    const { silentPcm = true, ...engineOptions } = options;
    this.#engine = new Engine(engineOptions);
    this.#engine.addSink({
      pcmSelection: () => (silentPcm ? 'all' : 'speech'),
      frame: (frame) => this.emit('frame', frame),
      silenceEdge: (edge) => this.emit('silence', edge),
      markedSpan: (span) => this.emit('marked', span),
      streamOpened: (info) => this.emit('opened', info),
      streamEnded: (info, summary) => this.emit('ended', info, summary),
    });
    this.#engine.on('failed', (error) => this.report(error));
    this.#engine.on('sinkError', (thrown) => this.report(thrown));
  }

  /** @throws TrunklineError NATIVE_UNAVAILABLE, ENGINE_FAILED. */
  start(): Promise<void> {
    return this.#engine.start();
  }

  /** @throws TrunklineError STREAM_EXISTS, LIMIT_EXCEEDED, CODEC_UNSUPPORTED or ENGINE_CLOSED. */
  open(interactionId: string, format: PushFormat): PushStream {
    const { codec, channels = 1, l16Order = 'big' } = format;
    const sampleRate = format.sampleRate ?? (codec === 'opus' ? 48000 : 8000);
    const clockRate = codec === 'opus' ? 48000 : sampleRate;
    return new PushStream(
      this.#engine,
      interactionId,
      { codec, clockRate, sampleRate, channels, l16Order },
      this.#clock,
    );
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
    return this.#engine.close();
  }
}

/**
 * An engine whose threads are at work.
 * @throws TrunklineError NATIVE_UNAVAILABLE when the native module is required and cannot be used.
 */
export async function createEngine(options: AudioEngineOptions = {}): Promise<AudioEngine> {
  const engine = new AudioEngine(options);
  try {
    await engine.start();
  } catch (thrown) {
    await engine.close();
    throw thrown;
  }
  return engine;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
