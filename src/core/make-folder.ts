import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, TrunklineError } from './errors.js';

/** Recordings and audits are for their owner alone. */
const OWNER_ONLY = 0o700;

/**
 * Makes a folder and those above it. `mkdir` with `recursive` never returns on file systems that allow no folders, such
 * as /proc.
 *
 * @throws TrunklineError FILE_FAILED when it cannot be made.
 */
export async function makeFolder(path: string, mode: number = OWNER_ONLY): Promise<void> {
  try {
    await make(path, mode);
  } catch (error) {
    const message = `Cannot make the folder ${path}: ${messageOf(error)}. Choose another.`;
    throw new TrunklineError('FILE_FAILED', message, { cause: error });
  }
}

async function make(path: string, mode: number): Promise<void> {
  const isThere = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (isThere) return;
  if (dirname(path) !== path) await make(dirname(path), mode);
  await mkdir(path, { mode }).catch((error: NodeJS.ErrnoException) => {
    // Another process has just made it.
    if (error.code !== 'EEXIST') throw error;
    return stat(path).then((found) => {
      if (!found.isDirectory()) throw error;
    });
  });
}
