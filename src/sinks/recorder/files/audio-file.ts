import { rmSync } from 'node:fs';
import { WAV_HEADER_BYTES, wavHeader } from '../../../audio/wav.js';
import type { ByteFile } from './byte-file.js';
import { errnoOf } from './disk-fault.js';

/** One WAV file. Positions count samples of each channel. Every method throws what node:fs throws. */
export class AudioFile {
  readonly #bytes: ByteFile;
  readonly #format: { readonly sampleRate: number; readonly channels: 1 | 2 };
  readonly #blockBytes: number;
  #end = 0;
  /** Those that are silent in what is written next: bit 1 for channel 0, 2 for channel 1. */
  silentChannels = 0;

  constructor(bytes: ByteFile, format: { readonly sampleRate: number; readonly channels: 1 | 2 }) {
    this.#bytes = bytes;
    this.#format = format;
    this.#blockBytes = 2 * format.channels;
  }

  get isOpen(): boolean {
    return this.#bytes.isOpen;
  }

  /** End of what has been written. */
  get endSamples(): number {
    return this.#end;
  }

  /** False when the file of an open descriptor has no name any more: what is written to it is lost. */
  get isLinked(): boolean {
    return this.#bytes.isLinked;
  }

  /** Makes the file with a header, which has to come before any audio for a repair after a kill. */
  create(path: string, mode: number): void {
    this.#bytes.create(path, mode);
    this.#end = 0;
    try {
      this.writeHeader(0);
    } catch (thrown) {
      this.close();
      rmSync(path, { force: true });
      throw thrown;
    }
  }

  /** Opens a file that an earlier recorder thread made. False when it was removed. */
  reopen(path: string): boolean {
    if (!this.#bytes.reopen(path)) return false;
    this.#end = Math.max(0, Math.ceil((this.#bytes.size - WAV_HEADER_BYTES) / this.#blockBytes));
    return true;
  }

  /** Writes `samples` of every channel, interleaved, from `position` on; returns the bytes. */
  write(source: Uint8Array | Int16Array, at: number, samples: number, position: number): number {
    // Set before the write: should it fail halfway, what was written must not be taken for unwritten.
    this.#end = Math.max(this.#end, position + samples);
    this.#bytes.label(this.#end, this.silentChannels);
    return this.#bytes.write(source, at, samples * this.#blockBytes, WAV_HEADER_BYTES + position * this.#blockBytes);
  }

  /** Fills `into` from its start with what is written between two positions; what is not written keeps its value. */
  read(into: Int16Array, start: number, end: number): void {
    const wanted = (Math.min(end, this.#end) - start) * this.#blockBytes;
    if (wanted > 0) this.#bytes.read(into, 0, wanted, WAV_HEADER_BYTES + start * this.#blockBytes);
  }

  writeHeader(samples: number): number {
    return this.#bytes.write(wavHeader(this.#format, samples * this.#blockBytes), 0, WAV_HEADER_BYTES, 0);
  }

  /**
   * Gives the audio its final length, cut or extended with zeros that take no space, and the header its final sizes.
   * Where files may not be so long, the audio ends with what could be written.
   */
  seal(samples: number): void {
    let length = samples;
    try {
      this.#setLength(length);
    } catch (thrown) {
      if (errnoOf(thrown) !== 'EFBIG') throw thrown;
      length = Math.max(0, Math.floor((this.#bytes.size - WAV_HEADER_BYTES) / this.#blockBytes));
      this.#setLength(length);
    }
    this.writeHeader(length);
    this.#bytes.seal();
  }

  close(): void {
    this.#bytes.close();
  }

  #setLength(samples: number): void {
    this.#bytes.truncate(WAV_HEADER_BYTES + samples * this.#blockBytes);
  }
}
