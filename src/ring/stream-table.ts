import type { CodecId } from '../core/codec.js';

/**
 * What every thread must know of each stream, in shared memory, so that a worker that takes over from a dead one can
 * rebuild its decoders, and so that silence detection goes on where it was. Main writes an entry before it commits the
 * stream's OPEN record, whose release orders the two; afterwards main changes WANTS, PRE_ROLL and POST_ROLL
 * only, and STATE to FREE when the stream's CLOSE has been delivered; the shard STATE to OPEN, counters and the silence state.
 *
 * One entry, at a multiple of 128 bytes:
 *
 *     0    i32  state
 *     4    i32  shard index
 *     8    i32  codec id
 *     12   i32  RTP clock rate
 *     16   i32  sample rate of the decoded PCM
 *     20   i32  channels
 *     24   i32  wants: bits of WANT
 *     28   i32  decode errors
 *     32   i32  records of frames and edges that the recorder ring refused
 *     36   i32  silence detector: DETECTOR_ID of core/events.ts
 *     40   i32  silence before speech whose samples are passed on, in samples
 *     44   i32  the same of silence behind speech
 *     128  f64[176]  state of the silence detector of channel 0
 *     1536 f64[176]  the same of channel 1
 */
export const STREAM = {
  STATE: 0,
  SHARD: 4,
  CODEC: 8,
  CLOCK_RATE: 12,
  SAMPLE_RATE: 16,
  CHANNELS: 20,
  WANTS: 24,
  DECODE_ERRORS: 28,
  RECORDER_REFUSED: 32,
  DETECTOR: 36,
  PRE_ROLL: 40,
  POST_ROLL: 44,
  SILENCE: 128,
  SILENCE_SLOTS: 176,
  BYTES: 2944,
} as const;

export const STREAM_STATE = {
  FREE: 0,
  /** Main has filled the entry; the OPEN record is on its way. */
  ASSIGNED: 1,
  /** The shard has seen OPEN, and main has not yet seen CLOSE. */
  OPEN: 2,
} as const;

/** What the shard shall pass on of a stream. */
export const WANT = {
  /** Samples of frames with speech, to the output ring. */
  SPEECH_PCM: 1,
  /** Samples of silent frames, to the output ring. */
  SILENT_PCM: 2,
  /** Everything, to the recorder ring. */
  RECORDING: 4,
  /** Samples of silent frames around speech, to the output ring: PRE_ROLL or POST_ROLL is above 0. */
  ROLL: 8,
  /** With RECORDING: packets as they came instead of samples. Set when the stream is opened, and only for Opus. */
  RECORDED_PACKETS: 16,
} as const;

export interface StreamConfig {
  readonly shard: number;
  readonly codec: CodecId;
  readonly clockRate: number;
  readonly sampleRate: number;
  readonly channels: 1 | 2;
  readonly wants: number;
  /** In samples; 0 when absent, as is `postRoll`. */
  readonly preRoll?: number;
  readonly postRoll?: number;
  /** DETECTOR_ID of core/events.ts. */
  readonly detector: number;
}

export class StreamTable {
  readonly capacity: number;
  /** Over the whole shared memory. */
  readonly doubles: Float64Array;
  readonly #words: Int32Array;
  readonly #offset: number;

  constructor(memory: SharedArrayBuffer, offset: number, capacity: number) {
    this.capacity = capacity;
    this.#words = new Int32Array(memory);
    this.doubles = new Float64Array(memory);
    this.#offset = offset;
  }

  static bytes(capacity: number): number {
    return capacity * STREAM.BYTES;
  }

  get(stream: number, field: number): number {
    return Atomics.load(this.#words, (this.#offset + stream * STREAM.BYTES + field) >> 2);
  }

  set(stream: number, field: number, value: number): void {
    Atomics.store(this.#words, (this.#offset + stream * STREAM.BYTES + field) >> 2, value);
  }

  add(stream: number, field: number, value: number): void {
    Atomics.add(this.#words, (this.#offset + stream * STREAM.BYTES + field) >> 2, value);
  }

  /** Index into `doubles` of a channel's silence state. */
  silenceBase(stream: number, channel: number): number {
    return (this.#offset + stream * STREAM.BYTES + STREAM.SILENCE) / 8 + channel * STREAM.SILENCE_SLOTS;
  }

  /** What the shard shall pass on from now on. */
  want(stream: number, wants: number, preRoll = 0, postRoll = 0): void {
    this.set(stream, STREAM.PRE_ROLL, preRoll);
    this.set(stream, STREAM.POST_ROLL, postRoll);
    this.set(stream, STREAM.WANTS, preRoll + postRoll > 0 ? wants | WANT.ROLL : wants);
  }

  assign(stream: number, config: StreamConfig): void {
    this.set(stream, STREAM.SHARD, config.shard);
    this.set(stream, STREAM.CODEC, config.codec);
    this.set(stream, STREAM.CLOCK_RATE, config.clockRate);
    this.set(stream, STREAM.SAMPLE_RATE, config.sampleRate);
    this.set(stream, STREAM.CHANNELS, config.channels);
    this.want(stream, config.wants, config.preRoll, config.postRoll);
    this.set(stream, STREAM.DETECTOR, config.detector);
    this.set(stream, STREAM.DECODE_ERRORS, 0);
    this.set(stream, STREAM.RECORDER_REFUSED, 0);
    this.set(stream, STREAM.STATE, STREAM_STATE.ASSIGNED);
  }
}
