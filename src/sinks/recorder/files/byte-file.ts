import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { errnoOf } from './disk-fault.js';

const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
const REOPEN = constants.O_RDWR | constants.O_NOFOLLOW;

/**
 * A file of bytes, read and written at any position: what an audio format (audio-file.ts) lies on. Bytes that were never
 * written are zeros. Offsets into arrays are bytes. Every method throws what node:fs throws.
 */
export interface ByteFile {
  readonly isOpen: boolean;
  /** False when the file of an open descriptor has no name any more: what is written to it is lost. */
  readonly isLinked: boolean;
  /** Length in bytes. */
  readonly size: number;
  /** Makes the file; EEXIST when there is one of that name. */
  create(path: string, mode: number): void;
  /** Opens a file that an earlier recorder thread made. False when it was removed. */
  reopen(path: string): boolean;
  /** Writes `length` bytes from `source` at byte `at`; returns the bytes. */
  write(source: Uint8Array | Int16Array, at: number, length: number, position: number): number;
  /** Fills `length` bytes of `into` from byte `at` on; returns how many the file has. */
  read(into: Uint8Array | Int16Array, at: number, length: number, position: number): number;
  /** Cuts the file, or extends it with zeros that take no space. */
  truncate(length: number): void;
  /** What may be known, without a key, of what is written next: length of the audio with it, in samples; channels that are silent in it, bit 1 and bit 2. */
  label(samples: number, silentChannels: number): void;
  /** Nothing is written after this. */
  seal(): void;
  close(): void;
}

/** The bytes as they are. */
export class PlainFile implements ByteFile {
  #fd = -1;

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  get isLinked(): boolean {
    return fstatSync(this.#fd).nlink > 0;
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  create(path: string, mode: number): void {
    this.#fd = openSync(path, CREATE, mode);
  }

  reopen(path: string): boolean {
    try {
      this.#fd = openSync(path, REOPEN);
      return true;
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return false;
      throw thrown;
    }
  }

  write(source: Uint8Array | Int16Array, at: number, length: number, position: number): number {
    let done = 0;
    // A disk that is nearly full takes less than it is given, and refuses only the next call.
    while (done < length) done += writeSync(this.#fd, source, at + done, length - done, position + done);
    return length;
  }

  read(into: Uint8Array | Int16Array, at: number, length: number, position: number): number {
    return readSync(this.#fd, into, at, length, position);
  }

  truncate(length: number): void {
    ftruncateSync(this.#fd, length);
  }

  label(): void {}

  seal(): void {}

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
