import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** As the recorder names folders and layouts name theirs. No such name leads out of the folder that it is in. */
const FOLDER_NAME = /^[A-Za-z0-9_-]{1,255}$/;
/** Folders of a layout above each other, that of the recording included. */
export const MAX_DEPTH = 8;
const MAX_PATH_LENGTH = 512;

/** Whether a path within the output folder can be that of a recording: `call`, or `2026-03-01/Sales/call` in a layout. */
export function isRecordingPath(path: string): boolean {
  if (path.length > MAX_PATH_LENGTH) return false;
  const names = path.split('/');
  return names.length <= MAX_DEPTH && names.every((name) => FOLDER_NAME.test(name));
}

/**
 * Whether there is such a folder, and no symbolic link on the way to it: a link may lead anywhere, and the recorder makes
 * none.
 */
export function isRecordingFolder(outDir: string, path: string): boolean {
  if (!isRecordingPath(path)) return false;
  const names = path.split('/');
  return names.every((_, n) => isRealFolder(join(outDir, ...names.slice(0, n + 1))));
}

/** What recordingFolders() may leave out. */
export interface WalkOptions {
  /** A folder that is known to be a recording is not looked into. */
  readonly isKnown?: (path: string) => boolean;
}

/**
 * The path of every recording below the output folder, in no order: what has a manifest, a checkpoint or audio is one; any
 * other folder may be one of a layout, and is looked into. Names with a dot, such as those of indexes, are none. It reads
 * with blocking calls, a folder at a time. Symbolic links are not followed.
 *
 * @throws what node:fs throws for the output folder itself; a folder below that cannot be read is passed over.
 */
export function* recordingFolders(outDir: string, { isKnown = () => false }: WalkOptions = {}): Generator<string> {
  yield* below(outDir, '', readdirSync(outDir, { withFileTypes: true }), isKnown);
}

function* below(
  outDir: string,
  parent: string,
  entries: readonly Dirent[],
  isKnown: (path: string) => boolean,
): Generator<string> {
  for (const entry of entries) {
    if (!entry.isDirectory() || !FOLDER_NAME.test(entry.name)) continue;
    const path = parent === '' ? entry.name : `${parent}/${entry.name}`;
    if (isKnown(path)) {
      yield path;
      continue;
    }
    if (!isRecordingPath(path)) continue;
    const inside = entriesOf(join(outDir, path));
    if (inside.some(isOfRecording)) yield path;
    else yield* below(outDir, path, inside, isKnown);
  }
}

function isOfRecording(entry: Dirent): boolean {
  return !entry.isDirectory() && /^(?:session\.json|audio(?:-\d+)?\.)/.test(entry.name);
}

function entriesOf(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    // Removed since, or not ours to read.
    return [];
  }
}

function isRealFolder(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    return false;
  }
}
