import { Buffer } from 'node:buffer';
import { markAsUntransferable } from 'node:worker_threads';
import type { Channel, FrameView, StreamInfo } from '../../core/events.js';
import { FLAG, RECORD } from '../../ring/layout.js';

/** As large as Node's own pool: whoever keeps one frame's samples keeps all that were copied with them. */
const SLAB_BYTES = 8_192;
const NONE = -1;

/** One object that shows frame after frame where they lie in the ring. See FrameView for how long it is valid. */
export class RingFrameView implements FrameView {
  readonly #view: DataView;
  readonly #pcm: Int16Array;
  readonly #bytes: Buffer;
  #at = 0;
  #info: StreamInfo | undefined;
  #readableEnd = 0;
  // A copy of the ring from #slabFrom to #slabTo: one call copies some twenty frames for less than two would cost alone.
  #slab = new ArrayBuffer(0);
  #slabFrom = 0;
  #slabTo = 0;
  /** The frame whose part of the slab is somebody's. */
  #givenAt = NONE;
  deliveredUs = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#view = new DataView(memory);
    this.#pcm = new Int16Array(memory);
    this.#bytes = Buffer.from(memory);
  }

  /** The record at `at`; whole records are readable from there to `readableEnd`. */
  show(at: number, info: StreamInfo, readableEnd: number): this {
    // The ring has begun again, or this is another one: the slab may be of what lay there before.
    if (at < this.#at) this.#slabTo = 0;
    this.#at = at;
    this.#givenAt = NONE;
    this.#readableEnd = readableEnd;
    this.#info = info;
    return this;
  }

  get info(): StreamInfo {
    if (this.#info === undefined) throw new RangeError('A FrameView is valid only inside the callback it came with.');
    return this.#info;
  }

  get channel(): Channel {
    return this.#view.getUint8(this.#at + RECORD.CHANNEL) === 0 ? 0 : 1;
  }

  get sequenceNumber(): number {
    return this.#view.getFloat64(this.#at + RECORD.SEQUENCE, true);
  }

  get timestamp(): number {
    return this.#view.getFloat64(this.#at + RECORD.TIMESTAMP, true);
  }

  get positionSamples(): number {
    return this.#view.getFloat64(this.#at + RECORD.POSITION, true);
  }

  get sampleCount(): number {
    return this.#view.getInt32(this.#at + RECORD.SAMPLE_COUNT, true);
  }

  get meanSquare(): number {
    return this.#view.getFloat64(this.#at + RECORD.MEAN_SQUARE, true);
  }

  get peak(): number {
    return this.#view.getInt32(this.#at + RECORD.PEAK, true);
  }

  get isSilent(): boolean {
    return (this.#flags & FLAG.SILENT) !== 0;
  }

  get concealed(): boolean {
    return (this.#flags & FLAG.CONCEALED) !== 0;
  }

  get lost(): boolean {
    return (this.#flags & FLAG.LOST) !== 0;
  }

  get decodeError(): boolean {
    return (this.#flags & FLAG.DECODE_ERROR) !== 0;
  }

  get arrivalUs(): number {
    return this.#view.getFloat64(this.#at + RECORD.ARRIVAL_US, true);
  }

  get processedUs(): number {
    return this.#view.getFloat64(this.#at + RECORD.PROCESSED_US, true);
  }

  get hasPcm(): boolean {
    return (this.#flags & FLAG.NO_PCM) === 0;
  }

  copyPcm(): Int16Array {
    if (!this.hasPcm) return new Int16Array(0);
    const from = (this.#at + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    return this.#pcm.slice(from, from + this.sampleCount);
  }

  copyPcmBytes(): Buffer {
    if (!this.hasPcm) return Buffer.alloc(0);
    const from = this.#at + RECORD.OUTPUT_HEADER_BYTES;
    const length = this.sampleCount * 2;
    // Somebody has this frame's part of the slab already, and may do with it as they like.
    if (this.#givenAt === this.#at) return this.#copyAlone(from, length);
    this.#givenAt = this.#at;
    if (from + length > this.#slabTo) this.#copySlab(from, length);
    return Buffer.from(this.#slab, from - this.#slabFrom, length);
  }

  #copyAlone(from: number, length: number): Buffer {
    const copy = Buffer.allocUnsafe(length);
    this.#bytes.copy(copy, 0, from, from + length);
    return copy;
  }

  #copySlab(from: number, length: number): void {
    const to = Math.max(from + length, Math.min(from + SLAB_BYTES, this.#readableEnd));
    const slab = Buffer.allocUnsafeSlow(to - from);
    // As Node's pool is: to transfer one frame's samples to a thread would take the others' from whoever holds them.
    markAsUntransferable(slab.buffer);
    this.#bytes.copy(slab, 0, from, to);
    this.#slab = slab.buffer;
    this.#slabFrom = from;
    this.#slabTo = to;
  }

  get #flags(): number {
    return this.#view.getUint8(this.#at + RECORD.FLAGS);
  }
}
