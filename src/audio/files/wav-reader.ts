import { TrunklineError } from '../../core/errors.js';
import { parseWav, type WavLayout } from '../wav.js';
import type { ByteSource } from './byte-source.js';
import type { PcmReader } from './pcm-reader.js';

/** Enough for a header with other chunks before the samples. */
const HEAD_BYTES = 1 << 16;

export class WavReader implements PcmReader {
  readonly #source: ByteSource;
  readonly #layout: WavLayout;
  readonly samples: number;
  #position = 0;

  /** @throws TrunklineError FILE_INVALID */
  constructor(source: ByteSource) {
    this.#source = source;
    const head = new Uint8Array(Math.min(HEAD_BYTES, source.size));
    const layout = parseWav(head.subarray(0, source.read(head, 0, head.length, 0)), source.size);
    if (layout.bitsPerSample !== 16) {
      throw new TrunklineError(
        'FILE_INVALID',
        `It has samples of ${layout.bitsPerSample} bits; convert it to 16 bits.`,
      );
    }
    this.#layout = layout;
    this.samples = layout.dataLength / (2 * layout.channels);
  }

  get sampleRate(): number {
    return this.#layout.sampleRate;
  }

  get channels(): number {
    return this.#layout.channels;
  }

  read(into: Int16Array): number {
    const { channels, dataOffset } = this.#layout;
    const block = 2 * channels;
    const wanted = Math.min(Math.floor(into.length / channels), this.samples - this.#position) * block;
    const bytes = new Uint8Array(into.buffer, into.byteOffset, wanted);
    const got = this.#source.read(bytes, 0, wanted, dataOffset + this.#position * block);
    const read = Math.floor(got / block);
    this.#position += read;
    return read;
  }

  seek(sample: number): void {
    this.#position = Math.min(sample, this.samples);
  }

  close(): void {
    this.#source.close();
  }
}
