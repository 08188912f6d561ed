import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  readdirSync,
  readSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { openInside } from '../../core/files/inside.js';
import { MANIFEST_FILE } from '../../sinks/recorder/files/manifest-file.js';

/** Ends the name of an encrypted file. Its header, which has the wrapped key, is far shorter than this. */
const ENCRYPTED = '.enc';
const HEADER_BYTES = 65_536;
/** A kill may end the writing over it behind the first page. */
const HEAD_BYTES = 4_096;

/**
 * Deletes a recording: first the wrapped keys of encrypted files are written over and synced, so that what a disk keeps of
 * the rest is worthless; then the files go, the manifest last, so that what a kill leaves is still a recording that is due;
 * then the folder and those of the layout above it that are empty. Symbolic links are removed themselves. What else is in
 * the folder, such as another folder, stays, and the folder with it. Throws what node:fs throws.
 */
export function deleteRecording(outDir: string, folder: string): void {
  const path = join(outDir, folder);
  const entries = readdirSync(path, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
  for (const { name } of entries.filter((entry) => entry.isFile() && entry.name.endsWith(ENCRYPTED))) {
    destroyKey(outDir, `${folder}/${name}`);
  }
  const names = entries.map(({ name }) => name).filter((name) => name !== MANIFEST_FILE);
  for (const name of [...names, MANIFEST_FILE]) unlinkIfThere(join(path, name));
  removeEmptyFolders(outDir, folder);
}

/** Removes a folder and those of the layout above it, as far as they are empty. */
export function removeEmptyFolders(outDir: string, folder: string): void {
  for (let at = folder; at !== '.'; at = dirname(at)) if (!removeEmpty(join(outDir, at))) break;
}

function destroyKey(outDir: string, name: string): void {
  const file = openInside(outDir, name, constants.O_WRONLY);
  try {
    const zeros = Buffer.alloc(Math.min(HEADER_BYTES, fstatSync(file).size));
    for (let done = 0; done < zeros.length; ) done += writeSync(file, zeros, done, zeros.length - done, done);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Whether the key of an encrypted file was written over, as deleteRecording() begins. Throws what node:fs throws. */
export function isKeyDestroyed(outDir: string, name: string): boolean {
  if (!name.endsWith(ENCRYPTED)) return false;
  const file = openInside(outDir, name, constants.O_RDONLY);
  try {
    const head = Buffer.alloc(Math.min(HEAD_BYTES, fstatSync(file).size), 1);
    return readSync(file, head, 0, head.length, 0) === head.length && head.every((byte) => byte === 0);
  } finally {
    closeSync(file);
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')) throw thrown;
  }
}

function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}
