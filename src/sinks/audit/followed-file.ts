import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { LeafFile } from '../../evidence/leaf-file.js';
import { auditFiles, compareNewFiles, isEntryLine, LineSplitter } from '../../evidence/log-files.js';
import { leafHash } from '../../evidence/merkle-tree.js';

const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
/** Read at once; the hashes of a chunk take about half a millisecond. */
const CHUNK_BYTES = 64 << 10;
const NEWLINE = 0x0a;
/** For a file that gets another name at that moment. */
const MAX_LOOKS = 10;

/** A file with lines, as far as it has been taken into the tree. */
export class FollowedFile {
  readonly name: string;
  readonly handle: FileHandle;
  readonly #splitter = new LineSplitter();
  #offset = 0;
  /** Nothing more will be written to it. */
  isComplete = false;

  readonly #path: string;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.name = basename(path);
    this.handle = handle;
  }

  static async open(path: string): Promise<FollowedFile> {
    return new FollowedFile(path, await open(path, READ));
  }

  /** Opens the file with this inode, under whatever name the audit has it by now. */
  static async find(path: string, ino: number): Promise<FollowedFile> {
    for (let attempt = 0; attempt < MAX_LOOKS; attempt++) {
      const file = await FollowedFile.#openIf(path, ino);
      if (file !== undefined) return file;
      // It was put aside before, so that it is among these, unless it gets a further name at this moment.
      for (const name of await auditFiles(dirname(path))) {
        const other = await FollowedFile.#openIf(join(dirname(path), name), ino);
        if (other !== undefined) return other;
      }
    }
    throw new Error(`${path} was removed before it was signed`);
  }

  static async #openIf(path: string, ino: number): Promise<FollowedFile | undefined> {
    const file = await FollowedFile.open(path).catch(noneIfGone);
    if (file === undefined || (await file.handle.stat()).ino === ino) return file;
    await file.handle.close();
    return undefined;
  }

  /** Gives the last line its end, which a kill has cut off. Nothing else writes the file. */
  async endLine(): Promise<void> {
    const { size } = await this.handle.stat();
    const { bytesRead, buffer } = await this.handle.read(Buffer.alloc(1), 0, 1, size - 1);
    if (bytesRead === 0 || buffer[0] === NEWLINE) return;
    const file = await open(this.#path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW);
    try {
      await file.writeFile('\n');
    } finally {
      await file.close();
    }
  }

  /** The first line; undefined while there is none. */
  async firstLine(): Promise<Buffer | undefined> {
    const splitter = new LineSplitter();
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let offset = 0; ; ) {
      const { bytesRead } = await this.handle.read(chunk, 0, chunk.length, offset);
      if (bytesRead === 0) return undefined;
      offset += bytesRead;
      for (const line of splitter.split(chunk.subarray(0, bytesRead))) return Buffer.from(line);
    }
  }

  /** The hashes of the lines that have been written since the last call, those of a chunk at a time. */
  async *leaves(): AsyncGenerator<Buffer[]> {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await this.handle.read(chunk, 0, chunk.length, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      yield Array.from(this.#splitter.split(chunk.subarray(0, bytesRead)), leafHash);
    }
  }
}

/** A file of the audit beside the one that is being written. */
export interface EarlierFile {
  readonly file: FollowedFile;
  /** The entry with which it begins; −1 when its first line is not in the log. */
  readonly from: number;
}

/** The files of an audit but one: first those with entries of the log, in their order, then those with new lines. */
export async function earlierFiles(
  directory: string,
  except: string,
  leaves: LeafFile,
  size: number,
): Promise<EarlierFile[]> {
  const found: { file: FollowedFile; firstLine: Buffer }[] = [];
  for (const name of await auditFiles(directory)) {
    if (name === except) continue;
    const file = await FollowedFile.open(join(directory, name));
    const firstLine = await file.firstLine();
    if (firstLine === undefined) await file.handle.close();
    else found.push({ file, firstLine });
  }
  const places = await leaves.lastIndexesOf(
    found.map(({ firstLine }) => leafHash(firstLine)),
    size,
  );
  const files = found.map((one, index) => ({ ...one, from: places[index] ?? -1 }));
  const known = files.filter(({ from }) => from >= 0).toSorted((a, b) => a.from - b.from);
  // What was compressed, say, has no lines of ours.
  const added = files.filter(({ from, firstLine }) => from < 0 && isEntryLine(firstLine));
  const byTime = added.toSorted((a, b) => compareNewFiles({ ...a, name: a.file.name }, { ...b, name: b.file.name }));
  for (const { file } of files.filter(({ from, firstLine }) => from < 0 && !isEntryLine(firstLine)))
    await file.handle.close();
  return [...known, ...byTime];
}

function noneIfGone(thrown: NodeJS.ErrnoException): undefined {
  if (thrown.code !== 'ENOENT') throw thrown;
}
