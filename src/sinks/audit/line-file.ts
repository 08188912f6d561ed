import { close, constants, fstat, open, read } from 'node:fs';
import { lstat, mkdir, rename } from 'node:fs/promises';
import { dirname, join, parse } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '../../core/clock.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { AppendingFile } from './appending-file.js';

/** Lines are written together, at this many characters or after this time. */
const BATCH_LENGTH = 8_192;
const BATCH_MS = 250;
/** How often the file is compared with what its path names now. */
const CHECK_MS = 1_000;

/** A symbolic link in the place of the file is refused: it could lead anywhere. */
const APPEND = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

export interface LineFileOptions {
  /** Permissions of the file; those of a folder that has to be made follow. */
  readonly fileMode: number;
  readonly folderMode: number;
  /** Called at the first failed write, and when the file cannot be opened again. */
  readonly onFault: (message: string) => void;
  /** Called when the file was opened again, because it was moved or removed or reopen() was called. */
  readonly onReopened: (why: Reopened) => void;
  /** Called when all lines of the file before that one have been written, or dropped. */
  readonly onCompleted?: () => void;
  /** At this size the file is moved to another name, and another one begins; default never. */
  readonly maxBytes?: number | undefined;
  /** The same with each day, by UTC; default false. */
  readonly daily?: boolean | undefined;
  readonly clock: Clock;
}

/** Why a file was opened again: somebody moved or removed it, reopen() was called, or it was full or a day old. */
export type Reopened = 'moved' | 'removed' | 'requested' | 'rotated';

/**
 * A file that lines are appended to without waiting. When it is moved away (log rotation) or removed, another one is
 * made at its path within a second; what was written before that is in the file that was moved.
 */
export class LineFile {
  readonly #path: string;
  readonly #options: LineFileOptions;
  #file: AppendingFile;
  /** Of files that were closed. */
  #droppedBefore = 0;
  #writeErrorsBefore = 0;
  #isFaultReported = false;
  #batch = '';
  #batchLines = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #checks: NodeJS.Timeout;
  #reopening: Promise<void> | undefined;
  #requested: Promise<void> | undefined;
  #isClosed = false;
  /** On which the file was opened. */
  #day: string;

  /** @throws TrunklineError FILE_FAILED when the file cannot be opened. */
  static async open(path: string, options: LineFileOptions): Promise<LineFile> {
    try {
      return new LineFile(path, options, await openToAppend(path, options));
    } catch (thrown) {
      const message = `Cannot open ${path}: ${messageOf(thrown)}. Choose a folder that is writable; a symbolic link in place of the file is not followed.`;
      throw new TrunklineError('FILE_FAILED', message, { cause: thrown });
    }
  }

  private constructor(path: string, options: LineFileOptions, file: AppendingFile) {
    this.#path = path;
    this.#options = options;
    this.#file = this.#watched(file);
    this.#day = dayOf(options.clock);
    this.#checks = setInterval(() => void this.#check(), CHECK_MS).unref();
  }

  /** Lines that found no space, because the disk is slow or full; after close() all that could not be written. */
  get dropped(): number {
    return this.#droppedBefore + this.#file.dropped;
  }

  /** Inode of the file that lines go to now: its path may name another one by the time that somebody looks. */
  get ino(): number {
    return this.#file.ino;
  }

  get writeErrors(): number {
    return this.#writeErrorsBefore + this.#file.writeErrors;
  }

  /** `line` with its newline. */
  append(line: string): void {
    this.#batch += line;
    this.#batchLines++;
    if (this.#batch.length >= BATCH_LENGTH) this.#writeBatch();
    else this.#timer ??= setTimeout(this.#writeBatch, BATCH_MS).unref();
  }

  /**
   * Begins another file: the one that there is is moved to another name, unless somebody has moved it already. What was
   * appended before is written to the old file.
   */
  reopen(): Promise<void> {
    this.#requested ??= this.#begin().finally(() => {
      this.#requested = undefined;
    });
    return this.#requested;
  }

  async #begin(): Promise<void> {
    if (this.#isClosed) return;
    this.#writeBatch();
    await this.#file.written();
    const found = await lstat(this.#path).catch(() => undefined);
    const isOurs = found?.ino === this.#file.ino && found.dev === this.#file.dev;
    if (isOurs && found.size > 0) await this.#rotate('requested');
    else await this.#reopen('requested');
  }

  /** Resolves once everything that was appended until now has been written or dropped. */
  async written(): Promise<void> {
    await this.#reopening;
    this.#writeBatch();
    await this.#file.written();
  }

  /** Writes what waits and closes the file. What cannot be written is dropped and counted. */
  async close(): Promise<void> {
    clearInterval(this.#checks);
    await this.#reopening;
    this.#isClosed = true;
    this.#writeBatch();
    await this.#file.close();
  }

  async #check(): Promise<void> {
    const found = await lstat(this.#path).catch(() => undefined);
    if (found?.ino !== this.#file.ino || found.dev !== this.#file.dev) {
      await this.#reopen(this.#file.isLinked() ? 'moved' : 'removed');
    } else if (this.#isDue(found.size)) {
      await this.#rotate('rotated');
    }
  }

  #isDue(size: number): boolean {
    const { maxBytes = Number.POSITIVE_INFINITY, daily = false, clock } = this.#options;
    return size > 0 && (size >= maxBytes || (daily && dayOf(clock) !== this.#day));
  }

  async #rotate(why: 'rotated' | 'requested'): Promise<void> {
    try {
      await rename(this.#path, await freeName(this.#path, this.#options.clock));
    } catch (thrown) {
      this.#fault(`Cannot rotate ${this.#path}: ${messageOf(thrown)}. It grows on; make its folder writable.`);
      return;
    }
    await this.#reopen(why);
  }

  #reopen(why: Reopened): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#reopening ??= this.#openAgain(why).finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #openAgain(why: Reopened): Promise<void> {
    let next: AppendingFile;
    try {
      next = await openToAppend(this.#path, this.#options);
    } catch (thrown) {
      this.#fault(
        `Cannot open ${this.#path} again: ${messageOf(thrown)}. Make its folder writable; it is tried again.`,
      );
      return;
    }
    this.#isFaultReported = false;
    this.#day = dayOf(this.#options.clock);
    this.#writeBatch();
    const last = this.#file;
    this.#file = this.#watched(next);
    this.#options.onReopened(why);
    await last.close();
    this.#options.onCompleted?.();
    this.#droppedBefore += last.dropped;
    this.#writeErrorsBefore += last.writeErrors;
  }

  #watched(file: AppendingFile): AppendingFile {
    file.onError = (error) => {
      this.#fault(`Cannot write ${this.#path}: ${messageOf(error)}. Capture goes on; free space for the audit.`);
    };
    return file;
  }

  /** Once, until the file has been opened again. */
  #fault(message: string): void {
    if (this.#isFaultReported) return;
    this.#isFaultReported = true;
    this.#options.onFault(message);
  }

  readonly #writeBatch = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#batch !== '') this.#file.write(this.#batch, this.#batchLines);
    this.#batch = '';
    this.#batchLines = 0;
  };
}

/** By UTC, as in `2026-11-29`. */
function dayOf(clock: Clock): string {
  return new Date(clock.wallMs()).toISOString().slice(0, 10);
}

/** A name for the file that is put aside: that of its path with the time, such as `audit-20261129T041103Z.jsonl`. */
async function freeName(path: string, clock: Clock): Promise<string> {
  const { dir, name, ext } = parse(path);
  const time = new Date(clock.wallMs()).toISOString().replace(/[-:]|\.\d+/g, '');
  for (let copy = 1; ; copy++) {
    const free = join(dir, `${name}-${time}${copy === 1 ? '' : `-${copy}`}${ext}`);
    const found = await lstat(free).catch(() => undefined);
    if (found === undefined) return free;
  }
}

// The descriptor is pino's to close, which a FileHandle would not know.
const fs = { open: promisify(open), fstat: promisify(fstat), read: promisify(read), close: promisify(close) };

async function openToAppend(path: string, { fileMode, folderMode }: LineFileOptions): Promise<AppendingFile> {
  await mkdir(dirname(path), { recursive: true, mode: folderMode });
  const descriptor = await fs.open(path, APPEND, fileMode);
  try {
    const { ino, dev, size } = await fs.fstat(descriptor);
    const isTorn = await endsInLine(descriptor, size);
    const file = new AppendingFile(descriptor, ino, dev);
    if (isTorn) file.write('\n', 1);
    return file;
  } catch (thrown) {
    await fs.close(descriptor);
    throw thrown;
  }
}

const NEWLINE = 0x0a;

/** Whether a file of `size` bytes ends in the middle of a line, as after a kill. */
async function endsInLine(descriptor: number, size: number): Promise<boolean> {
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  const { bytesRead } = await fs.read(descriptor, last, 0, 1, size - 1);
  return bytesRead === 1 && last[0] !== NEWLINE;
}
