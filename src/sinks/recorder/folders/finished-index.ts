import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { crc32 } from 'node:zlib';
import type { CallAttributes } from '../../../core/attributes/attributes.js';
import type { Manifest } from '../files/manifest.js';
import { isRecordingPath } from './recording-folders.js';

/**
 * The index of finished recordings, a file beside them: a line for each, appended when it is finished, by which a search
 * need not open a hundred thousand manifests. The last line of a folder counts. It may be lost, cut off or damaged: each
 * line has its CRC-32, and a search compares it with the folders that there are, reads those that it does
 * not have, and adds them.
 */
export const INDEX_FILE = '.recordings.jsonl';
/** A larger file is no index of ours: a line has some 300 bytes, and what is said twice is removed now and then. */
const MAX_BYTES = 1 << 29;
const CRC_DIGITS = 8;
const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What a finished recording can be found by; the fields are those of a list of recordings, as far as they go. */
export interface FinishedRow {
  /** Its path within the output folder. */
  readonly id: string;
  readonly interactionId: string;
  readonly state: 'recorded' | 'empty' | 'incomplete';
  /** Wall clock, milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly attributes: CallAttributes;
}

/** Of a manifest that is final; undefined when its times cannot be read. */
export function finishedRow(id: string, manifest: Manifest): FinishedRow | undefined {
  const { interactionId, startedAt, endedAt, incomplete, attributes = {} } = manifest;
  const [startedAtMs, endedAtMs] = [Date.parse(startedAt), Date.parse(endedAt ?? '')];
  if (Number.isNaN(startedAtMs) || Number.isNaN(endedAtMs)) return undefined;
  const state = incomplete === true ? 'incomplete' : 'recorded';
  return { id, interactionId, state, startedAtMs, endedAtMs, attributes };
}

/** Appends the line of a recording that was finished just now. What cannot be written is left to the next search. */
export function indexFinished(outDir: string, folder: string, manifest: Manifest, fileMode: number): void {
  try {
    const row = finishedRow(folder, manifest);
    if (row !== undefined) appendFinished(outDir, [row], fileMode);
  } catch {
    // A full disk, say.
  }
}

/**
 * Appends lines. Throws what node:fs throws: a search finds the recordings all the same. Each write begins a line of its
 * own, for a kill or a full disk may have left half of one.
 */
export function appendFinished(outDir: string, rows: readonly FinishedRow[], fileMode: number): void {
  if (rows.length === 0) return;
  const file = openSync(join(outDir, INDEX_FILE), APPEND, fileMode);
  try {
    writeSync(file, `\n${rows.map(lineOf).join('\n')}\n`);
  } finally {
    closeSync(file);
  }
}

/** What the index says, by folder, and how many lines it has for that. Empty when there is none that can be read. */
export function readFinished(outDir: string): { rows: Map<string, FinishedRow>; lines: number } {
  const rows = new Map<string, FinishedRow>();
  let lines = 0;
  for (const line of textOf(join(outDir, INDEX_FILE)).split('\n')) {
    if (line === '') continue;
    lines++;
    const row = rowOf(line);
    if (row !== undefined) rows.set(row.id, row);
  }
  return { rows, lines };
}

/** Replaces the index. What another process appends meanwhile is added by the next search. */
export function replaceFinished(outDir: string, rows: Iterable<FinishedRow>, fileMode: number): void {
  const path = join(outDir, INDEX_FILE);
  const spare = `${path}.${process.pid}.new`;
  rmSync(spare, { force: true });
  const file = openSync(spare, APPEND | constants.O_EXCL, fileMode);
  try {
    writeSync(file, `${[...rows].map(lineOf).join('\n')}\n`);
    renameSync(spare, path);
  } catch (thrown) {
    rmSync(spare, { force: true });
    throw thrown;
  } finally {
    closeSync(file);
  }
}

/** Whether the index is ours to write: one made by another user could not be appended to by the recorder. */
export function mayWriteIndex(outDir: string): boolean {
  const { uid } = statSync(outDir);
  return process.getuid === undefined || process.getuid() === uid;
}

function lineOf(row: FinishedRow): string {
  const json = JSON.stringify(row);
  return `${crcOf(json)} ${json}`;
}

function rowOf(line: string): FinishedRow | undefined {
  const json = line.slice(CRC_DIGITS + 1);
  if (line.slice(0, CRC_DIGITS) !== crcOf(json)) return undefined;
  try {
    const row = JSON.parse(json) as FinishedRow;
    if (!isRecordingPath(row.id) || !Number.isFinite(row.startedAtMs)) return undefined;
    // The CRC vouches for what the recorder has checked before; to check it again takes longer than all else.
    return typeof row.attributes === 'object' && row.attributes !== null ? row : undefined;
  } catch {
    return undefined;
  }
}

function crcOf(json: string): string {
  return crc32(json).toString(16).padStart(CRC_DIGITS, '0');
}

function textOf(path: string): string {
  let file = -1;
  try {
    file = openSync(path, READ);
    const status = fstatSync(file);
    return status.isFile() && status.size <= MAX_BYTES ? readFileSync(file, 'utf8') : '';
  } catch {
    return '';
  } finally {
    if (file >= 0) closeSync(file);
  }
}
