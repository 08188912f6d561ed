import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FINISHED_EXTENSION, UNFINISHED_FOLDER } from '../sinks/recorder/files/unfinished.js';
import { EARLIER_BASE } from './finished-queue.js';
import { recordingFolders } from './verification/recording-folders.js';

/** Exists once every finished recording that has no digest is in the index. */
const LISTED_FILE = 'digests';
const FOUND_FILE = `${EARLIER_BASE}${FINISHED_EXTENSION}`;

/** Whether there may be recordings from before there was an audit: then they are to be listed. */
export async function hasEarlierRecordings(directory: string, fileMode: number): Promise<boolean> {
  const listed = await readdir(join(directory, UNFINISHED_FOLDER)).catch((): string[] => []);
  if (listed.includes(LISTED_FILE)) return false;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  if (entries.some((entry) => entry.isDirectory() && !entry.name.startsWith('.'))) return true;
  await markListed(directory, fileMode);
  return false;
}

/** Lists every finished recording for the archive, once. */
export async function listEarlierRecordings(directory: string, fileMode: number): Promise<void> {
  const lines = ['{}'];
  for await (const { folder, content } of recordingFolders(directory)) {
    if (content?.isUnfinished === false) lines.push(`=${folder}`);
  }
  await mkdir(join(directory, UNFINISHED_FOLDER), { recursive: true, mode: 0o700 });
  const path = join(directory, UNFINISHED_FOLDER, FOUND_FILE);
  // Whole or not at all, should the process be killed here.
  await rm(`${path}.new`, { force: true });
  await writeFile(`${path}.new`, `${lines.join('\n')}\n`, { mode: fileMode, flag: 'wx' });
  await rename(`${path}.new`, path);
  await markListed(directory, fileMode);
}

async function markListed(directory: string, fileMode: number): Promise<void> {
  const folder = join(directory, UNFINISHED_FOLDER);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, LISTED_FILE), '', { mode: fileMode, flag: 'wx' }).catch(ignoreExisting);
}

/** A kill has left it there. */
function ignoreExisting(thrown: NodeJS.ErrnoException): void {
  if (thrown.code !== 'EEXIST') throw thrown;
}
