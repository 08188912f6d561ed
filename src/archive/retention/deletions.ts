import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, readFileSync } from 'node:fs';
import { lstat, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../core/errors.js';
import type { AuditFields } from '../../core/events.js';
import { isInside, openInside } from '../../core/files/inside.js';
import { folderKeyOf, hiddenFolder } from '../../evidence/recording-entry.js';
import { errnoOf } from '../../sinks/recorder/files/disk-fault.js';
import { parseManifest } from '../../sinks/recorder/files/manifest.js';
import { MANIFEST_FILE } from '../../sinks/recorder/files/manifest-file.js';
import { UNFINISHED_FOLDER } from '../../sinks/recorder/files/unfinished.js';
import { isRecordingPath } from '../../sinks/recorder/folders/recording-folders.js';
import { deletedInAudit } from '../audit-search.js';
import { deleteRecording, removeEmptyFolders } from './delete-recording.js';
import { heldBy, readHolds } from './legal-holds.js';

/** Names of the notes, beside the index of unfinished recordings. */
const NOTE = /^deletion-[0-9a-f]{32}\.json$/;
const NAME_DIGITS = 32;
/** The clock may have been set back since. */
const DAY_MS = 86_400_000;
const MAX_BYTES = 1 << 16;
const MAX_MANIFEST_BYTES = 64 << 20;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A recording that is to be deleted. */
export interface Deletion {
  /** Within the output directory. */
  readonly folder: string;
  /** See folderKeyOf(). */
  readonly folderKey: string;
  readonly interactionId: string;
  readonly reason: 'retention' | 'uploaded';
  /** A sentence on why. */
  readonly detail?: string;
}

/** What deletions need of the archive. */
export interface DeletionDependencies {
  readonly directory: string;
  readonly fileMode: number;
  /** Resolves once the entry is in the audit's file. */
  audit(action: string, fields: AuditFields, interactionId?: string): Promise<void>;
  /** Takes a sentence for the operator. */
  fault(message: string): void;
}

/**
 * Deletes recordings, each once, with one entry in the audit: a note of what is to be deleted, the entry
 * `recording_deleted`, the wrapped key, the files, the note. A kill at any point leaves the note, by which the next start
 * finds out whether the entry is in the audit, and if it is, deletes the rest without a further one.
 */
export class Deletions {
  readonly #dependencies: DeletionDependencies;
  /** Recordings whose entry is in the audit, and that are still there. */
  readonly #entered = new Set<string>();

  constructor(dependencies: DeletionDependencies) {
    this.#dependencies = dependencies;
  }

  /** Throws what node:fs or the audit throws. What was not deleted then is deleted by the next call, without an entry. */
  async delete(deletion: Deletion): Promise<void> {
    const { directory, audit } = this.#dependencies;
    const { folder, folderKey, interactionId, ...fields } = deletion;
    if (!isInside(directory, folder)) throw new Error('a symbolic link stands there');
    if (!this.#entered.has(nameOf(deletion))) {
      await this.#note(deletion);
      await audit('recording_deleted', { recording: { folder, folderKey }, ...fields }, interactionId);
      this.#entered.add(nameOf(deletion));
    }
    deleteRecording(directory, folder);
    await this.#done(deletion);
  }

  /** Completes the deletions that a kill has interrupted. Never rejects. @param auditDirectory undefined without an audit. */
  async complete(auditDirectory: string | undefined): Promise<void> {
    const { fault } = this.#dependencies;
    const notes = await this.#notes();
    if (notes.length === 0) return;
    try {
      const sinceMs = Math.min(...notes.map(({ mtimeMs }) => mtimeMs)) - DAY_MS;
      const deleted = auditDirectory === undefined ? undefined : await deletedInAudit(auditDirectory, sinceMs);
      for (const { deletion } of notes) {
        const { folder } = deletion;
        // Without its entry nothing has been touched: whether it is due is decided again.
        const isEntered = deleted === undefined || deleted.has(folder) || deleted.has(hiddenFolder(deletion));
        if (!isEntered) await this.#done(deletion);
        else await this.#finish(deletion);
      }
    } catch (thrown) {
      fault(`Deletions that a kill has interrupted cannot be completed: ${messageOf(thrown)}.`);
    }
  }

  async #finish(deletion: Deletion): Promise<void> {
    const { directory, fault } = this.#dependencies;
    const { folder, folderKey } = deletion;
    try {
      const manifest = manifestIn(directory, folder);
      // The manifest goes last. With another one it is another recording, of the same name.
      if (manifest !== undefined && folderKeyOf(manifest) === folderKey) {
        this.#entered.add(nameOf(deletion));
        if (!this.#isHeld(deletion, manifest)) await this.delete(deletion);
        return;
      }
      if (manifest === undefined && isInside(directory, folder)) removeEmptyFolders(directory, folder);
      await this.#done(deletion);
    } catch (thrown) {
      fault(`The deletion of ${folder}, which a kill has interrupted, cannot be completed: ${messageOf(thrown)}.`);
    }
  }

  /** A hold that was placed meanwhile keeps what is left. */
  #isHeld({ interactionId }: Deletion, manifest: Buffer): boolean {
    const { holds } = readHolds(this.#dependencies.directory);
    return heldBy(holds, { ...parseManifest(manifest.toString('utf8')), interactionId }) !== undefined;
  }

  /**
   * Whole or not at all, should the process be killed here. A full disk is no reason to delete nothing: without a note a
   * deletion that a kill interrupts has two entries.
   */
  async #note(deletion: Deletion): Promise<void> {
    const path = this.#pathOf(deletion.folder);
    try {
      await rm(`${path}.new`, { force: true });
      const options = { mode: this.#dependencies.fileMode, flag: 'wx' };
      await writeFile(`${path}.new`, `${JSON.stringify(deletion)}\n`, options);
      await rename(`${path}.new`, path);
    } catch (thrown) {
      if (!['ENOSPC', 'EDQUOT'].includes(errnoOf(thrown))) throw thrown;
    }
  }

  async #done(deletion: Deletion): Promise<void> {
    this.#entered.delete(nameOf(deletion));
    await rm(this.#pathOf(deletion.folder), { force: true });
  }

  #pathOf(folder: string): string {
    const digits = createHash('sha256').update(folder).digest('hex').slice(0, NAME_DIGITS);
    return join(this.#dependencies.directory, UNFINISHED_FOLDER, `deletion-${digits}.json`);
  }

  async #notes(): Promise<{ deletion: Deletion; mtimeMs: number }[]> {
    const folder = join(this.#dependencies.directory, UNFINISHED_FOLDER);
    const names = await readdir(folder).catch((): string[] => []);
    const notes: { deletion: Deletion; mtimeMs: number }[] = [];
    for (const name of names.filter((one) => NOTE.test(one))) {
      const path = join(folder, name);
      const deletion = await readNote(path);
      // Others may write to the folder: a note names its recording, and no other one.
      if (deletion === undefined || this.#pathOf(deletion.folder) !== path) continue;
      notes.push({ deletion, mtimeMs: (await lstat(path)).mtimeMs });
    }
    return notes;
  }
}

function nameOf({ folder, folderKey }: Deletion): string {
  return `${folder} ${folderKey}`;
}

/** Undefined where there is none. Throws what node:fs throws, for a symbolic link as well. */
function manifestIn(directory: string, folder: string): Buffer | undefined {
  let file = -1;
  try {
    file = openInside(directory, `${folder}/${MANIFEST_FILE}`, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(file).size > MAX_MANIFEST_BYTES) throw new Error('its manifest is no recorder’s');
    return readFileSync(file);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  } finally {
    if (file >= 0) closeSync(file);
  }
}

const noteSchema = z.object({
  folder: z.string().refine(isRecordingPath),
  folderKey: z.string(),
  interactionId: z.string(),
  reason: z.enum(['retention', 'uploaded']),
  detail: z.string().optional(),
});

async function readNote(path: string): Promise<Deletion | undefined> {
  try {
    const file = await open(path, READ);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
      const { detail, ...note } = noteSchema.parse(JSON.parse(buffer.toString('utf8', 0, bytesRead)));
      return { ...note, ...(detail === undefined ? {} : { detail }) };
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}
