import type { Channel, FrameView, StreamInfo } from '../core/events.js';
import { FLAG, RECORD } from '../ring/layout.js';

/** One object that shows frame after frame where they lie in the ring. See FrameView for how long it is valid. */
export class RingFrameView implements FrameView {
  readonly #view: DataView;
  readonly #pcm: Int16Array;
  readonly #bytes: Buffer;
  #at = 0;
  #info: StreamInfo | undefined;
  deliveredUs = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#view = new DataView(memory);
    this.#pcm = new Int16Array(memory);
    this.#bytes = Buffer.from(memory);
  }

  show(at: number, info: StreamInfo): this {
    this.#at = at;
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
    const copy = Buffer.allocUnsafe(length);
    this.#bytes.copy(copy, 0, from, from + length);
    return copy;
  }

  get #flags(): number {
    return this.#view.getUint8(this.#at + RECORD.FLAGS);
  }
}
