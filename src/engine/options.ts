import { availableParallelism } from 'node:os';
import type { Clock } from '../core/clock.js';
import { TrunklineError } from '../core/errors.js';
import { LIMITS } from '../core/limits.js';
import { US_PER_MS } from '../core/units.js';
import type { JitterOptions } from '../rtp/jitter-buffer.js';
import type { SilenceSettings } from '../shard/shard-data.js';
import type { EngineMemory, MemorySizes } from './threads/memory.js';

export interface EngineOptions {
  /** Decoding threads; default one less than the cores, at least one. */
  readonly shards?: number;
  /** Streams open at one time; default 4096. */
  readonly maxStreams?: number;
  /** How long packets are held to be put in order; default 50. */
  readonly playoutDelayMs?: number;
  /** The same while more than 5 % are lost; default 100. */
  readonly maxPlayoutDelayMs?: number;
  /** RMS of full scale below which a channel is silent; default 0.01. */
  readonly silenceThreshold?: number;
  /** Length of the sliding window over which RMS is taken; 5 to 200 in steps of 5, default 20. */
  readonly silenceWindowMs?: number;
  readonly native?: 'off' | 'auto' | 'require';
  readonly clock?: Clock;
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
  data(memory: EngineMemory): unknown;
}

const DEFAULTS = {
  maxStreams: 4096,
  playoutDelayMs: 50,
  maxPlayoutDelayMs: 100,
  silenceThreshold: 0.01,
  silenceWindowMs: 20,
};
const INPUT_RING_BYTES = 8 << 20;
const OUTPUT_RING_BYTES = 8 << 20;
const RECORDER_RING_BYTES = 16 << 20;
/** Payload bytes of the wide hold's 100 ms of L16 at 16 kHz, for each stream; more for a longer hold. */
const ARENA_BYTES_PER_STREAM = 8 << 10;
const ARENA_BYTES_LEAST = 4 << 20;
const ARENA_BYTES_MOST = 256 << 20;
/** Packets held in the jitter buffer for each stream: 100 ms of 20 ms packets, and half a second behind a stall. */
const HELD_PER_STREAM = 32;
const HELD_LEAST = 1024;

/** What follows from the options: checked, with every default, and in the units of those who need it. */
export interface EngineSettings {
  readonly memory: MemorySizes;
  readonly jitter: JitterOptions;
  readonly silence: SilenceSettings;
}

/** @throws TrunklineError CONFIG_INVALID, which names the option. */
export function resolveOptions(options: EngineOptions): EngineSettings {
  const { maxStreams, playoutDelayMs, silenceThreshold, silenceWindowMs } = {
    ...DEFAULTS,
    ...withoutUndefined(options),
  };
  const shards = options.shards ?? Math.min(LIMITS.maxShards, Math.max(1, availableParallelism() - 1));
  const maxPlayoutDelayMs = Math.max(playoutDelayMs, options.maxPlayoutDelayMs ?? DEFAULTS.maxPlayoutDelayMs);
  checkRange('shards', shards, 1, LIMITS.maxShards);
  checkRange('maxStreams', maxStreams, 1, LIMITS.maxStreams);
  checkRange('playoutDelayMs', playoutDelayMs, 0, LIMITS.maxPlayoutDelayMs);
  checkRange('maxPlayoutDelayMs', maxPlayoutDelayMs, 0, LIMITS.maxPlayoutDelayMs);
  // What audio/silence.ts takes; a shard could only die of anything else.
  checkRange('silenceThreshold', silenceThreshold, Number.MIN_VALUE, 1);
  checkRange('silenceWindowMs', silenceWindowMs, 5, 200);
  checkRange('silenceWindowMs modulo 5', silenceWindowMs % 5, 0, 0);

  const held = maxStreams * Math.max(1, maxPlayoutDelayMs / DEFAULTS.maxPlayoutDelayMs);
  return {
    memory: {
      shards,
      maxStreams,
      arenaBytes: Math.min(Math.max(held * ARENA_BYTES_PER_STREAM, ARENA_BYTES_LEAST), ARENA_BYTES_MOST),
      inputRingBytes: options.inputRingBytes ?? INPUT_RING_BYTES,
      outputRingBytes: OUTPUT_RING_BYTES,
      recorderRingBytes: options.recorder === undefined ? 0 : RECORDER_RING_BYTES,
    },
    jitter: {
      channels: maxStreams * 2,
      packets: 2 ** Math.ceil(Math.log2(Math.max(held * HELD_PER_STREAM, HELD_LEAST))),
      playoutDelayUs: playoutDelayMs * US_PER_MS,
      maxPlayoutDelayUs: maxPlayoutDelayMs * US_PER_MS,
    },
    silence: { threshold: silenceThreshold, windowMs: silenceWindowMs },
  };
}

/** So that an option given as undefined is one left out. */
function withoutUndefined(options: EngineOptions): EngineOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new TrunklineError('CONFIG_INVALID', `Set ${name} to ${least} to ${most}; it is ${value}.`);
}
