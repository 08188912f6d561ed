import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint, parseCheckpoint } from './checkpoint.js';
import { CHECKPOINT_FILE, READ_FILE } from './log-files.js';
import { type NoteVerifier, openNote } from './signed-note.js';

/** The newest checkpoint of a folder; undefined when there is none, `unreadable` when `verifier` has not signed it. */
export async function readCheckpoint(
  directory: string,
  verifier: NoteVerifier,
): Promise<Checkpoint | 'unreadable' | undefined> {
  let note: string;
  try {
    note = await readFile(join(directory, CHECKPOINT_FILE), { encoding: 'utf8', flag: READ_FILE });
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw thrown;
  }
  return openCheckpoint(note, verifier) ?? 'unreadable';
}

/** What a note says when `verifier` has signed it and it is a checkpoint. */
export function openCheckpoint(note: string, verifier: NoteVerifier): Checkpoint | undefined {
  const text = openNote(note, verifier);
  return text === undefined ? undefined : parseCheckpoint(text);
}
