import { Buffer } from 'node:buffer';
import { constants, unwatchFile, watchFile } from 'node:fs';
import { open } from 'node:fs/promises';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { LIMITS } from '../../../core/limits.js';
import { idKey } from '../interaction-table.js';

// Files are polled: that works on network mounts and through editors and config maps that replace the file whole.
const POLL_MS = 500;
/** A hundred thousand ids. */
const MAX_BYTES = 4 << 20;

export interface InteractionsFileDependencies {
  changed(added: readonly string[], removed: readonly string[]): void;
  failed(error: TrunklineError): void;
}

/** A file of interaction ids, one a line or separated by commas, `#` for remarks; read again whenever it changes. */
export class InteractionsFile {
  readonly #file: string;
  readonly #events: InteractionsFileDependencies;
  /** By idKey, as they are written. */
  #ids: ReadonlyMap<string, string> = new Map();
  #second: NodeJS.Timeout | undefined;
  #isReading = false;
  #readsAgain = false;
  #lastComplaint = '';
  #closed = false;

  constructor(file: string, events: InteractionsFileDependencies) {
    this.#file = file;
    this.#events = events;
  }

  /** Reads the file and begins to watch it; a file that is not there yet is empty. */
  start(): void {
    void this.#read(false);
    watchFile(this.#file, { interval: POLL_MS, persistent: false }, () => void this.#read(true));
    // A change between this reading and the first look of the watch would not be noticed by either.
    this.#second = setTimeout(() => void this.#read(true), POLL_MS).unref();
  }

  has(interactionId: string): boolean {
    return this.#ids.has(idKey(interactionId));
  }

  close(): void {
    this.#closed = true;
    unwatchFile(this.#file);
    clearTimeout(this.#second);
  }

  async #read(isAgain: boolean): Promise<void> {
    // One at a time, or an older content could come last.
    this.#readsAgain = this.#isReading;
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const text = await readRegular(this.#file);
      if (!this.#closed) this.#take(text);
    } catch (error) {
      // One that is being replaced is missing for a moment; what it said stands until it says something else.
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!isMissing || !isAgain) this.#complain(messageOf(error));
    } finally {
      this.#isReading = false;
    }
    if (this.#readsAgain && !this.#closed) await this.#read(true);
  }

  #take(text: string): void {
    const listed = text
      .split(/\r?\n/)
      .flatMap((line) => (line.split('#', 1)[0] ?? '').split(','))
      .map((id) => id.trim())
      .filter((id) => id !== '');
    const ids = new Map(listed.map((id) => [idKey(id), id]));
    const added = [...ids].filter(([key]) => !this.#ids.has(key)).map(([, id]) => id);
    const removed = [...this.#ids].filter(([key]) => !ids.has(key)).map(([, id]) => id);
    const tooLong = added.find((id) => Buffer.byteLength(id) > LIMITS.maxNameBytes);
    if (tooLong !== undefined) {
      this.#complain(`${tooLong.slice(0, 20)}… is no interaction id`);
      return;
    }
    this.#ids = ids;
    this.#lastComplaint = '';
    if (added.length + removed.length > 0) this.#events.changed(added, removed);
  }

  #complain(why: string): void {
    // The watch looks at it again and again.
    if (this.#closed || why === this.#lastComplaint) return;
    this.#lastComplaint = why;
    const sentence = `Cannot use the interactions file ${this.#file}: ${why}; it is looked at again when it changes.`;
    this.#events.failed(new TrunklineError('FILE_FAILED', sentence));
  }
}

/** Opening a FIFO or a device waits for the other side; nothing here may wait, and no file may be endless. */
async function readRegular(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new Error('it is not a regular file');
    if (status.size > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES >> 20} MiB`);
    const bytes = Buffer.alloc(status.size);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    return bytes.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
