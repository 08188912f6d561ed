import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, realpath, rename, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../clock.js';
import { messageOf, TrunklineError } from '../errors.js';
import { type ProcessIdentity, processState, thisProcess } from './process-identity.js';

export const LOCK_FILE = '.lock';
/** The holder touches its lock so often. */
const TOUCH_MS = 1_000;
/** For holders that cannot be looked up. */
const STALE_MS = 5_000;
const LOOK_MS = 250;
const MAX_ATTEMPTS = 10;
const MAX_BYTES = 4_096;
const CREATE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;

/** What a lock says of its holder. */
interface Holder extends ProcessIdentity {
  /** Tells locks apart. */
  readonly id: string;
  /** The folder as the holder sees it: a copy of the folder has a lock that means nothing. */
  readonly folder: string;
  readonly since: string;
  readonly command: string;
}

export interface FolderLockOptions {
  /** Called once when the lock was taken away: another process may write the folder. */
  readonly onLost: (error: TrunklineError) => void;
  /** Called when it takes some seconds to find out whether an earlier holder lives. */
  readonly onWaiting?: (holder: string) => void;
  /** A lock that nobody touches for this time has no holder any more; default 5,000 ms. */
  readonly staleMs?: number;
}

/**
 * Keeps other processes from writing a folder: the file `.lock`, which names its holder. Node has no flock(2), and that
 * means nothing on some network file systems.
 *
 * A holder of the same machine and container is looked up by its process id and start time, so that a lock that kill -9
 * has left is taken over at once. Where a process id means nothing, on another machine or in another container, the
 * holder's touch decides: the lock is taken over when nobody has touched it for five seconds.
 */
export class FolderLock {
  readonly #path: string;
  readonly #holder: Holder;
  readonly #file: FileHandle;
  readonly #options: FolderLockOptions;
  readonly #ino: number;
  readonly #timer: NodeJS.Timeout;
  #isNamed: boolean;
  #isLost = false;
  #touching: Promise<void> = Promise.resolve();

  private constructor(path: string, holder: Holder, draft: Draft, options: FolderLockOptions) {
    this.#path = path;
    this.#holder = holder;
    this.#file = draft.file;
    this.#ino = draft.ino;
    this.#isNamed = draft.isNamed;
    this.#options = options;
    this.#timer = setInterval(() => {
      this.#touching = this.#touch();
    }, TOUCH_MS).unref();
  }

  /**
   * @param directory is there.
   * @throws TrunklineError FOLDER_IN_USE when another process holds it, or another node of this one; FILE_FAILED when the
   *   folder cannot be written.
   */
  static async acquire(directory: string, options: FolderLockOptions): Promise<FolderLock> {
    const folder = await realpath(directory);
    const path = join(folder, LOCK_FILE);
    const holder: Holder = {
      ...{ id: randomBytes(8).toString('hex'), ...thisProcess(), folder },
      ...{ since: new Date(systemClock.wallMs()).toISOString(), command: thisCommand() },
    };
    const draft = `${path}.${holder.id}`;
    try {
      const file = await open(draft, CREATE, 0o600);
      try {
        const isNamed = await write(file, holder);
        await take(path, draft, directory, options);
        return new FolderLock(path, holder, { file, isNamed, ino: (await file.stat()).ino }, options);
      } catch (thrown) {
        await file.close();
        throw thrown;
      } finally {
        await unlink(draft).catch(() => {});
      }
    } catch (thrown) {
      if (thrown instanceof TrunklineError) throw thrown;
      const message = `Cannot lock ${directory}: ${messageOf(thrown)}. Choose a folder that is writable.`;
      throw new TrunklineError('FILE_FAILED', message, { cause: thrown });
    }
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#touching;
    // What cannot be read cannot be released either; the next holder looks whether this process lives.
    const found = await read(this.#path).catch(() => undefined);
    if (found?.ino === this.#ino) await unlink(this.#path).catch(() => {});
    await this.#file.close();
  }

  async #touch(): Promise<void> {
    try {
      const nowSeconds = systemClock.wallMs() / 1000;
      await this.#file.utimes(nowSeconds, nowSeconds);
      const found = await read(this.#path);
      if (found !== undefined && found.ino !== this.#ino) this.#lost(found.holder);
      else this.#isNamed ||= await write(this.#file, this.#holder);
    } catch {
      // The disk does not work: the recorder says so.
    }
  }

  #lost(holder: Holder | undefined): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const who = holder === undefined ? 'another process' : named(holder);
    const message = `The lock of ${this.#holder.folder} was taken by ${who}: both write the same folder. Stop one of them.`;
    this.#options.onLost(new TrunklineError('FOLDER_IN_USE', message));
  }
}

/** The file that becomes the lock. */
interface Draft {
  readonly file: FileHandle;
  readonly ino: number;
  /** It says whose it is. */
  readonly isNamed: boolean;
}

/**
 * False when the disk is full. An empty lock is one all the same, since its holder touches it, and a node on a full disk
 * has listeners, and records as soon as there is space again.
 */
async function write(file: FileHandle, holder: Holder): Promise<boolean> {
  const bytes = Buffer.from(`${JSON.stringify(holder)}\n`);
  try {
    const { bytesWritten } = await file.write(bytes, 0, bytes.length, 0);
    return bytesWritten === bytes.length;
  } catch (thrown) {
    const { code = '' } = thrown as NodeJS.ErrnoException;
    if (!['ENOSPC', 'EDQUOT'].includes(code)) throw thrown;
    return false;
  }
}

/** Makes `draft` the lock, after those before it that have no holder any more. */
async function take(path: string, draft: string, directory: string, options: FolderLockOptions): Promise<void> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (await becomes(path, draft)) return;
    const found = await read(path);
    if (found === undefined) continue;
    if (await isHeld(path, found, options)) throw inUse(directory, found.holder);
    // Moved aside first: when another process has taken it over at the same moment, it is given back.
    const aside = `${draft}.stale`;
    await rename(path, aside).catch(() => {});
    const moved = await read(aside);
    if (moved !== undefined && moved.ino !== found.ino) await link(aside, path).catch(() => {});
    await unlink(aside).catch(() => {});
  }
  throw inUse(directory, undefined);
}

/** Gives the draft the name of the lock; false when there is a lock. */
async function becomes(path: string, draft: string): Promise<boolean> {
  try {
    // Whole or not at all, also on network file systems.
    await link(draft, path);
    return true;
  } catch (thrown) {
    const { code = '' } = thrown as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code)) throw thrown;
  }
  // A file system without hard links.
  if ((await lstat(path).catch(() => undefined)) !== undefined) return false;
  await rename(draft, path);
  return true;
}

interface FoundLock {
  /** Undefined when it cannot be read. */
  readonly holder: Holder | undefined;
  readonly ino: number;
  readonly mtimeMs: number;
}

async function read(path: string): Promise<FoundLock | undefined> {
  const file = await open(path, READ).catch((thrown: NodeJS.ErrnoException) => {
    if (['ENOENT', 'ENOTDIR'].includes(thrown.code ?? '')) return undefined;
    throw thrown;
  });
  if (file === undefined) return undefined;
  try {
    const { ino, mtimeMs } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    return { holder: holderOf(buffer.toString('utf8', 0, bytesRead)), ino, mtimeMs };
  } finally {
    await file.close();
  }
}

function holderOf(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Partial<Record<keyof Holder, unknown>>;
    const { id, host, folder, since, command, pid, startTicks, bootId, pidNamespace } = holder;
    const texts = [id, host, folder, since, command, startTicks, bootId, pidNamespace];
    return texts.every((one) => typeof one === 'string') && Number.isInteger(pid) ? (holder as Holder) : undefined;
  } catch {
    return undefined;
  }
}

async function isHeld(path: string, found: FoundLock, options: FolderLockOptions): Promise<boolean> {
  const { holder } = found;
  const state = holder === undefined ? 'unknown' : processState(holder);
  // A copy of the folder has a copy of the lock.
  if (holder !== undefined && state === 'alive') return holder.folder === (await realpath(join(path, '..')));
  if (state === 'dead') return false;
  options.onWaiting?.(holder === undefined ? 'an unknown process' : named(holder));
  for (let waitedMs = 0; waitedMs < (options.staleMs ?? STALE_MS); waitedMs += LOOK_MS) {
    await sleep(LOOK_MS);
    const now = await read(path);
    if (now === undefined) return false;
    if (now.ino !== found.ino || now.mtimeMs !== found.mtimeMs) return true;
  }
  return false;
}

function inUse(directory: string, holder: Holder | undefined): TrunklineError {
  const who = holder === undefined ? 'another process' : named(holder);
  const advice = 'Stop it, or choose another folder: two processes would write over each other.';
  return new TrunklineError('FOLDER_IN_USE', `${directory} is in use by ${who}. ${advice}`);
}

function named({ pid, host, command, since }: Holder): string {
  const own = thisProcess();
  if (pid === own.pid && host === own.host) return `another node of this process, since ${since}`;
  return `process ${pid} on ${host} (${command}), since ${since}`;
}

/** The program and its subcommand; never its options, which may be secret. */
function thisCommand(): string {
  const [, script = '', command = ''] = process.argv;
  return [basename(script), /^[a-z-]+$/.test(command) && !command.startsWith('-') ? command : ''].join(' ').trim();
}
