import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from './disk-fault.js';

const SAFE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$/;
/** Device names that some file systems do not give to folders. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)$/i;
/** Folders that other processes may make while this one looks for a free name. */
const MAX_RACES = 100;

/** Permissions of what the recorder makes; the process's umask is applied as well. */
export interface FileAccess {
  readonly fileMode: number;
  readonly folderMode: number;
}

/** Only the owner may read recordings. */
export const OWNER_ONLY: FileAccess = { fileMode: 0o600, folderMode: 0o700 };

/** Those who may read files may enter folders: 0640 gives 0750. */
export function fileAccess(fileMode: number): FileAccess {
  const mode = fileMode & 0o666;
  return { fileMode: mode, folderMode: mode | ((mode & 0o444) >> 2) };
}

/**
 * The folder name of an interaction. Ids come from outside and are not trusted: an id of up to 80 letters, digits, `-`
 * and `_` (every UUID is one) is its own name; of any other id the safe characters are kept, and 16 digits of its
 * SHA-256 keep different ids apart. No name contains a dot, so none leaves the output folder or hides a file in it.
 */
export function folderName(interactionId: string): string {
  if (SAFE.test(interactionId) && !RESERVED.test(interactionId)) return interactionId;
  const kept = interactionId.replace(/[^A-Za-z0-9_-]+/g, '_').slice(0, 60);
  const digest = createHash('sha256').update(interactionId, 'utf8').digest('hex').slice(0, 16);
  return `id_${kept}-${digest}`;
}

/** The folder of the n-th recording of an interaction: `name`, `name-2`, `name-3` and so on. */
export function numberedName(name: string, n: number): string {
  return n === 1 ? name : `${name}-${n}`;
}

/**
 * Makes a folder for a recording and returns its name, a free number of numberedName(); with `/` in it, the folders
 * above are made as well. `claim` puts the first file
 * there; when it throws EEXIST, another process was faster and the next number is tried. `files` are the names whose
 * presence says that a folder is taken. Symbolic links are never entered. Throws what node:fs throws.
 */
export function makeRecordingFolder(
  outDir: string,
  name: string,
  files: readonly string[],
  access: FileAccess,
  claim: (path: string, folder: string) => void,
): string {
  mkdirSync(outDir, { recursive: true, mode: access.folderMode });
  const parents = name.split('/').slice(0, -1);
  for (const [n] of parents.entries()) makeRealFolder(join(outDir, ...parents.slice(0, n + 1)), access.folderMode);
  const first = firstFree((n) => isTaken(join(outDir, numberedName(name, n)), files));
  for (let n = first; ; n++) {
    const folder = numberedName(name, n);
    const path = join(outDir, folder);
    try {
      makeRealFolder(path, access.folderMode);
      claim(path, folder);
      return folder;
    } catch (thrown) {
      if (errnoOf(thrown) !== 'EEXIST' || n - first >= MAX_RACES) throw thrown;
    }
  }
}

/** The number of the newest recording of an interaction; 0 when there is none. */
export function newestNumber(outDir: string, name: string): number {
  return firstFree((n) => existsSync(join(outDir, numberedName(name, n)))) - 1;
}

/** A number that is free while the one before is taken, found in logarithmic time. */
function firstFree(taken: (n: number) => boolean): number {
  let last = 0;
  let free = 1;
  while (taken(free)) {
    last = free;
    free *= 2;
  }
  while (free - last > 1) {
    const middle = Math.floor((last + free) / 2);
    if (taken(middle)) last = middle;
    else free = middle;
  }
  return free;
}

function isTaken(path: string, files: readonly string[]): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  return !found.isDirectory() || files.some((file) => lstatSync(join(path, file), { throwIfNoEntry: false }));
}

/** As mkdir, but a folder that is there already will do. */
function makeRealFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST' || lstatSync(path).isDirectory() === false) throw thrown;
  }
}
