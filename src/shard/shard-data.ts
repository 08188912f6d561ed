import { SILENCE_DEFAULTS } from '../audio/silence.js';
import type { ControlPlace } from '../ring/agent.js';
import type { RingPlace } from '../ring/ring.js';

/** All that a shard's thread is given at its start; structured-cloneable. */
export interface ShardData {
  /** Compared with this build's LAYOUT_VERSION. */
  readonly layoutVersion: number;
  readonly shard: number;
  readonly memory: SharedArrayBuffer;
  readonly control: ControlPlace;
  readonly input: RingPlace;
  readonly output: RingPlace;
  /** Absent when nothing is recorded. */
  readonly recorder?: RingPlace;
  /** Where the stream table begins, and its entries. */
  readonly streamTable: { readonly offset: number; readonly capacity: number };
  /** Sleep word of the thread that reads the output ring; see ring/waiting.ts. */
  readonly outputWaiter: ControlPlace;
  /** Wake-up of the thread that reads the recorder ring is by its own timer; it is never notified. */
  readonly counters: ControlPlace;
  readonly silence: SilenceSettings;
  /** Without it, streams of the neural detector are detected as adaptive ones. */
  readonly speech?: SpeechSettings;
  readonly native: 'off' | 'auto' | 'require';
}

/** The shortest silence. */
export const MIN_SILENCE_MS = SILENCE_DEFAULTS.minSilenceMs;

/** Of the neural detector. */
export interface SpeechSettings {
  /** Where its weights are, before its first stream is opened: PACKED of audio/neural/silero-weights.ts. */
  readonly weights: number;
  /** Time without a look at an empty input ring after which the shard may be overloaded. */
  readonly busyUs: number;
}

/** Of the fixed detector. */
export interface SilenceSettings {
  /** RMS of full scale below which a window is silent. */
  readonly threshold: number;
  readonly windowMs: number;
}

/** A record at which the shard's thread has died this many times is not processed again. */
export const POISON_DEATHS = 2;

/** i32 words of a shard's counter block; each only grows. */
export const SHARD_COUNTERS = {
  RECORDS: 0,
  FRAMES: 4,
  DECODE_ERRORS: 8,
  /** Lost packets that were made up. */
  CONCEALED: 12,
  /** Records at which the worker died twice, and that were skipped. */
  POISONED: 16,
  /** Frames that the full recorder ring refused. */
  RECORDER_REFUSED: 20,
  /** Streams whose decoders were rebuilt after a restart. */
  REBUILT: 24,
  /** 1 when the native backend is used. */
  NATIVE: 28,
  /** Records that cannot be valid, and were skipped. */
  REJECTED: 32,
  /** Lost packets that in-band FEC brought back. */
  RECOVERED_BY_FEC: 36,
  /** Late Opus packets that are not in the recording: see opus-repair.ts. */
  LATE_UNREPAIRED: 40,
  /** Gaps of recorded Opus that were given up early, because there was no memory to repair them later. */
  GAPS_GIVEN_UP: 44,
  /** Windows of the neural detector that were left to the adaptive one, because the shard was overloaded. */
  WINDOWS_PASSED: 48,
  /** Late Opus packets that wait to be decoded; this one falls again, and what is left by a dead thread is unrepaired. */
  LATE_WAITING: 52,
  BYTES: 128,
} as const;
