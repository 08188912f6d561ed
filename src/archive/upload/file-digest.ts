import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

const READ_BYTES = 1 << 20;

/** A file, and what a store says of it when it has all of it. */
export interface FileDigest {
  readonly bytes: number;
  /** SHA-256 of the content, hexadecimal. */
  readonly sha256: string;
  /** SHA-256 of each part; one for a file that is no larger than a part. */
  readonly parts: readonly Buffer[];
}

/** Opens a file of a recording; a symbolic link is not followed. Throws what node:fs throws. */
export function openFile(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
}

/** Reads a file once. */
export async function digestFile(file: FileHandle, partBytes: number): Promise<FileDigest> {
  const whole = createHash('sha256');
  const parts: Buffer[] = [];
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let part: Hash = createHash('sha256');
  let bytes = 0;
  for (;;) {
    const most = Math.min(buffer.length, partBytes - (bytes % partBytes));
    const { bytesRead } = await file.read(buffer, 0, most, bytes);
    if (bytesRead === 0) break;
    const chunk = buffer.subarray(0, bytesRead);
    whole.update(chunk);
    part.update(chunk);
    bytes += bytesRead;
    if (bytes % partBytes !== 0) continue;
    parts.push(part.digest());
    part = createHash('sha256');
  }
  if (bytes % partBytes !== 0 || bytes === 0) parts.push(part.digest());
  return { bytes, sha256: whole.digest('hex'), parts };
}

/**
 * The checksum that a store has of a file: base64 of its SHA-256, or, uploaded in parts, of the SHA-256 of the parts'
 * digests and, behind a hyphen, their number.
 */
export function checksumOf({ parts }: FileDigest): string {
  const [first, ...others] = parts;
  if (first !== undefined && others.length === 0) return first.toString('base64');
  return `${createHash('sha256').update(Buffer.concat(parts)).digest('base64')}-${parts.length}`;
}
