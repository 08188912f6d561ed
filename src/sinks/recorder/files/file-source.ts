import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { ByteSource } from '../../../audio/files/byte-source.js';
import type { PcmReader } from '../../../audio/files/pcm-reader.js';
import { readPcm } from '../../../audio/files/read-pcm.js';
import { messageOf, TrunklineError } from '../../../core/errors.js';

/** A symbolic link in place of the file is refused, and a pipe does not block. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A file on the disk. */
export class FileSource implements ByteSource {
  readonly #path: string;
  readonly #fd: number;
  readonly size: number;

  /** @throws TrunklineError FILE_FAILED when there is none, or something else than a plain file. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, READ);
    } catch (thrown) {
      throw this.#failed(thrown);
    }
    const status = fstatSync(this.#fd);
    this.size = status.size;
    if (status.isFile()) return;
    this.close();
    throw new TrunklineError('FILE_FAILED', `Cannot read ${path}: it is no file.`);
  }

  read(into: Uint8Array, at: number, length: number, position: number): number {
    try {
      return readSync(this.#fd, into, at, length, position);
    } catch (thrown) {
      throw this.#failed(thrown);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #failed(thrown: unknown): TrunklineError {
    return new TrunklineError('FILE_FAILED', `Cannot read ${this.#path}: ${messageOf(thrown)}`, { cause: thrown });
  }
}

/** Reads an audio file, see readPcm(); what it throws names the file. @throws TrunklineError FILE_FAILED, FILE_INVALID */
export function readPcmFile(path: string): PcmReader {
  try {
    return readPcm(new FileSource(path));
  } catch (thrown) {
    if (!(thrown instanceof TrunklineError) || thrown.code !== 'FILE_INVALID') throw thrown;
    throw new TrunklineError(thrown.code, `${path}: ${thrown.message}`, { cause: thrown });
  }
}
