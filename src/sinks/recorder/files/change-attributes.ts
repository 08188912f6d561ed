import {
  closeSync,
  constants,
  fchmodSync,
  fdatasyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import {
  type AttributeChange,
  boundedAttributes,
  type CallAttributes,
  changedAttributes,
  isEmptyAttributes,
  readAttributes,
  sameAttributes,
} from '../../../core/attributes/attributes.js';
import { folderKeyOf } from '../../../evidence/recording-entry.js';
import { indexFinished } from '../folders/finished-index.js';
import { isRecordingFolder } from '../folders/recording-folders.js';
import { fileAccess } from './folder.js';
import { parseManifest } from './manifest.js';
import { MANIFEST_FILE, PARTIAL_FILE, SPARE_FILE } from './manifest-file.js';
import { UNFINISHED_FOLDER, UnfinishedIndex } from './unfinished.js';
import { thisWriter } from './writer.js';

const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

/** What became of a change. */
export interface ChangedRecording {
  readonly interactionId: string;
  readonly attributes: CallAttributes;
  /** False when it has them already; then nothing was written. */
  readonly isChanged: boolean;
}

/**
 * Changes the attributes of a finished recording: its session.json is replaced as a whole. Before that the recording is put
 * into the index of unfinished ones, and afterwards it is taken for one that has just been finished: the archive makes its
 * new digest an entry of the audit, also after a kill at any moment. `firstAttributes` keeps what it had at the end of the
 * call, by which the archive names it.
 *
 * @param isArchived whether there is an archive. Undefined when there is no finished recording of that name. Throws what
 *   node:fs throws, and then it is as before.
 */
export function changeAttributes(
  directory: string,
  id: string,
  change: AttributeChange,
  isArchived: boolean,
  nowUs: number,
): ChangedRecording | undefined {
  if (!isRecordingFolder(directory, id)) return undefined;
  const folder = join(directory, id);
  const path = join(folder, MANIFEST_FILE);
  if ([PARTIAL_FILE, SPARE_FILE].some((name) => exists(join(folder, name))) || !exists(path)) return undefined;
  const text = readText(path);
  const manifest = parseManifest(text);
  if (manifest === undefined) return undefined;
  const { interactionId, attributes: before = {} } = manifest;
  const attributes = boundedAttributes(readAttributes(changedAttributes(before, change)));
  if (sameAttributes(before, attributes)) return { interactionId, attributes, isChanged: false };
  // As it is in the file: another version may have written more than this one knows.
  const { attributes: _, ...rest } = JSON.parse(text) as Record<string, unknown>;
  const first = { firstAttributes: rest['firstAttributes'] ?? before, auditKey: folderKeyOf(Buffer.from(text)) };
  const next = { ...rest, ...(isEmptyAttributes(attributes) ? {} : { attributes }), ...first };
  const fileMode = lstatSync(path).mode & 0o777;
  const index = new UnfinishedIndex(directory, thisWriter(), fileAccess(fileMode), nowUs, isArchived);
  index.add(id);
  try {
    replace(directory, path, `${JSON.stringify(next, null, 2)}\n`, fileMode);
  } finally {
    index.finished(id);
    index.close();
  }
  const now = parseManifest(JSON.stringify(next));
  if (now !== undefined) indexFinished(directory, id, now, fileMode);
  return { interactionId, attributes, isChanged: true };
}

/** What is written first lies outside of the recording: a kill must not leave a file in it that belongs to nothing. */
function replace(directory: string, path: string, text: string, mode: number): void {
  const place = join(directory, UNFINISHED_FOLDER);
  mkdirSync(place, { recursive: true, mode: fileAccess(mode).folderMode });
  const spare = join(place, `session-${process.pid}.new`);
  rmSync(spare, { force: true });
  const file = openSync(spare, CREATE, mode);
  try {
    fchmodSync(file, mode);
    writeFileSync(file, text);
    fdatasyncSync(file);
    renameSync(spare, path);
  } catch (thrown) {
    rmSync(spare, { force: true });
    throw thrown;
  } finally {
    closeSync(file);
  }
}

function readText(path: string): string {
  const file = openSync(path, READ);
  try {
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
