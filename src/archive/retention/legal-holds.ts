import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { CallAttributes } from '../../core/attributes/attributes.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { HeldBy } from '../../core/retention/policy.js';
import { UNFINISHED_FOLDER } from '../../sinks/recorder/files/unfinished.js';

/**
 * Legal holds: a file beside the recordings, to which each change is appended and synced before it counts. So a kill at any
 * point leaves the holds as they were, or with the change. Each line has its CRC-32: when one is damaged, it may have been a
 * hold, and nothing is deleted until somebody has looked after it.
 */
export const HOLDS_FILE = '.legal-holds.jsonl';
/** How many changes are in the audit, beside the index of unfinished recordings. */
export const AUDITED_FILE = join(UNFINISHED_FOLDER, 'legal-holds-audited.json');
const APPEND = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const CRC_DIGITS = 8;
const MAX_BYTES = 64 << 20;
const MAX_VALUE_LENGTH = 256;

/** One hold that is in force. */
export interface LegalHold extends HeldBy {
  /** ISO 8601. */
  readonly since: string;
  /** Who has placed it. */
  readonly by: string;
  readonly reason?: string;
}

/** A line of the file. */
export interface HoldChange extends LegalHold {
  readonly action: 'add' | 'remove';
}

/** What is in force, and every change there has been. */
export interface HoldState {
  readonly holds: readonly LegalHold[];
  readonly changes: readonly HoldChange[];
}

/**
 * Reads the holds of a folder of recordings.
 * @throws TrunklineError FILE_INVALID when a line is damaged or lost, FILE_FAILED when the file cannot be read.
 */
export function readHolds(directory: string): HoldState {
  const text = textOf(directory) ?? '';
  const changes = text.split('\n').flatMap((line, n) => (line === '' ? [] : [parseLine(line, n + 1)]));
  const known = auditedChanges(directory);
  if (changes.length < known) {
    throw new TrunklineError(
      'FILE_INVALID',
      `${HOLDS_FILE} has ${changes.length} changes, and the audit ${known}: some were lost. Nothing is deleted until it is restored.`,
    );
  }
  const holds = new Map<string, LegalHold>();
  for (const { action, ...hold } of changes) {
    if (action === 'add') holds.set(keyOf(hold), hold);
    else holds.delete(keyOf(hold));
  }
  return { holds: [...holds.values()], changes };
}

/**
 * Adds or removes a hold; resolved when it is on the disk. False when that was so already.
 * @throws TrunklineError FILE_INVALID, FILE_FAILED, CONFIG_INVALID for a value that cannot be one.
 */
export function changeHold(directory: string, change: HoldChange, fileMode = 0o600): boolean {
  if (change.value.trim() === '' || change.value.length > MAX_VALUE_LENGTH) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `A legal hold names an interaction or a tag of 1 to ${MAX_VALUE_LENGTH} characters.`,
    );
  }
  const isHeld = readHolds(directory).holds.some((hold) => keyOf(hold) === keyOf(change));
  if (isHeld === (change.action === 'add')) return false;
  const json = JSON.stringify(change);
  const line = Buffer.from(`${crcOf(json)} ${json}\n`);
  try {
    const file = openSync(join(directory, HOLDS_FILE), APPEND, fileMode);
    try {
      const { size } = fstatSync(file);
      const written = writeSync(file, line);
      if (written < line.length) {
        ftruncateSync(file, size);
        throw new Error('the disk is full');
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    syncFolder(directory);
  } catch (thrown) {
    throw new TrunklineError('FILE_FAILED', `The legal hold cannot be kept in ${directory}: ${messageOf(thrown)}.`, {
      cause: thrown,
    });
  }
  return true;
}

/** How many changes have been entered into the audit: there were at least as many. */
export function auditedChanges(directory: string): number {
  try {
    const count = Number(readFileSync(join(directory, AUDITED_FILE), 'utf8'));
    return Number.isSafeInteger(count) && count > 0 ? count : 0;
  } catch {
    return 0;
  }
}

/** What a hold may name of a recording, as its manifest says. */
export interface HoldableRecording {
  readonly interactionId: string;
  readonly attributes?: CallAttributes | undefined;
  /** Those at the end of the call, where they were changed afterwards. */
  readonly firstAttributes?: CallAttributes | undefined;
}

/**
 * The hold that a recording is under; undefined when there is none. Case does not count. A tag that the call ended with
 * counts also when somebody has removed it since: a hold is ended by its removal alone.
 */
export function heldBy(
  holds: readonly LegalHold[],
  { interactionId, attributes, firstAttributes }: HoldableRecording,
): LegalHold | undefined {
  const id = interactionId.toLowerCase();
  const all = [...(attributes?.tags ?? []), ...(firstAttributes?.tags ?? [])];
  const tags = all.map((tag) => tag.toLowerCase());
  return holds.find(({ kind, value }) =>
    kind === 'interaction' ? value.toLowerCase() === id : tags.includes(value.toLowerCase()),
  );
}

function keyOf({ kind, value }: HeldBy): string {
  return `${kind} ${value.toLowerCase()}`;
}

function parseLine(line: string, number: number): HoldChange {
  const json = line.slice(CRC_DIGITS + 1);
  try {
    if (line.slice(0, CRC_DIGITS + 1) === `${crcOf(json)} `) return JSON.parse(json) as HoldChange;
  } catch {
    // A CRC that is right by chance.
  }
  throw new TrunklineError(
    'FILE_INVALID',
    `Line ${number} of ${HOLDS_FILE} is damaged. It may have been a legal hold: nothing is deleted until that line is removed or restored.`,
  );
}

function textOf(directory: string): string | undefined {
  let file = -1;
  try {
    file = openSync(join(directory, HOLDS_FILE), READ);
    const status = fstatSync(file);
    if (!status.isFile() || status.size > MAX_BYTES) throw new Error('it is no file of ours');
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    const message = `The legal holds of ${directory} cannot be read: ${messageOf(thrown)}. Nothing is deleted meanwhile.`;
    throw new TrunklineError('FILE_FAILED', message, { cause: thrown });
  } finally {
    if (file >= 0) closeSync(file);
  }
}

/** So that the file itself is there after a power failure. */
function syncFolder(directory: string): void {
  const folder = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function crcOf(json: string): string {
  return crc32(json).toString(16).padStart(CRC_DIGITS, '0');
}
