import { fstatSync } from 'node:fs';
import { pino } from 'pino';
import { LIMITS } from '../../core/limits.js';

/** A text, how many bytes of its end are not known to be written, and who waits for that. */
interface UnderWay {
  readonly text: string;
  bytes: number;
  readonly waiting: (() => void)[];
}

/**
 * One open file that text is appended to without waiting.
 *
 * It writes with pino's own destination (sonic-boom), which has one asynchronous write under way at a time, bounds what
 * waits, and tries a failed batch again with the next one. A stream of node:fs bounds nothing and is destroyed by its
 * first failed write.
 */
export class AppendingFile {
  /** Lines that found no space; after close(), those that could not be written as well. */
  dropped = 0;
  writeErrors = 0;
  /** Identity of the file, to see whether its path still names it. */
  readonly ino: number;
  readonly dev: number;
  /** Called with each failed write. */
  onError: (error: unknown) => void = () => {};
  readonly #descriptor: number;
  readonly #destination: ReturnType<typeof pino.destination>;
  #isClosing = false;
  #lines = 0;
  /** Given to the destination and not known to be written. */
  readonly #underWay: UnderWay[] = [];

  /** @param descriptor open for appending; closed by close(). */
  constructor(descriptor: number, ino: number, dev: number) {
    this.ino = ino;
    this.dev = dev;
    this.#descriptor = descriptor;
    this.#destination = pino.destination({
      dest: descriptor,
      sync: false,
      minLength: 0,
      maxLength: LIMITS.auditBufferBytes,
    });
    this.#destination.on('drop', () => {
      this.#underWay.pop();
      this.dropped += this.#lines;
    });
    this.#destination.on('write', (bytes: number) => this.#written(bytes));
    this.#destination.on('error', (error: unknown) => {
      this.writeErrors++;
      this.onError(error);
      if (this.#isClosing) this.#destination.destroy();
    });
  }

  /** Whether the file still has a name. What is written to one without is lost. */
  isLinked(): boolean {
    return fstatSync(this.#descriptor).nlink > 0;
  }

  /** `text` ends in a newline and has `lines` of them. */
  write(text: string, lines: number): void {
    this.#lines = lines;
    this.#underWay.push({ text, bytes: Buffer.byteLength(text), waiting: [] });
    this.#destination.write(text);
  }

  /** Resolves once everything until now has been written or dropped. */
  written(): Promise<void> {
    const last = this.#underWay.at(-1);
    return last === undefined ? Promise.resolve() : new Promise((resolve) => last.waiting.push(resolve));
  }

  /** Writes what waits and closes the file. What cannot be written is dropped and counted. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await new Promise<void>((resolve) => {
      this.#destination.once('close', resolve);
      this.#destination.end();
    });
    for (const { text, bytes, waiting } of this.#underWay.splice(0)) {
      this.dropped += linesIn(Buffer.from(text).subarray(-bytes));
      for (const resolve of waiting) resolve();
    }
  }

  #written(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const first = this.#underWay[0];
      if (first === undefined) return;
      const done = Math.min(left, first.bytes);
      left -= done;
      first.bytes -= done;
      if (first.bytes > 0) continue;
      this.#underWay.shift();
      for (const resolve of first.waiting) resolve();
    }
  }
}

const NEWLINE = 0x0a;

function linesIn(bytes: Uint8Array): number {
  return bytes.reduce((lines, byte) => lines + (byte === NEWLINE ? 1 : 0), 0);
}
