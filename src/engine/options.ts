import { z } from 'zod';
import { parseOptions } from '../config/options.js';
import { checkOptions, engineSchema, type FormerOptions } from '../config/schema.js';
import type { Clock } from '../core/clock.js';
import type { SilenceDetector } from '../core/events.js';
import { US_PER_MS } from '../core/units.js';
import type { JitterOptions } from '../rtp/jitter-buffer.js';
import type { SilenceSettings } from '../shard/shard-data.js';
import type { EngineMemory, MemorySizes } from './threads/memory.js';

export interface EngineOptions extends FormerOptions {
  /** Decoding threads, 1 to 32; default one less than the processors or the container's CPU quota, at least one. */
  readonly shards?: number | undefined;
  /** Streams open at one time, 1 to 16,384; default 4,096. Memory follows: about 8 KiB of payloads a stream. */
  readonly maxStreams?: number | undefined;
  /**
   * Which packets the jitter buffer holds; default `adaptive`: only those behind a gap, for as long as packets arrive late
   * on their channel. `fixed`: every packet, for `playoutDelayMs`.
   */
  readonly playoutDelay?: 'adaptive' | 'fixed' | undefined;
  /** The playout delay, 0 to 2,000 milliseconds; default 50. `adaptive`: what a channel begins with. */
  readonly playoutDelayMs?: number | undefined;
  /** `adaptive`: the shortest playout delay of a channel, 0 to 2,000 milliseconds; default 0. */
  readonly minPlayoutDelayMs?: number | undefined;
  /**
   * The longest playout delay of a channel, 0 to 2,000 milliseconds. `adaptive`: default 400. `fixed`: the one while more
   * than 5 % of packets are lost; default 100. Never shorter than `playoutDelayMs`.
   */
  readonly maxPlayoutDelayMs?: number | undefined;
  /**
   * How speech is told from silence: `adaptive` against a noise floor that follows each channel, `fixed` by
   * `silenceThreshold` and `silenceWindowMs`, `neural` as `adaptive` with Silero VAD where that leaves doubt; default
   * `adaptive`. `neural` needs the package `@ricky0123/vad-web`: CONFIG_INVALID without it.
   */
  readonly silenceDetector?: SilenceDetector | undefined;
  /** Of `fixed`: RMS level, as a share of full scale, below which a channel is silent, above 0 and up to 1; default 0.01. */
  readonly silenceThreshold?: number | undefined;
  /** Of `fixed`: sliding window that the level is measured over, 5 to 200 milliseconds in steps of 5; default 20. */
  readonly silenceWindowMs?: number | undefined;
  /** The native addon: never use it, use it when it loads, or refuse to start without it; default `auto`. */
  readonly native?: 'off' | 'auto' | 'require' | undefined;
  /**
   * Default: the system's clocks. With a ManualClock, time stands still between two calls of advanceUs(): arrival times,
   * playout delay and latencies follow it, so that a test needs no waiting.
   */
  readonly clock?: Clock | undefined;
}

/** What the node and tests give the engine beside its options. */
export interface InternalEngineOptions extends EngineOptions {
  /** Entry and data of the recorder's thread; given its rings and control block by the engine. */
  readonly recorder?: RecorderAgent;
  /** For tests that need a worker with a weakness. */
  readonly shardEntry?: string;
  /** For tests that need a ring which fills: a power of two; default 8 MiB. */
  readonly inputRingBytes?: number;
}

/** What the engine must know to run a recorder: it has the thread and the rings, the sink the rest. */
export interface RecorderAgent {
  readonly entry: string;
  /** Space for what waits for a slow disk, in the rings of all shards together; 64 MiB when absent. */
  readonly bufferBytes?: number;
  /** Whether it takes the packets of Opus as they came instead of samples. */
  readonly storesPackets?: boolean;
  /** What its thread is given. @param native how the engine uses the native addon. */
  data(memory: EngineMemory, native: 'off' | 'auto' | 'require'): unknown;
}

const INPUT_RING_BYTES = 8 << 20;
const OUTPUT_RING_BYTES = 8 << 20;
const RECORDER_BUFFER_BYTES = 64 << 20;
/** The least and the most of one shard's ring; with less, a usual pause of the disk would cost audio. */
const RECORDER_RING_BYTES = { least: 1 << 20, most: 1 << 30 };
/** Payload bytes of 100 ms of L16 at 16 kHz, for each stream; more for a longer playout delay. */
const ARENA_BYTES_PER_STREAM = 8 << 10;
const ARENA_BYTES_LEAST = 4 << 20;
const ARENA_BYTES_MOST = 256 << 20;
/** What the sizes per stream are meant for; a longer delay needs more. */
const USUAL_MAX_PLAYOUT_DELAY_MS = 100;
/** Packets held in the jitter buffer for each stream: 100 ms of 20 ms packets, and half a second behind a stall. */
const HELD_PER_STREAM = 32;
const HELD_LEAST = 1024;

/** What follows from the options: checked, with every default, and in the units of those who need it. */
export interface EngineSettings {
  readonly memory: MemorySizes;
  readonly jitter: JitterOptions;
  /** Whether regular packets take the native path where there is one; else all are left to JavaScript. */
  readonly nativeInput: boolean;
  readonly silence: SilenceSettings;
  /** Of streams that do not choose one. */
  readonly silenceDetector: SilenceDetector;
}

const isClock = (value: unknown): boolean => {
  const { nowUs, wallMs } = (value ?? {}) as Partial<Clock>;
  return typeof nowUs === 'function' && typeof wallMs === 'function';
};
const isRecorder = (value: unknown): boolean => {
  const { entry, data } = (value ?? {}) as Partial<RecorderAgent>;
  return typeof entry === 'string' && typeof data === 'function';
};

/** The options that are no settings. */
const partsSchema = z.strictObject({
  clock: z.custom<Clock>(isClock, 'must have the methods nowUs() and wallMs()').optional(),
  recorder: z.custom<RecorderAgent>(isRecorder, 'must have an entry and a method data()').optional(),
  shardEntry: z.string().optional(),
  inputRingBytes: z.int().min(1024).optional(),
});

/** @throws TrunklineError CONFIG_INVALID, which names the option. */
export function resolveOptions(options: InternalEngineOptions): EngineSettings {
  const { clock, recorder, shardEntry, inputRingBytes, ...settings } = options;
  parseOptions('the engine', partsSchema, { clock, recorder, shardEntry, inputRingBytes });
  const checked = checkOptions(engineSchema, settings);
  const { shards, maxStreams, playoutDelay, playoutDelayMs, maxPlayoutDelayMs } = checked;
  // With adaptive delays few channels have the longest one at a time.
  const usedDelayMs = playoutDelay === 'adaptive' ? Math.max(playoutDelayMs, maxPlayoutDelayMs / 4) : maxPlayoutDelayMs;
  const held = maxStreams * Math.max(1, usedDelayMs / USUAL_MAX_PLAYOUT_DELAY_MS);
  return {
    memory: {
      shards,
      maxStreams,
      arenaBytes: Math.min(Math.max(held * ARENA_BYTES_PER_STREAM, ARENA_BYTES_LEAST), ARENA_BYTES_MOST),
      inputRingBytes: inputRingBytes ?? INPUT_RING_BYTES,
      outputRingBytes: OUTPUT_RING_BYTES,
      recorderRingBytes: recorder === undefined ? 0 : recorderRingBytes(recorder.bufferBytes, shards),
    },
    jitter: {
      channels: maxStreams * 2,
      packets: 2 ** Math.ceil(Math.log2(Math.max(held * HELD_PER_STREAM, HELD_LEAST))),
      playoutDelay,
      playoutDelayUs: playoutDelayMs * US_PER_MS,
      minPlayoutDelayUs: playoutDelay === 'fixed' ? 0 : checked.minPlayoutDelayMs * US_PER_MS,
      maxPlayoutDelayUs: maxPlayoutDelayMs * US_PER_MS,
    },
    nativeInput: checked.native !== 'off' && playoutDelay === 'adaptive',
    silence: { threshold: checked.silenceThreshold, windowMs: checked.silenceWindowMs },
    silenceDetector: checked.silenceDetector,
  };
}

/** A power of two, so that all rings together come close to `bufferBytes`. */
function recorderRingBytes(bufferBytes = RECORDER_BUFFER_BYTES, shards: number): number {
  const { least, most } = RECORDER_RING_BYTES;
  return Math.min(Math.max(2 ** Math.floor(Math.log2(bufferBytes / shards)), least), most);
}
