import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { WAV_HEADER_BYTES, wavHeader } from '../../audio/wav.js';
import { errnoOf } from './fault.js';
import { AUDIO_FILE, MANIFEST_FILE, PARTIAL_FILE } from './manifest.js';

const MAX_SAME_NAME = 10_000;

/** The sound of one recording on disk. Positions count samples of each channel. Every method throws what node:fs throws. */
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

  /** Opens the file of an earlier life. False when somebody has taken it away. */
  reopen(folder: string): boolean {
    try {
      this.#fd = openSync(join(folder, AUDIO_FILE), 'r+');
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return false;
      throw thrown;
    }
    this.#end = Math.max(0, Math.ceil((fstatSync(this.#fd).size - WAV_HEADER_BYTES) / this.#blockBytes));
    return true;
  }

  /** Whether the file still has a name. What is written to one that somebody has removed goes nowhere. */
  get isLinked(): boolean {
    return fstatSync(this.#fd).nlink > 0;
  }

  /**
   * Makes the folder and the file, with a header; returns the folder's name. A recording that is there already keeps its name, and
   * this one becomes `name-2`, `name-3` and so on.
   */
  create(outDir: string, name: string): string {
    for (let n = 1; n <= MAX_SAME_NAME; n++) {
      const numbered = n === 1 ? name : `${name}-${n}`;
      const folder = join(outDir, numbered);
      try {
        mkdirSync(folder, { recursive: true });
        if ([MANIFEST_FILE, PARTIAL_FILE].some((file) => existsSync(join(folder, file)))) continue;
        this.#createFile(join(folder, AUDIO_FILE));
        return numbered;
      } catch (thrown) {
        if (errnoOf(thrown) !== 'EEXIST') throw thrown;
      }
    }
    throw new Error('Every folder name for this interaction is taken.');
  }

  /** Writes `samples` of every channel, interleaved, from `position` on; returns the bytes. */
  write(source: Uint8Array | Int16Array, at: number, samples: number, position: number): number {
    // Set before the write, so that no failure in between makes written sound look like a hole.
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
   * Cuts or lengthens the sound, with zeros that take no room, and sets the header's sizes for good. Where files may
   * not be so long, the sound ends with what could be written.
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

  #setLength(samples: number): void {
    ftruncateSync(this.#fd, WAV_HEADER_BYTES + samples * this.#blockBytes);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  /** The header comes before any sound, for whoever must read the file after a kill. */
  #createFile(path: string): void {
    this.#fd = openSync(path, 'wx+');
    this.#end = 0;
    try {
      this.writeHeader(0);
    } catch (thrown) {
      this.close();
      rmSync(path, { force: true });
      throw thrown;
    }
  }

  #writeAll(source: Uint8Array | Int16Array, at: number, length: number, position: number): number {
    let done = 0;
    // A disk that is nearly full takes less than it is given, and refuses only the next call.
    while (done < length) done += writeSync(this.#fd, source, at + done, length - done, position + done);
    return length;
  }
}
