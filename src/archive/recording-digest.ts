import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, readSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../core/clock.js';
import type { AuditedFile } from '../core/events.js';
import { openInside } from '../core/files/inside.js';
import { US_PER_MS } from '../core/units.js';
import { folderKeyOf } from '../evidence/recording-entry.js';
import { MANIFEST_FILE, PARTIAL_FILE, SPARE_FILE } from '../sinks/recorder/files/manifest-file.js';

const CHUNK_BYTES = 1 << 20;
/** A longer manifest is no recorder's. */
const MAX_MANIFEST_BYTES = 64 << 20;
/** What belongs to a recording: nothing that a person would call a file. */
const FILE_NAME = /^[a-z][a-z0-9-]*(\.[a-z0-9]+)+$/;

/** A recording's folder, as it is. */
export interface FolderContent {
  /** The files that belong to the recording. */
  readonly files: readonly string[];
  /** Everything else that is there, such as links and folders. */
  readonly others: readonly string[];
  /** It is being written, or waits for a repair. */
  readonly isUnfinished: boolean;
}

/** What is in the folder of a recording; undefined when there is no such folder. @throws what node:fs throws. */
export async function contentOf(path: string): Promise<FolderContent | undefined> {
  const entries = await readdir(path, { withFileTypes: true }).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR') return undefined;
    throw thrown;
  });
  if (entries === undefined) return undefined;
  const isUnfinished = entries.some(({ name }) => name === PARTIAL_FILE || name === SPARE_FILE);
  const isFile = (entry: (typeof entries)[number]): boolean => entry.isFile() && FILE_NAME.test(entry.name);
  const names = (all: typeof entries): string[] => all.map(({ name }) => name).toSorted();
  return {
    files: names(entries.filter(isFile)),
    others: names(entries.filter((entry) => !isFile(entry))),
    isUnfinished,
  };
}

/** The files of a recording with their digests. */
export interface RecordingDigest {
  readonly files: readonly AuditedFile[];
  /** See AuditedRecording. */
  readonly folderKey: string;
  /** By the manifest; undefined when it says nothing of it. */
  readonly interactionId: string | undefined;
}

export interface DigestOptions {
  /** Sleeps as long as it works, so that packets of calls find a processor; until this aborts. Default: does not. */
  readonly gentlyUntil?: AbortSignal;
  /** Gives up when aborted: a recording may have gigabytes. */
  readonly signal?: AbortSignal;
}

/**
 * Reads the files of a recording once, from start to end.
 * @throws what node:fs throws, ENOENT when one was removed meanwhile, ELOOP for a symbolic link.
 */
export async function digestRecording(
  directory: string,
  folder: string,
  names: readonly string[],
  options: DigestOptions = {},
): Promise<RecordingDigest> {
  const files: AuditedFile[] = [];
  let manifest: Buffer | undefined;
  for (const name of names) {
    const { bytes, sha256, content } = await digestFile(directory, join(folder, name), name === MANIFEST_FILE, options);
    files.push({ name, bytes, sha256 });
    manifest ??= content;
  }
  return { files, folderKey: folderKeyOf(manifest ?? Buffer.alloc(0)), interactionId: interactionOf(manifest) };
}

/** @param isKept whether `content` is wanted. */
async function digestFile(
  directory: string,
  path: string,
  isKept: boolean,
  { gentlyUntil, signal }: DigestOptions,
): Promise<{ bytes: number; sha256: string; content: Buffer | undefined }> {
  const file = openInside(directory, path, constants.O_RDONLY);
  try {
    const { size } = fstatSync(file);
    const keeps = isKept && size <= MAX_MANIFEST_BYTES;
    const hash = createHash('sha256');
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size + 1));
    const kept: Buffer[] = [];
    for (let bytes = 0; ; ) {
      const startedUs = systemClock.nowUs();
      // Not by the pool of threads that the main thread's files and names wait for.
      const read = readSync(file, chunk, 0, chunk.length, bytes);
      if (read === 0) return { bytes, sha256: hash.digest('hex'), content: keeps ? Buffer.concat(kept) : undefined };
      bytes += read;
      hash.update(chunk.subarray(0, read));
      if (keeps) kept.push(Buffer.from(chunk.subarray(0, read)));
      if (read < chunk.length) continue;
      signal?.throwIfAborted();
      if (gentlyUntil === undefined || gentlyUntil.aborted) await setImmediate();
      else
        await sleep((systemClock.nowUs() - startedUs) / US_PER_MS, undefined, { signal: gentlyUntil }).catch(() => {});
    }
  } finally {
    closeSync(file);
  }
}

function interactionOf(manifest: Buffer | undefined): string | undefined {
  try {
    const { interactionId } = JSON.parse((manifest ?? Buffer.alloc(0)).toString('utf8')) as Record<string, unknown>;
    return typeof interactionId === 'string' ? interactionId : undefined;
  } catch {
    return undefined;
  }
}
