import type { AuditedFile } from '../../core/events.js';
import type { Fault } from '../../evidence/line-comparison.js';
import { hiddenFolder } from '../../evidence/recording-entry.js';
import { type LogReport, type VerifyLogOptions, verifyLog } from '../../evidence/verify-log.js';
import { MANIFEST_FILE } from '../../sinks/recorder/files/manifest-file.js';
import { foldersWithoutDigest } from '../finished-queue.js';
import { digestRecording, type FolderContent } from '../recording-digest.js';
import { isKeyDestroyed } from '../retention/delete-recording.js';
import { AuditedRecordings, type AuditedState } from './audited-recordings.js';
import { type FoundFolder, recordingFolders } from './recording-folders.js';

/** What there is of recordings, beside faults. None of these is one. */
export interface RecordingCounts {
  /** Recordings that are as a signed entry of the audit says. */
  readonly verified: number;
  readonly bytes: number;
  /** They are as an entry says that is not signed yet. */
  readonly unsigned: number;
  /** Finished, and without a digest, which the node has still to make: nothing proves them. */
  readonly waiting: number;
  /** Being written, or left by a killed process for a repair: nothing proves them. */
  readonly unfinished: number;
  /** An entry says that they were deleted, and a part of them is still there: the node completes that when it starts. */
  readonly deleting: number;
  /** Deleted, as a signed entry says. */
  readonly deleted: number;
  /** Gone, or gone in part, as only an entry says that is not signed yet. */
  readonly deletedUnsigned: number;
}

export interface VerifyReport extends LogReport {
  readonly recordings: RecordingCounts;
}

/**
 * Checks the audit in a folder, and every recording in it against the audit. It changes nothing, and reads the recordings
 * one after another.
 * @throws what node:fs throws when the folder cannot be read.
 */
export async function verifyFolder(directory: string, options: VerifyLogOptions = {}): Promise<VerifyReport> {
  const audited = new AuditedRecordings();
  const log = await verifyLog(directory, { ...options, onEntry: (line, isSigned) => audited.take(line, isSigned) });
  if (log.origin === undefined) return { ...log, recordings: NOTHING };
  const check = new RecordingCheck(directory, audited);
  for await (const found of recordingFolders(directory)) await check.take(found);
  // What a running node has finished meanwhile is in the audit by now.
  const later = check.doubtful.length === 0 ? audited : await readAgain(directory, options);
  const again = new RecordingCheck(directory, later);
  for (const found of check.doubtful) await again.take(found);
  check.finish();
  const recordings = sum(check.counts, again.counts);
  return { ...log, faults: [...log.faults, ...check.faults, ...again.faults, ...again.doubts], recordings };
}

async function readAgain(directory: string, options: VerifyLogOptions): Promise<AuditedRecordings> {
  const audited = new AuditedRecordings();
  await verifyLog(directory, { ...options, onEntry: (line, isSigned) => audited.take(line, isSigned) });
  return audited;
}

const NOTHING: RecordingCounts = {
  ...{ verified: 0, bytes: 0, unsigned: 0, waiting: 0, unfinished: 0, deleting: 0, deleted: 0, deletedUnsigned: 0 },
};

function sum(a: RecordingCounts, b: RecordingCounts): RecordingCounts {
  const names = Object.keys(NOTHING) as (keyof RecordingCounts)[];
  return { ...NOTHING, ...Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) };
}

/** Compares recordings with what the audit says of them. */
class RecordingCheck {
  readonly counts: Record<keyof RecordingCounts, number> = { ...NOTHING };
  readonly faults: Fault[] = [];
  /** Recordings that are not as the audit says, and what is wrong with them. */
  readonly doubtful: FoundFolder[] = [];
  readonly doubts: Fault[] = [];
  readonly #directory: string;
  readonly #audited: AuditedRecordings;
  #waiting: ReadonlySet<string> | undefined;

  constructor(directory: string, audited: AuditedRecordings) {
    this.#directory = directory;
    this.#audited = audited;
  }

  async take(found: FoundFolder): Promise<void> {
    const doubts = await this.#doubtsOf(found).catch((thrown: unknown): Doubt[] => {
      const code = (thrown as NodeJS.ErrnoException).code ?? '';
      if (!['ENOENT', 'ELOOP', 'EISDIR', 'ENOTDIR'].includes(code)) throw thrown;
      return [['', `A file cannot be read (${code}).`]];
    });
    if (doubts.length === 0) return;
    this.doubtful.push(found);
    this.doubts.push(...doubts.map(([file, what]) => ({ where: `${found.folder}${file && `/${file}`}`, what })));
  }

  /** Reports the recordings that are not there. */
  finish(): void {
    for (const [name, { deletion }] of this.#audited.missing()) {
      if (deletion === 'signed') this.counts.deleted++;
      else if (deletion === 'unsigned') this.counts.deletedUnsigned++;
      else this.faults.push({ where: name, what: 'The recording is missing, and no entry says that it was deleted.' });
    }
  }

  async #doubtsOf({ folder, content }: FoundFolder): Promise<Doubt[]> {
    if (content === undefined) {
      // Beside recordings there may be links of the operator's.
      const isNamed = this.#audited.find([folder]) !== undefined;
      return isNamed ? [['', 'A symbolic link stands in place of the recording.']] : [];
    }
    const state = await this.#stateOf(folder, content);
    if (state === undefined) return this.#withoutEntry(folder, content);
    const { files } = await digestRecording(this.#directory, folder, content.files);
    const doubts = content.isUnfinished
      ? comparedWith(state.unsigned ?? state.signed ?? [], files, true)
      : this.#compared(state, files);
    if (state.deletion !== undefined && doubts.length > 0) {
      const rest = doubts.filter((doubt) => !this.#isOfDeletion(folder, doubt));
      if (rest.length === 0) this.counts[state.deletion === 'signed' ? 'deleting' : 'deletedUnsigned']++;
      return rest;
    }
    doubts.push(...content.others.map((name): Doubt => [name, 'It was added: it belongs to no recording.']));
    if (doubts.length > 0) return this.#explained(folder, files, doubts);
    if (content.isUnfinished) this.counts.unfinished++;
    else if (state.unsigned === undefined) {
      this.counts.verified++;
      this.counts.bytes += files.reduce((bytes, file) => bytes + file.bytes, 0);
    } else this.counts.unsigned++;
    return [];
  }

  /** A line that nobody has signed may add audio to a recording that goes on, and change nothing that is signed. */
  #compared({ signed = [], unsigned }: AuditedState, files: readonly AuditedFile[]): Doubt[] {
    if (unsigned === undefined) return comparedWith(signed, files, false);
    const audio = signed.filter(({ name }) => name !== MANIFEST_FILE);
    return [...comparedWith(unsigned, files, false), ...comparedWith(audio, files, true)];
  }

  /** A deletion that was interrupted: files are gone, or the keys of encrypted ones were written over. */
  #isOfDeletion(folder: string, [name, , kind]: Doubt): boolean {
    if (kind === 'missing') return true;
    return kind === 'changed' && isKeyDestroyed(this.#directory, `${folder}/${name}`);
  }

  /** The whole recording may be another one. */
  #explained(folder: string, files: readonly AuditedFile[], doubts: Doubt[]): Doubt[] {
    const other = this.#audited.nameOf(files);
    if (other === undefined || other === folder) return doubts;
    return [['', `It is the recording of ${other}.`]];
  }

  async #stateOf(folder: string, { files }: FolderContent): Promise<AuditedState | undefined> {
    const shown = this.#audited.find([folder]);
    if (shown !== undefined || !files.includes(MANIFEST_FILE)) return shown;
    const { folderKey } = await digestRecording(this.#directory, folder, [MANIFEST_FILE]);
    return this.#audited.find([hiddenFolder({ folder, folderKey })]);
  }

  async #withoutEntry(folder: string, { isUnfinished, files }: FolderContent): Promise<Doubt[]> {
    if (isUnfinished) {
      this.counts.unfinished++;
      return [];
    }
    this.#waiting ??= await foldersWithoutDigest(this.#directory);
    if (!this.#audited.isComplete && this.#waiting.has(folder)) {
      this.counts.waiting++;
      return [];
    }
    const isFinished = files.includes(MANIFEST_FILE);
    return [['', `The ${isFinished ? 'recording' : 'audio'} has no entry in the audit: it was added, or moved here.`]];
  }
}

/** A file of a recording, or none, and what is wrong with it. */
type Doubt = readonly [file: string, what: string, kind?: 'missing' | 'changed'];

function comparedWith(expected: readonly AuditedFile[], files: readonly AuditedFile[], mayHaveMore: boolean): Doubt[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const doubts: Doubt[] = [];
  for (const { name, bytes, sha256 } of expected) {
    const found = byName.get(name);
    byName.delete(name);
    if (found === undefined) doubts.push([name, 'The file is missing.', 'missing']);
    else if (found.bytes !== bytes)
      doubts.push([name, `It was changed: it has ${found.bytes} bytes, and had ${bytes}.`]);
    else if (found.sha256 !== sha256) doubts.push([name, 'It was changed.', 'changed']);
  }
  if (!mayHaveMore) for (const name of byName.keys()) doubts.push([name, 'The file was added.']);
  return doubts;
}
