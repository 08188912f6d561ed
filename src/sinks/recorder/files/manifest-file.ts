import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { readTextNoFollow } from '../../../core/files/inside.js';
import { errnoOf } from './disk-fault.js';
import { type Manifest, parseManifest } from './manifest.js';

export const MANIFEST_FILE = 'session.json';
/** What session.json will be, while the recording is being written. */
export const PARTIAL_FILE = 'session.json.partial';
/** The same as in PARTIAL_FILE, once that is too long to be written in one page. */
export const SPARE_FILE = 'session.json.partial.spare';
/** A kill interrupts a write at most between two pages, which are this long or longer. */
const PAGE_BYTES = 4096;
/** The unit of the `blocks` that stat(2) counts. */
const STAT_BLOCK_BYTES = 512;
/** To write over what there is. A symbolic link in its place is refused. */
const OVERWRITE = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/**
 * Writes session.json beside its final name and renames it, so that readers never see half of it. Throws what node:fs
 * throws, and then the files are as before.
 */
export function writeManifest(folder: string, manifest: Manifest, mode: number): void {
  writeCheckpoint(folder, manifest, mode);
  rmSync(join(folder, SPARE_FILE), { force: true });
  renameSync(join(folder, PARTIAL_FILE), join(folder, MANIFEST_FILE));
}

/**
 * Writes the state of an unfinished recording beside session.json, for a repair or the next recorder thread. It is the
 * same file each time: to make one costs a file system up to a millisecond, to write over it 20 µs. What is longer than
 * a page goes to a spare file first: a kill may leave half of one file, and the other one then has this checkpoint or
 * the one before. Throws what node:fs throws, and then the files are as before.
 */
export function writeCheckpoint(folder: string, manifest: Manifest, mode: number): void {
  const file = openSync(join(folder, PARTIAL_FILE), OVERWRITE, mode);
  try {
    const before = readFileSync(file);
    const text = reserve(file, before.length, manifest);
    if (Math.max(text.length, before.length) > PAGE_BYTES) writeSpare(folder, text, mode);
    try {
      // Blanks over the rest of a longer old one.
      writeAll(file, Buffer.concat([text], Math.max(text.length, before.length)).fill(' ', text.length), 0);
    } catch (thrown) {
      // A file system that never writes in place has no space here either.
      writeAll(file, before, 0);
      throw thrown;
    }
    if (text.length < before.length) ftruncateSync(file, text.length);
  } finally {
    closeSync(file);
  }
}

/** The last checkpoint; undefined when there is none that is whole. */
export function readCheckpoint(folder: string): Manifest | undefined {
  return readFile(join(folder, PARTIAL_FILE)) ?? readFile(join(folder, SPARE_FILE));
}

/** The finished manifest; undefined when there is none that is whole. */
export function readManifest(folder: string): Manifest | undefined {
  return readFile(join(folder, MANIFEST_FILE));
}

function readFile(path: string): Manifest | undefined {
  try {
    return parseManifest(readTextNoFollow(path));
  } catch {
    return undefined;
  }
}

function writeSpare(folder: string, text: Buffer, mode: number): void {
  try {
    const file = openSync(join(folder, SPARE_FILE), OVERWRITE, mode);
    try {
      writeAll(file, text, 0);
      ftruncateSync(file, text.length);
    } finally {
      closeSync(file);
    }
  } catch {
    // The disk is full, but the checkpoint itself has its space reserved: better without a spare than not at all.
  }
}

/** The manifest as text, with space reserved in the file; on a full disk, a shorter text for the space that it has. */
function reserve(file: number, size: number, manifest: Manifest): Buffer {
  const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  if (text.length <= size) return text;
  try {
    writeAll(file, Buffer.alloc(text.length - size, ' '), size);
    return text;
  } catch (thrown) {
    ftruncateSync(file, size);
    const short = Buffer.from(`${JSON.stringify(manifest)}\n`);
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(thrown));
    if (!isFull || short.length > Math.max(size, fstatSync(file).blocks * STAT_BLOCK_BYTES)) throw thrown;
    return short;
  }
}

/** A disk that is nearly full takes less than it is given, and refuses only the next call. */
function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, bytes.length - done, position + done);
  }
}
