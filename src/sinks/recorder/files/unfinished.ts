import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isInside, requireInside } from '../../../core/files/inside.js';
import { isRecordingPath } from '../folders/recording-folders.js';
import type { FileAccess } from './folder.js';
import { type Writer, writerSchema, writerState } from './writer.js';

/**
 * The index of unfinished recordings, a folder beside them. Each recorder appends to a file of its own: its writer as
 * JSON, then one line for each recording, `+folder` before its first file is made and `-folder` once its manifest has
 * an end. After a kill the folders that were added and not taken away are the ones to repair, however many finished
 * recordings lie beside them.
 *
 * Where there is an archive, `=folder` takes the place of `-folder`: the recording is finished, and the archive has it
 * still to do (archive/finished-queue.ts). A file that has nothing unfinished is renamed to `.finished` then, and the
 * archive removes it.
 */
export const UNFINISHED_FOLDER = '.unfinished';
/** Exists once every recording that is not in the index is known to be finished. */
const COMPLETE_FILE = 'complete';
export const INDEX_EXTENSION = '.log';
/** Of a file of which only the archive needs to know. */
export const FINISHED_EXTENSION = '.finished';
/** A longer file is written again with what is still unfinished. */
const MAX_FILE_BYTES = 1 << 20;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;

/** One recorder's own file of the index. What cannot be written waits here and is written with the next line. */
export class UnfinishedIndex {
  readonly #outDir: string;
  readonly #folder: string;
  readonly #name: string;
  readonly #writer: Writer;
  readonly #access: FileAccess;
  readonly #isArchived: boolean;
  readonly #open = new Set<string>();
  #number = 1;
  #fd = -1;
  #waiting = '';
  #bytes = 0;

  /** @param isArchived There is an archive, which is to learn of every finished recording. */
  constructor(outDir: string, writer: Writer, access: FileAccess, startedUs: number, isArchived = false) {
    this.#outDir = outDir;
    this.#folder = join(outDir, UNFINISHED_FOLDER);
    // A process may have several recorders, one after another or side by side.
    const name = [writer.host.replace(/[^A-Za-z0-9-]/g, '_'), writer.pid, writer.startTicks, Math.round(startedUs)];
    this.#name = name.join('-');
    this.#writer = writer;
    this.#access = access;
    this.#isArchived = isArchived;
  }

  add(folder: string): void {
    if (this.#open.has(folder)) return;
    this.#open.add(folder);
    this.#append(`+${folder}\n`);
  }

  /** There is no recording there after all. */
  remove(folder: string): void {
    if (this.#open.delete(folder)) this.#append(`-${folder}\n`);
  }

  /** Its manifest has its end. */
  finished(folder: string): void {
    if (!this.#isArchived) this.remove(folder);
    else {
      this.#open.delete(folder);
      this.#append(`=${folder}\n`);
    }
  }

  /** Removes the file when nothing is unfinished, or leaves it to the archive. */
  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    if (this.#open.size > 0 || this.#bytes === 0) return;
    if (this.#isArchived) leaveToArchive(this.#path);
    else rmSync(this.#path, { force: true });
  }

  get #path(): string {
    return join(this.#folder, `${this.#name}${this.#number === 1 ? '' : `-${this.#number}`}${INDEX_EXTENSION}`);
  }

  #append(line: string): void {
    this.#waiting += line;
    try {
      if (this.#fd < 0 || fstatSync(this.#fd).nlink === 0) this.#begin();
      else if (this.#bytes > MAX_FILE_BYTES) this.#shorten();
      else this.#write(this.#waiting);
      this.#waiting = '';
    } catch {
      // A full disk, say. The recording itself is not kept from going on, and a repair of the whole folder finds it.
    }
  }

  #begin(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    makeIndexFolder(this.#outDir, this.#access.folderMode);
    this.#fd = openSync(this.#path, APPEND, this.#access.fileMode);
    this.#bytes = 0;
    this.#write(this.#content());
  }

  #shorten(): void {
    if (this.#isArchived) {
      const full = this.#path;
      this.#number++;
      // The next file is there before: a kill in between leaves both, and a repair looks at a few recordings too many.
      this.#begin();
      leaveToArchive(full);
      return;
    }
    const spare = `${this.#path}.new`;
    writeFileSync(spare, this.#content(), { mode: this.#access.fileMode, flag: 'wx' });
    renameSync(spare, this.#path);
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, APPEND, this.#access.fileMode);
    this.#bytes = fstatSync(this.#fd).size;
  }

  #content(): string {
    const finished = this.#waiting.split('\n').filter((line) => line.startsWith('='));
    return [JSON.stringify(this.#writer), ...[...this.#open].map((folder) => `+${folder}`), ...finished, ''].join('\n');
  }

  #write(text: string): void {
    const before = this.#bytes;
    try {
      this.#bytes += writeSync(this.#fd, text);
      if (this.#bytes - before < Buffer.byteLength(text)) throw new Error('The disk took a part only.');
    } catch (thrown) {
      // Half a line would spoil the next one.
      ftruncateSync(this.#fd, before);
      this.#bytes = before;
      throw thrown;
    }
  }
}

export interface Unfinished {
  /** Folders of recordings whose writer is dead, or may be. */
  readonly folders: readonly string[];
  /** Files of the index that may be removed once these folders are repaired. */
  readonly files: readonly string[];
  /** False when recordings may be unfinished that are not in the index: it was never made, or not completed. */
  readonly isComplete: boolean;
}

/** Reads what earlier processes left in the index of a folder of recordings. */
export async function readUnfinished(outDir: string): Promise<Unfinished> {
  const folder = join(outDir, UNFINISHED_FOLDER);
  const folders = new Set<string>();
  const files: string[] = [];
  const names = isInside(outDir, UNFINISHED_FOLDER) ? await readdir(folder) : [];
  for (const name of names.filter((one) => one.endsWith(INDEX_EXTENSION))) {
    const path = join(folder, name);
    // Half a line, after a kill, says nothing: neither does the archive read it.
    const [head = '', ...lines] = (await readFile(path, { encoding: 'utf8', flag: READ })).split('\n').slice(0, -1);
    const state = stateOf(head);
    if (state === 'alive') continue;
    const open = new Set<string>();
    for (const line of lines) {
      if (line.startsWith('+')) open.add(line.slice(1));
      else if (line.startsWith('-') || line.startsWith('=')) open.delete(line.slice(1));
    }
    // The index lies in a folder that others may write to: no name in it may lead elsewhere.
    for (const path of open) if (isRecordingPath(path)) folders.add(path);
    if (state === 'dead') files.push(path);
  }
  return { folders: [...folders], files, isComplete: names.includes(COMPLETE_FILE) };
}

/** @throws what node:fs throws; an error with the code ELOOP when a symbolic link stands in place of the folder. */
export function makeIndexFolder(outDir: string, mode: number): void {
  const path = join(outDir, UNFINISHED_FOLDER);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) mkdirSync(path, { recursive: true, mode });
  requireInside(outDir, UNFINISHED_FOLDER);
}

/** From now on the index lists every unfinished recording of the folder. */
export function markComplete(outDir: string, access: FileAccess): void {
  makeIndexFolder(outDir, access.folderMode);
  const path = join(outDir, UNFINISHED_FOLDER, COMPLETE_FILE);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
    writeFileSync(path, '', { mode: access.fileMode, flag: 'wx' });
}

/** Of a file of the index in which nothing is unfinished. */
export function leaveToArchive(path: string): void {
  try {
    renameSync(path, `${path.slice(0, -INDEX_EXTENSION.length)}${FINISHED_EXTENSION}`);
  } catch {
    // Then a repair looks at what it lists, and the archive reads it where it is.
  }
}

function stateOf(head: string): ReturnType<typeof writerState> {
  try {
    return writerState(writerSchema.parse(JSON.parse(head)));
  } catch {
    return 'dead';
  }
}
