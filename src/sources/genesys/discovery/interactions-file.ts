import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { LIMITS } from '../../../core/limits.js';

// Files are polled: that works on network mounts and through editors and config maps that replace the file whole.
const POLL_MS = 500;

export interface InteractionsFileDependencies {
  changed(added: readonly string[], removed: readonly string[]): void;
  failed(error: TrunklineError): void;
}

/** A file of interaction ids, one a line or separated by commas, `#` for remarks; read again whenever it changes. */
export class InteractionsFile {
  readonly #file: string;
  readonly #events: InteractionsFileDependencies;
  #ids = new Set<string>();
  #second: NodeJS.Timeout | undefined;

  constructor(file: string, events: InteractionsFileDependencies) {
    this.#file = file;
    this.#events = events;
  }

  /** Reads the file and begins to watch it; a file that is not there yet is empty. */
  start(): void {
    this.#read(false);
    watchFile(this.#file, { interval: POLL_MS, persistent: false }, () => this.#read(true));
    // What was written after the reading and before the watch's own first look would else never be seen.
    this.#second = setTimeout(() => this.#read(true), POLL_MS).unref();
  }

  has(interactionId: string): boolean {
    return this.#ids.has(interactionId);
  }

  close(): void {
    unwatchFile(this.#file);
    clearTimeout(this.#second);
  }

  #read(isAgain: boolean): void {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      // One that is being replaced is missing for a moment; what it said stands until it says something else.
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!isMissing || !isAgain) this.#complain(messageOf(error));
      return;
    }
    const ids = new Set(
      text
        .split(/\r?\n/)
        .flatMap((line) => (line.split('#', 1)[0] ?? '').split(','))
        .map((id) => id.trim())
        .filter((id) => id !== ''),
    );
    const added = [...ids].filter((id) => !this.#ids.has(id));
    const removed = [...this.#ids].filter((id) => !ids.has(id));
    const tooLong = added.find((id) => Buffer.byteLength(id) > LIMITS.maxNameBytes);
    if (tooLong !== undefined) {
      this.#complain(`${tooLong.slice(0, 20)}… is no interaction id`);
      return;
    }
    this.#ids = ids;
    if (added.length + removed.length > 0) this.#events.changed(added, removed);
  }

  #complain(why: string): void {
    const sentence = `Cannot use the interactions file ${this.#file}: ${why}; it is looked at again when it changes.`;
    this.#events.failed(new TrunklineError('FILE_FAILED', sentence));
  }
}
