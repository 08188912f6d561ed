import { constants, type Dirent } from 'node:fs';
import { lstat, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FINISHED_EXTENSION, INDEX_EXTENSION, UNFINISHED_FOLDER } from '../sinks/recorder/files/unfinished.js';

/** How far each job has come, beside the index; written again and again. */
const PROGRESS_FILE = 'archive-progress.json';
/** Base of the file that lists recordings from before there was an audit, see found-recordings.ts. */
export const EARLIER_BASE = 'found';
const CHUNK_BYTES = 64 << 10;
const NEWLINE = 0x0a;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
/** A folder within the output directory: the index may be written by others, so no name in it may lead out. */
const FOLDER = /^[A-Za-z0-9][A-Za-z0-9_.=-]*(\/[A-Za-z0-9][A-Za-z0-9_.=-]*)*$/;

/** A finished recording, from the queue to one job. */
export interface QueueItem {
  readonly folder: string;
  readonly file: string;
  /** Of its line in that file. */
  readonly startsAt: number;
  isDone: boolean;
}

/** How far one job has come in one file of the index. */
class Place {
  /** Everything before it is done. */
  readonly #items: QueueItem[] = [];
  /** Read, and not handed out. */
  readonly ahead: QueueItem[] = [];
  readAt: number;

  constructor(readAt: number) {
    this.readAt = readAt;
  }

  take(): QueueItem | undefined {
    const item = this.ahead.shift();
    if (item !== undefined) this.#items.push(item);
    return item;
  }

  /** All lines before this byte are done. */
  get doneAt(): number {
    while (this.#items[0]?.isDone === true) this.#items.shift();
    return this.#items[0]?.startsAt ?? this.ahead[0]?.startsAt ?? this.readAt;
  }
}

interface IndexFile {
  /** Its name without the extension. */
  readonly base: string;
  readonly path: string;
  /** Nothing more is written to it. */
  readonly isComplete: boolean;
  /** When it was looked at last. */
  readonly size: number;
  /** When it was made; 0 where the file system does not say. */
  readonly birthMs: number;
}

/**
 * The finished recordings, as the index of unfinished ones lists them (`=folder`, see sinks/recorder/files/unfinished.ts).
 * Each job takes them in their order, at its own pace; how far each has come is kept beside the index, so that after a
 * kill the archive goes on there. What a job had not reported by then comes again. Memory does not depend on how many
 * recordings wait.
 */
export class FinishedQueue {
  readonly #folder: string;
  readonly #mode: number;
  readonly #jobs: readonly string[];
  readonly #files = new Map<string, IndexFile>();
  /** By file and job. */
  readonly #places = new Map<string, Map<string, Place>>();
  #saved = '';

  private constructor(directory: string, mode: number, jobs: readonly string[]) {
    this.#folder = join(directory, UNFINISHED_FOLDER);
    this.#mode = mode;
    this.#jobs = jobs;
  }

  /** @param jobs their names; a recording comes to each of them after it is done by the one before. */
  static async open(directory: string, mode: number, jobs: readonly string[]): Promise<FinishedQueue> {
    const queue = new FinishedQueue(directory, mode, jobs);
    const text = await readFile(join(queue.#folder, PROGRESS_FILE), 'utf8').catch(() => '{}');
    queue.#load(text);
    await queue.look();
    return queue;
  }

  /** Looks for what has been finished since. */
  async look(): Promise<void> {
    const entries = await readdir(this.#folder, { withFileTypes: true }).catch((): Dirent[] => []);
    const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    for (const name of names.toSorted()) {
      const extension = [INDEX_EXTENSION, FINISHED_EXTENSION].find((one) => name.endsWith(one));
      if (extension === undefined) continue;
      const base = name.slice(0, -extension.length);
      const isComplete = extension === FINISHED_EXTENSION;
      const path = join(this.#folder, name);
      const { size = 0, birthtimeMs: birthMs = 0 } = (await lstat(path).catch(() => undefined)) ?? {};
      this.#files.set(base, { base, path, isComplete, size, birthMs });
    }
  }

  /** The next recording for a job; undefined when there is none for now. */
  async next(job: string): Promise<QueueItem | undefined> {
    for (const file of this.#files.values()) {
      const place = this.#place(file.base, job);
      if (place.ahead.length === 0) await this.#read(file, place, this.#limit(file, job));
      const item = place.take();
      if (item !== undefined) return item;
    }
    return undefined;
  }

  /**
   * How many recordings of earlier processes a job may have done without having reported it: those that it has still to
   * do, and those that a repair may finish; and when the oldest file of the index with one was made.
   */
  async unsure(job: string, beforeMs: number): Promise<{ count: number; oldestMs: number }> {
    let [count, oldestMs] = [0, Number.POSITIVE_INFINITY];
    for (const file of this.#files.values()) {
      if (file.birthMs >= beforeMs) continue;
      const folders = await this.#unsureIn(file, this.#place(file.base, job).doneAt);
      count += folders.size;
      if (folders.size > 0) oldestMs = Math.min(oldestMs, file.birthMs);
    }
    return { count, oldestMs };
  }

  /** How many recordings a job has still to do. */
  async waiting(job: string): Promise<number> {
    return (await this.pending(job)).length;
  }

  /** The folders of the recordings that a job has still to do. */
  async pending(job: string): Promise<string[]> {
    const folders: string[] = [];
    for (const file of this.#files.values()) {
      const bytes = await readFile(file.path).catch(() => Buffer.alloc(0));
      const lines = bytes.subarray(this.#place(file.base, job).doneAt).toString('utf8').split('\n').slice(0, -1);
      folders.push(...lines.filter((line) => line.startsWith('=')).map((line) => line.slice(1)));
    }
    return folders;
  }

  /** Whether a job has still to do recordings from before there was an audit. */
  hasEarlier(job: string): boolean {
    const file = this.#files.get(EARLIER_BASE);
    return file !== undefined && this.#jobs.includes(job) && this.#place(file.base, job).doneAt < file.size;
  }

  /** Keeps how far the jobs have come, and removes files of which everything is done. */
  async save(): Promise<void> {
    for (const file of [...this.#files.values()]) {
      const isDone = (job: string): boolean => this.#place(file.base, job).doneAt >= file.size;
      if (!file.isComplete || file.size === 0 || !this.#jobs.every(isDone)) continue;
      await rm(file.path, { force: true });
      this.#files.delete(file.base);
      this.#places.delete(file.base);
    }
    const progress: Record<string, Record<string, number>> = {};
    for (const [base, places] of this.#places) {
      progress[base] = Object.fromEntries([...places].map(([job, place]) => [job, place.doneAt]));
    }
    const text = `${JSON.stringify(progress)}\n`;
    if (text === this.#saved) return;
    const path = join(this.#folder, PROGRESS_FILE);
    await rm(`${path}.new`, { force: true });
    await writeFile(`${path}.new`, text, { mode: this.#mode, flag: 'wx' });
    await rename(`${path}.new`, path);
    this.#saved = text;
  }

  #load(text: string): void {
    try {
      for (const [base, jobs] of Object.entries(JSON.parse(text) as Record<string, Record<string, unknown>>)) {
        for (const [job, doneAt] of Object.entries(jobs)) {
          if (!Number.isSafeInteger(doneAt) || !this.#jobs.includes(job)) continue;
          this.#place(base, job).readAt = Math.max(0, Number(doneAt));
        }
      }
    } catch {
      // Jobs find out themselves what they have done already.
    }
  }

  #place(base: string, job: string): Place {
    const places = this.#places.get(base) ?? new Map<string, Place>();
    this.#places.set(base, places);
    const place = places.get(job) ?? new Place(0);
    places.set(job, place);
    return place;
  }

  /** The folders of recordings that a job has still to do, or that are not finished. */
  async unfinished(job: string): Promise<Set<string>> {
    const all = new Set<string>();
    for (const file of this.#files.values()) {
      for (const folder of await this.#unsureIn(file, this.#place(file.base, job).doneAt)) all.add(folder);
    }
    return all;
  }

  async #unsureIn(file: IndexFile, doneAt: number): Promise<Set<string>> {
    const folders = new Set<string>();
    let at = 0;
    for (const line of (await readFile(file.path, 'utf8').catch(() => '')).split('\n').slice(0, -1)) {
      if (line.startsWith('+') || (line.startsWith('=') && at >= doneAt)) folders.add(line.slice(1));
      else if (line.startsWith('=') || line.startsWith('-')) folders.delete(line.slice(1));
      at += Buffer.byteLength(line) + 1;
    }
    return folders;
  }

  /** A job gets what the one before has done. */
  #limit(file: IndexFile, job: string): number {
    const before = this.#jobs[this.#jobs.indexOf(job) - 1];
    return before === undefined ? Number.POSITIVE_INFINITY : this.#place(file.base, before).doneAt;
  }

  /** Reads lines that have come since. */
  async #read(file: IndexFile, place: Place, limit: number): Promise<void> {
    const handle = await open(file.path, READ).catch(() => undefined);
    if (handle === undefined) return;
    try {
      const { size } = await handle.stat();
      const chunk = Buffer.alloc(CHUNK_BYTES);
      while (place.ahead.length === 0 && place.readAt < Math.min(limit, size)) {
        const wanted = Math.min(chunk.length, limit - place.readAt);
        const { bytesRead } = await handle.read(chunk, 0, wanted, place.readAt);
        const lines = chunk.subarray(0, bytesRead).lastIndexOf(NEWLINE) + 1;
        if (lines === 0) {
          // Half a line: it is being written, or its process was killed.
          const isCutOff = file.isComplete && place.readAt + bytesRead === size;
          if (isCutOff || bytesRead === chunk.length) place.readAt += bytesRead;
          if (bytesRead < chunk.length) break;
          continue;
        }
        take(place, file.base, chunk.subarray(0, lines));
      }
    } finally {
      await handle.close();
    }
  }
}

/**
 * The folders that the index lists in any way: their recordings are finished and have no digest yet, or may be finished by a
 * repair. It changes nothing.
 */
export async function foldersWithoutDigest(directory: string): Promise<ReadonlySet<string>> {
  const queue = await FinishedQueue.open(directory, 0, ['digest']);
  return queue.unfinished('digest');
}

function take(place: Place, file: string, bytes: Buffer): void {
  let startsAt = place.readAt;
  for (const line of bytes.toString('utf8').split('\n').slice(0, -1)) {
    const folder = line.slice(1);
    if (line.startsWith('=') && FOLDER.test(folder)) place.ahead.push({ folder, file, startsAt, isDone: false });
    startsAt += Buffer.byteLength(line) + 1;
  }
  place.readAt = startsAt;
}
