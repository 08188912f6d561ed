import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { ObjectHead, S3Bucket, StoredObject, UploadedPart } from './bucket.js';
import { BucketError } from './failures.js';
import { checksumOf, type FileDigest } from './file-digest.js';

/** Where a file goes and what it is stored with. */
export interface Upload {
  readonly file: FileHandle;
  readonly digest: FileDigest;
  readonly key: string;
  readonly head: ObjectHead;
  /** No object of that name was there. */
  readonly isNew: boolean;
  readonly partBytes: number;
}

/**
 * Uploads a file and makes sure that the store has every byte of it. What an earlier attempt has begun is continued.
 *
 * @throws BucketError; NameTaken; FileChanged when the file is not what its digest says.
 */
export async function uploadFile(bucket: S3Bucket, upload: Upload): Promise<void> {
  const { digest, key, head, isNew, file } = upload;
  if (digest.parts.length === 1) {
    const bytes = await readPart(file, 0, digest.bytes);
    await bucket.put(key, bytes, checked(bytes, digest.parts[0]), head, isNew);
  } else await uploadParts(bucket, upload);
  const stored = await bucket.head(key);
  if (stored === undefined || !(await isStored(bucket, key, stored, digest))) {
    throw new BucketError('corrupted', 'The store has not what was sent');
  }
}

/** The file is not the one that was recorded. */
export class FileChanged extends Error {
  override readonly name = 'FileChanged';
}

/**
 * Whether an object is this file, by the store's own checksum. A store that keeps none is asked for the content.
 * @throws BucketError
 */
export async function isStored(
  bucket: S3Bucket,
  key: string,
  stored: StoredObject,
  digest: FileDigest,
): Promise<boolean> {
  if (stored.bytes !== digest.bytes) return false;
  if (stored.checksum !== undefined && isOfSameParts(stored.checksum, digest)) {
    return stored.checksum === checksumOf(digest);
  }
  return (await sha256Of(await bucket.read(key))) === digest.sha256;
}

/** Checksums of the same content differ when it was uploaded in parts of another size. */
function isOfSameParts(checksum: string, { parts }: FileDigest): boolean {
  const [, count = '1'] = checksum.split('-');
  return Number(count) === parts.length;
}

async function sha256Of(content: Readable): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of content) hash.update(chunk as Buffer);
  } catch {
    throw new BucketError('unavailable', 'GetObject: the content did not arrive');
  }
  return hash.digest('hex');
}

async function uploadParts(bucket: S3Bucket, upload: Upload): Promise<void> {
  const { file, digest, key, head, isNew, partBytes } = upload;
  const { id, parts: earlier } = await beginOrContinue(bucket, key, head);
  const parts: UploadedPart[] = [];
  for (const [index, sha256] of digest.parts.entries()) {
    const number = index + 1;
    const from = index * partBytes;
    const length = Math.min(partBytes, digest.bytes - from);
    const done = earlier.find((part) => part.number === number);
    if (done?.bytes === length && done.checksum === sha256.toString('base64')) {
      parts.push(done);
      continue;
    }
    const bytes = await readPart(file, from, length);
    parts.push(await bucket.putPart(key, id, number, bytes, checked(bytes, sha256)));
  }
  await bucket.complete(key, id, parts, isNew);
}

/** The newest upload in parts of that name is continued; the others are given up. */
async function beginOrContinue(
  bucket: S3Bucket,
  key: string,
  head: ObjectHead,
): Promise<{ id: string; parts: readonly UploadedPart[] }> {
  const [newest, ...others] = (await bucket.begun(key)).filter((begun) => begun.key === key);
  for (const { id } of others) await bucket.abort(key, id);
  if (newest === undefined) return { id: await bucket.begin(key, head), parts: [] };
  return { id: newest.id, parts: await bucket.parts(key, newest.id) };
}

async function readPart(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, from + done);
    if (bytesRead === 0) throw new FileChanged('it has become shorter');
    done += bytesRead;
  }
  return bytes;
}

/** What is sent is what was digested. */
function checked(bytes: Buffer, sha256: Buffer | undefined): Buffer {
  const found = createHash('sha256').update(bytes).digest();
  if (sha256 === undefined || !found.equals(sha256)) throw new FileChanged('its content has changed');
  return found;
}
