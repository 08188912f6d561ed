import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArchivedFile } from '../../core/archive-events.js';
import { messageOf } from '../../core/errors.js';
import { nameOf } from '../../core/files/name-template.js';
import { folderName, numberedName } from '../../sinks/recorder/files/folder.js';
import { type Manifest, parseManifest } from '../../sinks/recorder/files/manifest.js';
import { MANIFEST_FILE } from '../../sinks/recorder/files/manifest-file.js';
import { NameTaken, type S3Bucket, type StoredObject } from './bucket.js';
import { BucketError } from './failures.js';
import { digestFile, type FileDigest, openFile } from './file-digest.js';
import { contentTypeOf, objectMetadata, recordingMark } from './object-metadata.js';
import { FileChanged, isStored, uploadFile } from './upload-file.js';

/** A recording that is on the disk and finished. */
export interface LocalRecording {
  /** Its folder within the output directory. */
  readonly folder: string;
  readonly path: string;
  /** Names of its files. */
  readonly files: readonly string[];
}

export interface UploadOptions {
  /** What names of objects begin with; empty, or ending in `/`. */
  readonly prefix: string;
  /** See nameOf(). */
  readonly template: string;
  readonly partBytes: number;
}

/** A recording that the store has, every byte of it. */
export interface ArchivedRecording {
  readonly interactionId: string;
  /** What the names of its objects begin with, without the `/` in front of the file's name. */
  readonly name: string;
  readonly files: readonly ArchivedFile[];
  /** Bytes that were sent now; those that the store had already are not among them. */
  readonly uploadedBytes: number;
  /** Milliseconds since 1970. */
  readonly endedAtMs: number;
}

/** The files on the disk are not those of a finished recording; trying again does not help. */
export class RecordingUnfit extends Error {
  override readonly name = 'RecordingUnfit';
}

/** Recordings of one interaction that begin on the same day. */
const MAX_NAMES = 100;

interface LocalFile extends FileDigest {
  readonly name: string;
}

/**
 * Uploads the files of a recording, `session.json` last, so that its presence says that the others are complete. What the
 * store has already is not sent again: after a kill this may be called for a recording as often as needed, and the
 * result is the same.
 *
 * @throws BucketError when the store fails; RecordingUnfit when the files are at fault.
 */
export async function uploadRecording(
  bucket: S3Bucket,
  recording: LocalRecording,
  options: UploadOptions,
): Promise<ArchivedRecording> {
  const manifest = await readManifest(recording);
  const files = await digestFiles(recording, options.partBytes);
  const { interactionId, startedAt, endedAt } = manifest;
  const mark = recordingMark(manifest, recording.folder);
  const values = {
    startedAtMs: Date.parse(startedAt),
    interactionId: folderName(interactionId),
    ...(manifest.firstAttributes ?? manifest.attributes),
  };
  const name = `${options.prefix}${nameOf(options.template, values)}`;
  for (let n = 1; n <= MAX_NAMES; n++) {
    const place = numberedName(name, n);
    const uploaded = await uploadTo(bucket, place, {
      recording,
      manifest,
      mark,
      files,
      partBytes: options.partBytes,
    });
    if (uploaded === undefined) continue;
    return { interactionId, name: place, ...uploaded, endedAtMs: Date.parse(endedAt ?? startedAt) };
  }
  throw new RecordingUnfit(`${MAX_NAMES} other recordings have its name`);
}

interface Work {
  readonly recording: LocalRecording;
  readonly manifest: Manifest;
  readonly mark: string;
  readonly files: readonly LocalFile[];
  readonly partBytes: number;
}

/** What is stored, and how many bytes were sent; undefined when another recording has that name. */
async function uploadTo(
  bucket: S3Bucket,
  place: string,
  work: Work,
): Promise<Pick<ArchivedRecording, 'files' | 'uploadedBytes'> | undefined> {
  const stored = new Map<string, StoredObject | undefined>();
  // The manifest first: it is there when another recording is complete.
  for (const { name } of work.files.toReversed()) {
    const object = await bucket.head(`${place}/${name}`);
    if (object !== undefined && object.metadata['recording'] !== work.mark) return undefined;
    stored.set(name, object);
  }
  // Another one of the interaction whose upload has begun, and whose files have other names, such as those of FLAC.
  const earlier: string[] = [];
  for (const key of await bucket.keysIn(place)) {
    if (stored.has(key.slice(place.length + 1))) continue;
    if ((await bucket.head(key))?.metadata['recording'] !== work.mark) return undefined;
    earlier.push(key);
  }
  const isStoredAs = ({ name, bytes, sha256 }: LocalFile): boolean =>
    stored.get(name)?.bytes === bytes && stored.get(name)?.metadata['sha256'] === sha256;
  // The store has all of this recording. What a killed process has left of it on the disk is no reason to replace that.
  if (work.files.some((file) => file.name === MANIFEST_FILE && isStoredAs(file))) {
    return { files: work.files.filter(isStoredAs).map(asArchived), uploadedBytes: 0 };
  }
  let uploadedBytes = 0;
  try {
    for (const file of work.files)
      uploadedBytes += await ensureStored(bucket, place, file, stored.get(file.name), work);
  } catch (error) {
    // By another recording, or by an earlier attempt of this one that the server took late: the next look tells.
    if (error instanceof NameTaken) throw new BucketError('unavailable', 'An object of that name appeared meanwhile');
    if (error instanceof FileChanged)
      throw new RecordingUnfit(`a file has changed since it was finished: ${error.message}`);
    throw error;
  }
  for (const key of earlier) if (isConverted(key, work.files)) await bucket.remove(key).catch(() => {});
  return { files: work.files.map(asArchived), uploadedBytes };
}

/**
 * Whether an object is the WAV file of an earlier upload, and the recording has been FLAC since. Where it cannot be removed,
 * as with object lock, it stays: session.json names what counts.
 */
function isConverted(key: string, files: readonly LocalFile[]): boolean {
  const name = key.slice(key.lastIndexOf('/') + 1);
  const flac = name.replace(/\.wav(?=(\.enc)?$)/, '.flac');
  return flac !== name && files.some((file) => file.name === flac);
}

function asArchived({ name, bytes, sha256 }: LocalFile): ArchivedFile {
  return { name, bytes, sha256 };
}

/** The bytes that were sent: none for a file that the store has. */
async function ensureStored(
  bucket: S3Bucket,
  place: string,
  digest: LocalFile,
  stored: StoredObject | undefined,
  { recording, manifest, mark, partBytes }: Work,
): Promise<number> {
  const key = `${place}/${digest.name}`;
  if (stored?.isLocked === true && (await isStored(bucket, key, stored, digest))) return 0;
  const metadata = objectMetadata(manifest, mark, digest.sha256);
  const head = { contentType: contentTypeOf(digest.name), metadata };
  const file = await openFile(join(recording.path, digest.name));
  try {
    await uploadFile(bucket, { file, digest, key, head, partBytes, isNew: stored === undefined });
  } finally {
    await file.close();
  }
  return digest.bytes;
}

async function readManifest({ path }: LocalRecording): Promise<Manifest> {
  const file = await openFile(join(path, MANIFEST_FILE)).catch(asUnfit);
  try {
    const manifest = parseManifest(await readFile(file, 'utf8'));
    if (manifest === undefined || Number.isNaN(Date.parse(manifest.startedAt))) {
      throw new RecordingUnfit(`${MANIFEST_FILE} cannot be read`);
    }
    return manifest;
  } finally {
    await file.close();
  }
}

/** The files in the order in which they are uploaded. */
async function digestFiles({ path, files }: LocalRecording, partBytes: number): Promise<LocalFile[]> {
  const ordered = [...files.filter((name) => name !== MANIFEST_FILE).toSorted(), MANIFEST_FILE];
  const digests: LocalFile[] = [];
  for (const name of ordered) {
    const file = await openFile(join(path, name)).catch(asUnfit);
    try {
      digests.push({ name, ...(await digestFile(file, partBytes)) });
    } finally {
      await file.close();
    }
  }
  return digests;
}

function asUnfit(thrown: unknown): never {
  throw new RecordingUnfit(messageOf(thrown));
}
