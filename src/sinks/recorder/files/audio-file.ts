import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { WAV_HEADER_BYTES, wavHeader } from '../../../audio/wav.js';
import { errnoOf } from './disk-fault.js';

const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
const REOPEN = constants.O_RDWR | constants.O_NOFOLLOW;

/** One WAV file on disk. Positions count samples of each channel. Every method throws what node:fs throws. */
export class AudioFile {
  readonly #format: { readonly sampleRate: number; readonly channels: 1 | 2 };
  readonly #blockBytes: number;
  #fd = -1;
  #end = 0;

  constructor(format: { readonly sampleRate: number; readonly channels: 1 | 2 }) {
    this.#format = format;
    this.#blockBytes = 2 * format.channels;
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  /** End of what has been written. */
  get endSamples(): number {
    return this.#end;
  }

  /** False when the file of an open descriptor has no name any more: what is written to it is lost. */
  get isLinked(): boolean {
    return fstatSync(this.#fd).nlink > 0;
  }

  /** Makes the file with a header, which has to come before any audio for a repair after a kill. */
  create(path: string, mode: number): void {
    this.#fd = openSync(path, CREATE, mode);
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
    try {
      this.#fd = openSync(path, REOPEN);
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return false;
      throw thrown;
    }
    this.#end = Math.max(0, Math.ceil((fstatSync(this.#fd).size - WAV_HEADER_BYTES) / this.#blockBytes));
    return true;
  }

  /** Writes `samples` of every channel, interleaved, from `position` on; returns the bytes. */
  write(source: Uint8Array | Int16Array, at: number, samples: number, position: number): number {
    // Set before the write: should it fail halfway, what was written must not be taken for unwritten.
    this.#end = Math.max(this.#end, position + samples);
    return this.#writeAll(source, at, samples * this.#blockBytes, WAV_HEADER_BYTES + position * this.#blockBytes);
  }

  /** Fills `into` from its start with what is written between two positions; what is not written keeps its value. */
  read(into: Int16Array, start: number, end: number): void {
    const wanted = (Math.min(end, this.#end) - start) * this.#blockBytes;
    if (wanted > 0) readSync(this.#fd, into, 0, wanted, WAV_HEADER_BYTES + start * this.#blockBytes);
  }

  writeHeader(samples: number): number {
    return this.#writeAll(wavHeader(this.#format, samples * this.#blockBytes), 0, WAV_HEADER_BYTES, 0);
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
      length = Math.max(0, Math.floor((fstatSync(this.#fd).size - WAV_HEADER_BYTES) / this.#blockBytes));
      this.#setLength(length);
    }
    this.writeHeader(length);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #setLength(samples: number): void {
    ftruncateSync(this.#fd, WAV_HEADER_BYTES + samples * this.#blockBytes);
  }

  #writeAll(source: Uint8Array | Int16Array, at: number, length: number, position: number): number {
    let done = 0;
    // A disk that is nearly full takes less than it is given, and refuses only the next call.
    while (done < length) done += writeSync(this.#fd, source, at + done, length - done, position + done);
    return length;
  }
}
