import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pino } from 'pino';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';

/** Lines are handed on together, at this many characters or after this time. */
const BATCH_LENGTH = 8_192;
const BATCH_MS = 250;

/**
 * A file that lines are appended to without waiting.
 *
 * It writes by pino's own destination (sonic-boom), which has one asynchronous write under way at a time, bounds what
 * waits, and goes on with a failed batch when the disk does. A stream of node:fs bounds nothing and is destroyed by its
 * first failed write.
 */
export class LineFile {
  /** Lines that found no room, because the disk is slow or full; after close(), those that could not be written as well. */
  dropped = 0;
  writeErrors = 0;
  readonly #destination: ReturnType<typeof pino.destination>;
  #closing = false;
  /** Handed on and not known to be written: the text, and how many bytes of its end. */
  readonly #underWay: { readonly text: string; bytes: number }[] = [];
  #batch = '';
  #batchLines = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param onFault told of the first failed write only.
   * @throws TrunklineError FILE_FAILED when the file cannot be opened.
   */
  static async open(file: string, onFault: (message: string) => void): Promise<LineFile> {
    try {
      await mkdir(dirname(file), { recursive: true });
      const handle = await open(file, 'a+');
      const torn = await isTorn(handle).finally(() => handle.close());
      const lines = new LineFile(file, onFault);
      if (torn) lines.append('\n');
      return lines;
    } catch (thrown) {
      const message = `Cannot open ${file}: ${messageOf(thrown)}. Choose a folder that can be written.`;
      throw new TrunklineError('FILE_FAILED', message, { cause: thrown });
    }
  }

  private constructor(file: string, onFault: (message: string) => void) {
    this.#destination = pino.destination({
      dest: file,
      sync: false,
      append: true,
      minLength: 0,
      maxLength: LIMITS.auditBufferBytes,
    });
    this.#destination.on('drop', () => {
      this.#underWay.pop();
      this.dropped += this.#batchLines;
    });
    this.#destination.on('write', (bytes: number) => this.#written(bytes));
    this.#destination.on('error', (error: unknown) => {
      this.writeErrors++;
      if (this.writeErrors === 1) {
        onFault(`Cannot write ${file}: ${messageOf(error)}. Capture goes on; see that there is room for the audit.`);
      }
      if (this.#closing) this.#destination.destroy();
    });
  }

  /** `line` with its newline. */
  append(line: string): void {
    this.#batch += line;
    this.#batchLines++;
    if (this.#batch.length >= BATCH_LENGTH) this.#handOn();
    else this.#timer ??= setTimeout(this.#handOn, BATCH_MS).unref();
  }

  /** Writes what waits and closes the file. What cannot be written is given up, and counted. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#handOn();
    await new Promise<void>((resolve) => {
      this.#destination.once('close', resolve);
      this.#destination.end();
    });
    for (const { text, bytes } of this.#underWay.splice(0)) this.dropped += linesIn(Buffer.from(text).subarray(-bytes));
  }

  #written(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const first = this.#underWay[0];
      if (first === undefined) return;
      const done = Math.min(left, first.bytes);
      left -= done;
      first.bytes -= done;
      if (first.bytes === 0) this.#underWay.shift();
    }
  }

  readonly #handOn = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#batch !== '') {
      this.#underWay.push({ text: this.#batch, bytes: Buffer.byteLength(this.#batch) });
      this.#destination.write(this.#batch);
    }
    this.#batch = '';
    this.#batchLines = 0;
  };
}

const NEWLINE = 0x0a;

function linesIn(bytes: Uint8Array): number {
  return bytes.reduce((lines, byte) => lines + (byte === NEWLINE ? 1 : 0), 0);
}

/** Whether the file ends in the middle of a line, as a kill may leave it. */
async function isTorn(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  const { bytesRead } = await handle.read(last, 0, 1, size - 1);
  return bytesRead === 1 && last[0] !== NEWLINE;
}
