import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../core/clock.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { AuditFields } from '../../core/events.js';
import { isInside } from '../../core/files/inside.js';
import { type Convert, convertHere } from './conversion/convert.js';
import { errnoOf } from './files/disk-fault.js';
import { type FileAccess, OWNER_ONLY } from './files/folder.js';
import { leaveToArchive, markComplete, readUnfinished, type UnfinishedIndex } from './files/unfinished.js';
import { indexFinished } from './folders/finished-index.js';
import { recordingFolders } from './folders/recording-folders.js';
import { repairRecording } from './repair-recording.js';

export interface RepairReport {
  /** Recordings that were looked at. */
  readonly recordings: number;
  /** Folders of those that were repaired. */
  readonly repaired: readonly string[];
  /** Recordings that a live process is writing; left alone. */
  readonly live: readonly string[];
  /** Recordings that could not be repaired, and why. */
  readonly failed: readonly { readonly folder: string; readonly message: string }[];
}

/** A recording that was repaired. */
export interface RepairedRecording {
  readonly folder: string;
  /** The folder's name when the recording said nothing of its interaction. */
  readonly interactionId: string;
  /** Of all its audio, in milliseconds; absent when it is not known. */
  readonly durationMs?: number;
}

export interface RepairOptions {
  readonly clock?: Clock;
  /** Permissions of the manifests that are made; those of OWNER_ONLY when absent. */
  readonly access?: FileAccess;
  /** Makes FLAC of what was to be FLAC; convertHere when absent. */
  readonly convert?: Convert;
  /** Called after each recording that was repaired. */
  readonly onRepaired?: (recording: RepairedRecording) => void;
  /** Is given each recording that is finished now; closed at the end. For repairUnfinished(). */
  readonly archiveIndex?: UnfinishedIndex;
  /** Ends the work between two recordings; the report says what was done by then. */
  readonly signal?: AbortSignal;
}

/** What the audit keeps of a repaired recording: the end of its stream, which its process could not write. */
export function repairedFields({ durationMs }: RepairedRecording): AuditFields {
  return { outcome: 'incomplete', reason: 'interrupted', ...(durationMs === undefined ? {} : { durationMs }) };
}

/** Recordings that are repaired at a time. */
const PARALLEL = 8;

/**
 * Repairs what a killed process left in `dir`: WAV headers get the sizes of their files, manifests their end
 * (`interrupted`, by the length of the audio) and their spans, and what was to be FLAC becomes so. Finished recordings stay
 * as they are, byte for byte, and so do those that a live process is writing. An encrypted file that ends within its head
 * never had audio and is removed. Doing it twice changes nothing. Symbolic links are not followed.
 *
 * Audio without a header gets one, by the manifest or else for 8 kHz mono, which the manifest then says.
 *
 * A recording is live when the process named in its manifest runs on this host. When that names another host, or there
 * is no manifest yet, it is live when its audio was written in the last 30 s.
 *
 * Looks at every folder; repairUnfinished() looks only at those that may need it.
 *
 * @throws TrunklineError FILE_FAILED when `dir` cannot be read. A folder that does not exist has nothing to repair.
 */
export async function repairRecordings(dir: string, options: RepairOptions = {}): Promise<RepairReport> {
  return repairFolders(dir, foldersOf(dir), options);
}

/**
 * The same for the recordings that the index of unfinished ones lists (files/unfinished.ts), so that the time it takes
 * does not depend on how many finished ones there are. Where no such index has been kept from the beginning, it looks at
 * every folder once.
 */
export async function repairUnfinished(dir: string, options: RepairOptions = {}): Promise<RepairReport> {
  const { folders, files, isComplete } = await readUnfinished(dir);
  const { archiveIndex } = options;
  const listed = new Set(folders);
  // A kill may have come between the end of a manifest and the line that says so.
  const onFinished = (folder: string): void => {
    if (listed.has(folder)) archiveIndex?.finished(folder);
  };
  const report = await repairFolders(dir, isComplete ? folders : foldersOf(dir), { ...options, onFinished });
  archiveIndex?.close();
  if (options.signal?.aborted === true) return report;
  if (!isComplete) markComplete(dir, options.access ?? OWNER_ONLY);
  // What could not be repaired stays listed.
  if (report.failed.length > 0) return report;
  for (const file of files) {
    if (archiveIndex === undefined) await rm(file, { force: true });
    else leaveToArchive(file);
  }
  return report;
}

async function repairFolders(
  dir: string,
  folders: readonly string[],
  {
    clock = systemClock,
    access = OWNER_ONLY,
    convert = convertHere,
    onRepaired,
    onFinished,
    archiveIndex,
    signal,
  }: RepairOptions & { onFinished?: (folder: string) => void },
): Promise<RepairReport> {
  const report = {
    recordings: 0,
    repaired: [] as string[],
    live: [] as string[],
    failed: [] as RepairReport['failed'][number][],
  };
  const repair = async (folder: string): Promise<void> => {
    try {
      if (!isInside(dir, folder)) return;
      const outcome = await repairRecording(join(dir, folder), clock.wallMs(), access.fileMode, convert);
      if (outcome === undefined) return;
      report.recordings++;
      if (outcome.state === 'live') report.live.push(folder);
      if (outcome.state === 'finished') onFinished?.(folder);
      if (outcome.state !== 'repaired') return;
      archiveIndex?.finished(folder);
      report.repaired.push(folder);
      if (outcome.manifest !== undefined) indexFinished(dir, folder, outcome.manifest, access.fileMode);
      const { interactionId = folder, spans } = outcome.manifest ?? {};
      const durationMs = spans && Math.max(0, ...spans.map(({ endMs }) => endMs));
      onRepaired?.({ folder, interactionId, ...(durationMs === undefined ? {} : { durationMs }) });
    } catch (thrown) {
      report.recordings++;
      report.failed.push({ folder, message: messageOf(thrown) });
    }
  };
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < folders.length && signal?.aborted !== true) await repair(folders[next++] as string);
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  report.repaired.sort();
  report.live.sort();
  report.failed.sort((a, b) => (a.folder < b.folder ? -1 : 1));
  return report;
}

function foldersOf(dir: string): string[] {
  try {
    return [...recordingFolders(dir)];
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw new TrunklineError('FILE_FAILED', `Cannot read the recordings in ${dir}: ${messageOf(thrown)}.`, {
      cause: thrown,
    });
  }
}
