import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pino } from 'pino';
import { messageOf, TrunklineError } from '../core/errors.js';
import { LIMITS } from '../core/limits.js';

/** Lines that wait are written together, at this many bytes or after this time. */
const BATCH_BYTES = 8_192;
const FLUSH_MS = 250;

/**
 * A file that lines are appended to without waiting.
 *
 * It writes by pino's own destination (sonic-boom), which joins lines into batches, has one asynchronous write under
 * way at a time, bounds what waits, goes on with a failed batch when the disk does, and writes the rest when the
 * process exits. A stream of node:fs does none of that, and is destroyed by its first failed write.
 */
export class LineFile {
  /** Lines that found no room, because the disk is slow or full. */
  dropped = 0;
  writeErrors = 0;
  readonly #destination: ReturnType<typeof pino.destination>;
  #closing = false;

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
      minLength: BATCH_BYTES,
      maxLength: LIMITS.auditBufferBytes,
      periodicFlush: FLUSH_MS,
    });
    this.#destination.on('drop', () => {
      this.dropped++;
    });
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
    this.#destination.write(line);
  }

  /** Writes what waits and closes the file. What cannot be written is given up. */
  close(): Promise<void> {
    this.#closing = true;
    return new Promise((resolve) => {
      this.#destination.once('close', resolve);
      this.#destination.end();
    });
  }
}

/** Whether the file ends in the middle of a line, as a kill may leave it. */
async function isTorn(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  const { bytesRead } = await handle.read(last, 0, 1, size - 1);
  return bytesRead === 1 && last[0] !== 0x0a;
}
