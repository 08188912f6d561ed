import { Buffer } from 'node:buffer';
import { markAsUntransferable } from 'node:worker_threads';
import { copyQuads } from '../../core/copy.js';
import type { Channel, FrameView, StreamInfo } from '../../core/events.js';
import { alignRecord, RECORD as FIELDS, FLAG as FLAGS } from '../../ring/layout.js';

/** Declared here, for the compiler: an import is looked up at each use. */
const [RECORD, FLAG] = [FIELDS, FLAGS];

/** As large as Node's own pool: to keep one frame's samples is to keep all that were copied with them. */
const COPY_BYTES = 8_192;
const NONE = -1;

/** One object that shows frame after frame where they lie in the ring. See FrameView for how long it is valid. */
export class RingFrameView implements FrameView {
  readonly #view: DataView;
  readonly #pcm: Int16Array;
  readonly #bytes: Buffer;
  readonly #quads: BigInt64Array;
  #at = 0;
  #info: StreamInfo | undefined;
  #readableEnd = 0;
  // A copy of the ring from #copyFrom to #copyTo: one call copies some twenty frames for less than two single ones cost.
  #copy = new ArrayBuffer(0);
  #copyFrom = 0;
  #copyTo = 0;
  /** The frame whose part of the copy has been handed out. */
  #givenAt = NONE;
  /** What copyPcmTo() has copied to last. */
  #target: Int16Array | undefined;
  #targetQuads: BigInt64Array | undefined;
  deliveredUs = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#view = new DataView(memory);
    this.#pcm = new Int16Array(memory);
    this.#bytes = Buffer.from(memory);
    this.#quads = new BigInt64Array(memory);
  }

  /** The record at `at`; whole records are readable from there to `readableEnd`. */
  show(at: number, info: StreamInfo, readableEnd: number): this {
    // The ring has begun again, or this is another one: the copy may be of what lay there before.
    if (at < this.#at) this.#copyTo = 0;
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
    return (this.#view.getUint8(this.#at + RECORD.FLAGS) & FLAG.SILENT) !== 0;
  }

  get concealed(): boolean {
    return (this.#view.getUint8(this.#at + RECORD.FLAGS) & FLAG.CONCEALED) !== 0;
  }

  get lost(): boolean {
    return (this.#view.getUint8(this.#at + RECORD.FLAGS) & FLAG.LOST) !== 0;
  }

  get decodeError(): boolean {
    return (this.#view.getUint8(this.#at + RECORD.FLAGS) & FLAG.DECODE_ERROR) !== 0;
  }

  get arrivalUs(): number {
    return this.#view.getFloat64(this.#at + RECORD.ARRIVAL_US, true);
  }

  get processedUs(): number {
    return this.#view.getFloat64(this.#at + RECORD.PROCESSED_US, true);
  }

  get hasPcm(): boolean {
    return (this.#view.getUint8(this.#at + RECORD.FLAGS) & FLAG.NO_PCM) === 0;
  }

  /** Of a pre-roll: where the speech begins that it lies before. */
  get speechSamples(): number {
    const payloadEnd = RECORD.OUTPUT_HEADER_BYTES + this.sampleCount * 2;
    return this.#view.getFloat64(this.#at + alignRecord(payloadEnd), true);
  }

  copyPcm(): Int16Array {
    if (!this.hasPcm) return new Int16Array(0);
    const from = (this.#at + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    return this.#pcm.slice(from, from + this.sampleCount);
  }

  copyPcmTo(target: Int16Array, at = 0): number {
    if (!this.hasPcm) return 0;
    const from = (this.#at + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    const count = this.sampleCount;
    const quads = this.#quadsOf(target);
    const isAligned = quads !== undefined && ((from | count | at) & 3) === 0 && at >= 0 && at + count <= target.length;
    if (isAligned) copyQuads(this.#quads, from >> 2, quads, at >> 2, count >> 2);
    else target.set(this.#pcm.subarray(from, from + count), at);
    return count;
  }

  /** The samples of `target` by four; undefined where they do not lie so. The last one is kept: it is the next as a rule. */
  #quadsOf(target: Int16Array): BigInt64Array | undefined {
    if (target !== this.#target) {
      this.#target = target;
      const { buffer, byteOffset, length } = target;
      const isAligned = (byteOffset & 7) === 0;
      this.#targetQuads = isAligned ? new BigInt64Array(buffer, byteOffset, length >> 2) : undefined;
    }
    return this.#targetQuads;
  }

  copyPcmBytes(): Buffer {
    if (!this.hasPcm) return Buffer.alloc(0);
    const from = this.#at + RECORD.OUTPUT_HEADER_BYTES;
    const length = this.sampleCount * 2;
    // This frame's part of the copy has been handed out already, and may have been changed.
    if (this.#givenAt === this.#at) return this.#copyAlone(from, length);
    this.#givenAt = this.#at;
    if (from + length > this.#copyTo) this.#copyFrames(from, length);
    return Buffer.from(this.#copy, from - this.#copyFrom, length);
  }

  #copyAlone(from: number, length: number): Buffer {
    const copy = Buffer.allocUnsafe(length);
    this.#bytes.copy(copy, 0, from, from + length);
    return copy;
  }

  #copyFrames(from: number, length: number): void {
    const to = Math.max(from + length, Math.min(from + COPY_BYTES, this.#readableEnd));
    const copy = Buffer.allocUnsafeSlow(to - from);
    // As Node's pool is: to transfer one frame's samples to a thread would take those of the others along.
    markAsUntransferable(copy.buffer);
    this.#bytes.copy(copy, 0, from, to);
    this.#copy = copy.buffer;
    this.#copyFrom = from;
    this.#copyTo = to;
  }
}
