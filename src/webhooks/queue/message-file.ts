import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm, utimes } from 'node:fs/promises';
import { z } from 'zod';
import { type Writer, writerSchema } from '../../sinks/recorder/files/writer.js';
import type { Message } from '../message.js';

/**
 * One process's file of messages, which only grows: its writer as JSON in the first line, then `{"add":message}` for each
 * message and `{"done":id}` for each that needs no delivery any more. A kill leaves at most half a line, which is skipped.
 */
export const messageSchema = z.object({
  id: z.string().min(1),
  type: z.string(),
  key: z.string(),
  createdAtMs: z.number(),
  body: z.string(),
});
const lineSchema = z.union([z.object({ add: messageSchema }), z.object({ done: z.string() })]);

/** A file with more than this is written again once most of it is done. */
const COMPACT_BYTES = 1 << 20;
/** A symbolic link in place of a file is refused. */
const REPLACE = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
/** What has been written is forced to the disk within this time: a power cut costs no more. */
const SYNC_MS = 1_000;
/** A full disk is tried again after this time. */
const RETRY_MS = 1_000;
/** Lines that a full disk may leave waiting, in characters; with more the file is written again from what is pending. */
const MAX_WAITING = 4 << 20;

export interface MessageFileOptions {
  readonly path: string;
  readonly writer: Writer;
  /** What is still to be delivered, when the file is written again. */
  readonly pending: () => Iterable<Message>;
  /** Called when a write fails. */
  readonly onFault: (thrown: unknown) => void;
}

/** Writes without anybody waiting: what a full disk refuses waits in memory and is tried again. */
export class MessageFile {
  readonly #options: MessageFileOptions;
  #file: FileHandle | undefined;
  #waiting = '';
  /** More waited than may: nothing is added to #waiting until the file is written again as a whole. */
  #isOverflowing = false;
  #bytes = 0;
  #liveBytes = 0;
  #writing: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #sync: NodeJS.Timeout | undefined;
  #isClosed = false;
  writeErrors = 0;

  constructor(options: MessageFileOptions) {
    this.#options = options;
  }

  /** What is to be written, in characters. */
  get waitingCharacters(): number {
    return this.#waiting.length;
  }

  /** Resolves when it has been written, or could not be. */
  add(message: Message): Promise<void> {
    const line = lineOf({ add: message });
    this.#liveBytes += line.length;
    return this.#append(line);
  }

  done({ id, body }: Message): void {
    this.#liveBytes -= body.length;
    void this.#append(lineOf({ done: id }));
  }

  /** Resolves when what was added before has been written, or could not be. */
  async flush(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    await this.#append('');
    await this.#file?.datasync().catch(() => {});
  }

  /** Says that the writer lives, to processes on other hosts. */
  async touch(nowMs: number): Promise<void> {
    await utimes(this.#options.path, nowMs / 1000, nowMs / 1000).catch(() => {});
  }

  /** @param isEmpty nothing is left to deliver: the file is removed. */
  async close(isEmpty: boolean): Promise<void> {
    await this.flush();
    this.#isClosed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#sync);
    await this.#file?.close();
    this.#file = undefined;
    if (isEmpty) await rm(this.#options.path, { force: true });
  }

  #append(line: string): Promise<void> {
    if (!this.#isOverflowing) this.#waiting += line;
    // A full disk is not asked again for each message.
    if (this.#retry !== undefined) {
      this.#limitWaiting();
      return Promise.resolve();
    }
    // What is added while a write is under way is written with the next one.
    this.#writing = (this.#writing ?? Promise.resolve()).then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#waiting === '' && this.#file !== undefined && !this.#isOverflowing) return;
    try {
      if (this.#isOverflowing || this.#file === undefined || (await this.#file.stat()).nlink === 0) await this.#begin();
      else if (this.#bytes > COMPACT_BYTES && this.#liveBytes < this.#bytes / 2) await this.#begin();
      else await this.#writeWaiting(this.#file);
      this.#sync ??= setTimeout(() => {
        this.#sync = undefined;
        void this.#file?.datasync().catch(() => {});
      }, SYNC_MS).unref();
    } catch (thrown) {
      this.writeErrors++;
      this.#limitWaiting();
      this.#options.onFault(thrown);
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        void this.#append('');
      }, RETRY_MS).unref();
    }
  }

  #limitWaiting(): void {
    if (this.#waiting.length <= MAX_WAITING) return;
    this.#waiting = '';
    this.#isOverflowing = true;
  }

  async #writeWaiting(file: FileHandle): Promise<void> {
    const text = this.#waiting;
    const bytes = Buffer.from(text);
    try {
      await writeAll(file, bytes, this.#bytes);
    } catch (thrown) {
      await file.truncate(this.#bytes).catch(() => {});
      throw thrown;
    }
    this.#bytes += bytes.length;
    this.#waiting = this.#waiting.slice(text.length);
  }

  /** Writes the file with what is still to be delivered; what waits is part of that, or is done. */
  async #begin(): Promise<void> {
    const { path, writer, pending } = this.#options;
    const before = this.#waiting.length;
    const lines = [lineOf(writer), ...[...pending()].map((message) => lineOf({ add: message }))];
    const bytes = Buffer.from(lines.join(''));
    // What is added from here on is not among the lines, and waits.
    const wasOverflowing = this.#isOverflowing;
    this.#isOverflowing = false;
    let file: FileHandle | undefined;
    try {
      file = await open(`${path}.new`, REPLACE, 0o600);
      await writeAll(file, bytes, 0);
      await file.datasync();
      await rename(`${path}.new`, path);
    } catch (thrown) {
      this.#isOverflowing = wasOverflowing;
      await file?.close();
      await rm(`${path}.new`, { force: true }).catch(() => {});
      throw thrown;
    }
    await this.#file?.close();
    this.#file = file;
    this.#bytes = bytes.length;
    this.#liveBytes = bytes.length;
    this.#waiting = this.#waiting.slice(before);
  }
}

/** The writer of a file and what it has not delivered. */
export interface MessageFileContent {
  readonly writer: Writer | undefined;
  readonly messages: readonly Message[];
  /** Lines that were cut off or are none. */
  readonly damaged: number;
}

export async function readMessageFile(path: string): Promise<MessageFileContent> {
  const [head = '', ...lines] = (await readFile(path, { encoding: 'utf8', flag: READ })).split('\n');
  const messages = new Map<string, Message>();
  let damaged = 0;
  for (const line of lines) {
    if (line === '') continue;
    const record = parsed(lineSchema, line);
    if (record === undefined) damaged++;
    else if ('add' in record) messages.set(record.add.id, record.add);
    else messages.delete(record.done);
  }
  return { writer: parsed(writerSchema, head), messages: [...messages.values()], damaged };
}

/** Undefined when the text is not JSON of that shape. */
export function parsed<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function lineOf(record: object): string {
  return `${JSON.stringify(record)}\n`;
}

/** A disk that is nearly full takes less than it is given, and refuses only the next call. */
async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
