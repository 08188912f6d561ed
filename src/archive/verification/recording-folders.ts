import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { contentOf, type FolderContent } from '../recording-digest.js';

/** Folders in folders, as a template of their names may make them. */
const MAX_DEPTH = 16;
const RECORDING_FILE = /^(session\.json|audio(-\d+)?\.)/;

/** A folder with a recording, or something in place of one. */
export interface FoundFolder {
  /** Path within the output directory. */
  readonly folder: string;
  /** Undefined for a symbolic link. */
  readonly content: FolderContent | undefined;
}

/** Every recording below a folder, and every symbolic link where a folder could be. Links are not followed. */
export async function* recordingFolders(directory: string, below = '', depth = 0): AsyncGenerator<FoundFolder> {
  for await (const entry of await opendir(join(directory, below))) {
    // The index, notifications that wait, and the like.
    if (entry.name.startsWith('.')) continue;
    const folder = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isSymbolicLink()) yield { folder, content: undefined };
    if (!entry.isDirectory()) continue;
    const content = await contentOf(join(directory, folder));
    if (content === undefined) continue;
    const isRecording = [...content.files, ...content.others].some((name) => RECORDING_FILE.test(name));
    if (isRecording) yield { folder, content };
    else if (depth < MAX_DEPTH) yield* recordingFolders(directory, folder, depth + 1);
  }
}
