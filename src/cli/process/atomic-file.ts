import { renameSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { messageOf, TrunklineError } from '../../core/errors.js';

/**
 * Writes a file at once: no reader sees a part of it.
 * @param mode Its permissions; the umask is applied.
 * @throws TrunklineError FILE_FAILED
 */
export function writeFileAtomically(file: string, content: string, mode = 0o666): void {
  const draft = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(draft, content, { mode });
    renameSync(draft, file);
  } catch (error) {
    throw new TrunklineError('FILE_FAILED', `Cannot write ${file}: ${messageOf(error)}`, { cause: error });
  }
}
