import { closeSync, constants, openSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Opens a file in a folder that others may write to, and follows no symbolic link below that folder: neither in place of
 * the file nor of a folder on the way, nor when one is exchanged for a link at that moment. `O_NOFOLLOW` alone guards only
 * the last name of a path, and Node has no openat(2): what was opened is compared with what was meant.
 *
 * @param root may be reached by links: the operator has named it.
 * @param name path within `root`.
 * @throws what node:fs throws; an error with the code ELOOP when a link stands there.
 */
export function openInside(root: string, name: string, flags: number, mode?: number): number {
  const path = join(root, name);
  const file = openSync(path, flags | constants.O_NOFOLLOW, mode);
  try {
    if (openedPath(file, path) === join(realpathSync.native(root), name)) return file;
    throw Object.assign(new Error(`ELOOP: ${path} leads out of ${root}`), { code: 'ELOOP' });
  } catch (thrown) {
    closeSync(file);
    throw thrown;
  }
}

/** Whether a path within `root` is what it says: no symbolic link stands on the way. False where there is nothing. */
export function isInside(root: string, name: string): boolean {
  try {
    return realpathSync.native(join(root, name)) === join(realpathSync.native(root), name);
  } catch {
    return false;
  }
}

/**
 * Refuses a folder that is a symbolic link, or lies behind one.
 * @throws what node:fs throws; an error with the code ELOOP for a link.
 */
export function requireInside(root: string, name: string): void {
  const path = join(root, name);
  if (realpathSync.native(path) === join(realpathSync.native(root), name)) return;
  throw Object.assign(new Error(`ELOOP: a symbolic link stands in place of ${path}`), { code: 'ELOOP' });
}

/** The text of a file that is no symbolic link. @throws what node:fs throws; an error with the code ELOOP for a link. */
export function readTextNoFollow(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** Linux says where an open file is; elsewhere its path is looked up once more. */
function openedPath(file: number, path: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${file}`);
  } catch {
    return realpathSync.native(path);
  }
}
