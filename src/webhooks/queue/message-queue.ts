import { randomUUID } from 'node:crypto';
import { lstat, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Clock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import { makeFolder } from '../../core/make-folder.js';
import { thisWriter, type Writer, writerState } from '../../sinks/recorder/files/writer.js';
import type { Message } from '../message.js';
import { addDeadLetter } from './dead-letters.js';
import { MessageFile, readMessageFile } from './message-file.js';

const EXTENSION = '.jsonl';
const PREFIX = 'queue-';
/** How often the file is touched, and files of dead processes are looked for. */
const CARE_MS = 60_000;
/** A file of another host that has not been touched for so long belongs to a process that is gone. */
const ABANDONED_MS = 10 * CARE_MS;

export interface MessageQueueOptions {
  readonly directory: string;
  readonly parentFolderMode: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly clock: Clock;
  /** Called when a file cannot be written or read. */
  readonly onFault: (thrown: unknown) => void;
  /** Called with messages that a process before this one has left. */
  readonly onAdopted: (messages: readonly Message[]) => void;
}

/**
 * Messages that are to be delivered, on disk: they survive the end and the kill of a process. Each process has a file of
 * its own in the directory, and takes over those of processes that are gone.
 */
export class MessageQueue {
  readonly #options: MessageQueueOptions;
  readonly #writer: Writer = thisWriter();
  readonly #name: string;
  readonly #pending = new Map<string, Message>();
  readonly #file: MessageFile;
  #bytes = 0;
  #care: NodeJS.Timeout | undefined;
  #caring: Promise<void> = Promise.resolve();
  /** Messages that found no space. */
  refused = 0;
  deadLetters = 0;
  /** Dead letters that could not be kept. */
  deadLettersLost = 0;
  /** Lines that were cut off by a kill, or are none. */
  damagedLines = 0;

  constructor(options: MessageQueueOptions) {
    this.#options = options;
    const { host, pid } = this.#writer;
    this.#name = `${PREFIX}${host.replace(/[^A-Za-z0-9-]/g, '_')}-${pid}-${randomUUID().slice(0, 8)}${EXTENSION}`;
    this.#file = new MessageFile({
      path: join(options.directory, this.#name),
      writer: this.#writer,
      pending: () => this.#pending.values(),
      onFault: options.onFault,
    });
  }

  /** Takes over what earlier processes have left. @throws TrunklineError FILE_FAILED when the folder cannot be made. */
  async open(): Promise<void> {
    const { directory, parentFolderMode } = this.#options;
    await makeFolder(dirname(resolve(directory)), parentFolderMode);
    await makeFolder(directory);
    if ((await lstat(directory)).isSymbolicLink()) {
      const message = `A symbolic link stands in place of ${directory}: remove it. Notifications are not kept elsewhere.`;
      throw new TrunklineError('FILE_FAILED', message);
    }
    await this.#adopt();
    this.#care = setInterval(() => {
      this.#caring = this.#caring.then(() => this.#look());
    }, CARE_MS).unref();
  }

  get size(): number {
    return this.#pending.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get writeErrors(): number {
    return this.#file.writeErrors;
  }

  /** The message has been written, or could not be, when it resolves; false when there was no space for it. */
  async add(message: Message): Promise<boolean> {
    const { maxMessages, maxBytes } = this.#options;
    if (this.#pending.size >= maxMessages || this.#bytes + message.body.length > maxBytes) {
      this.refused++;
      return false;
    }
    this.#keep(message);
    await this.#file.add(message);
    return true;
  }

  /** It has been delivered. */
  done(message: Message): void {
    if (!this.#pending.delete(message.id)) return;
    this.#bytes -= message.body.length;
    this.#file.done(message);
  }

  /** It is not to be tried any more: kept as a dead letter. */
  async giveUp(message: Message, attempts: number, reason: string): Promise<void> {
    const failedAtMs = this.#options.clock.wallMs();
    try {
      const isKept = await addDeadLetter(this.#options.directory, { ...message, attempts, failedAtMs, reason });
      if (isKept) this.deadLetters++;
      else this.deadLettersLost++;
    } catch (thrown) {
      this.deadLettersLost++;
      this.#options.onFault(thrown);
    }
    this.done(message);
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }

  /** What is left stays on the disk for the next process. */
  async close(): Promise<void> {
    clearInterval(this.#care);
    await this.#caring;
    await this.#file.close(this.#pending.size === 0);
  }

  #keep(message: Message): void {
    this.#pending.set(message.id, message);
    this.#bytes += message.body.length;
  }

  async #look(): Promise<void> {
    if (this.#pending.size > 0) await this.#file.touch(this.#options.clock.wallMs());
    await this.#adopt();
  }

  async #adopt(): Promise<void> {
    const { directory, onFault } = this.#options;
    const names = await readdir(directory).catch((): string[] => []);
    for (const name of names.filter((one) => one.startsWith(PREFIX) && one.endsWith(EXTENSION) && one !== this.#name)) {
      try {
        await this.#adoptFile(join(directory, name));
      } catch (thrown) {
        onFault(thrown);
      }
    }
  }

  async #adoptFile(path: string): Promise<void> {
    const found = await readMessageFile(path).catch(noFile);
    if (found === undefined || !(await this.#isAbandoned(path, found.writer))) return;
    // The process that renames it first has it.
    const own = join(this.#options.directory, `${PREFIX}adopted-${randomUUID()}${EXTENSION}`);
    const isMine = await rename(path, own).then(() => true, noFile);
    if (isMine === undefined) return;
    const { messages, damaged } = await readMessageFile(own);
    this.damagedLines += damaged;
    const fresh = messages.filter(({ id }) => !this.#pending.has(id));
    // Limits do not apply: these were accepted once.
    for (const message of fresh) this.#keep(message);
    for (const message of fresh) void this.#file.add(message);
    const errorsBefore = this.#file.writeErrors;
    await this.#file.flush();
    // Should this process be killed in between, both files have them, with the same ids.
    if (this.#file.writeErrors === errorsBefore) await rm(own, { force: true });
    this.#options.onAdopted(fresh);
  }

  async #isAbandoned(path: string, writer: Writer | undefined): Promise<boolean> {
    const state = writer === undefined ? 'unknown' : writerState(writer);
    if (state !== 'unknown') return state === 'dead';
    const found = await stat(path).catch(noFile);
    return found !== undefined && this.#options.clock.wallMs() - found.mtimeMs > ABANDONED_MS;
  }
}

/** Another process was faster. */
function noFile(thrown: unknown): undefined {
  if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
  throw thrown;
}
