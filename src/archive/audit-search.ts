import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { auditFiles, LineSplitter } from '../evidence/log-files.js';
import { digestOf, recordingEntry } from '../evidence/recording-entry.js';

/** Stands for the digest of a recording that was deleted, as the audit says. */
export const DELETED = 'deleted';
/** For files that get another name while they are read; when the folder itself is gone, no attempt succeeds. */
const MAX_ATTEMPTS = 10;

/** The recordings of which the newest entry says that they were deleted; see digestsInAudit(). */
export async function deletedInAudit(directory: string, sinceMs: number): Promise<ReadonlySet<string>> {
  const digests = await digestsInAudit(directory, sinceMs);
  return new Set([...digests].flatMap(([name, digest]) => (digest === DELETED ? [name] : [])));
}

/**
 * The newest digest of each recording that the audit has, or DELETED, by the folder as the audit names it; only of files
 * that were written to at or after `sinceMs`.
 */
export async function digestsInAudit(directory: string, sinceMs: number): Promise<Map<string, string>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await digestsNow(directory, sinceMs);
    } catch (thrown) {
      // A file has got another name at that moment: it is read under that one.
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw thrown;
    }
  }
}

async function digestsNow(directory: string, sinceMs: number): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  const files: { path: string; mtimeMs: number }[] = [];
  for (const name of await auditFiles(directory)) {
    const path = join(directory, name);
    const { mtimeMs } = await lstat(path);
    if (mtimeMs >= sinceMs) files.push({ path, mtimeMs });
  }
  for (const { path } of files.toSorted((a, b) => a.mtimeMs - b.mtimeMs)) {
    for await (const line of linesOf(path)) {
      const entry = recordingEntry(line);
      if (entry?.action === 'recording_deleted') digests.set(entry.folder, DELETED);
      else if (entry !== undefined) digests.set(entry.folder, digestOf(entry.files));
    }
  }
  return digests;
}

/** The lines of a file; the last one may have no end. */
async function* linesOf(path: string): AsyncGenerator<Buffer> {
  const splitter = new LineSplitter();
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  for await (const chunk of file.createReadStream()) {
    yield* splitter.split(chunk as Buffer);
  }
  if (splitter.rest.length > 0) yield splitter.rest;
}
