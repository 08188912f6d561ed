import { createHash, createHmac } from 'node:crypto';
import type { AuditedFile, AuditedRecording } from '../core/events.js';

/** Begins the name of a folder that an audit does not show. */
const HIDDEN = 'hidden-';
const HIDDEN_DIGITS = 32;

/** One digest over the files of a recording: recordings are the same when theirs is. */
export function digestOf(files: readonly AuditedFile[]): string {
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const lines = sorted.map(({ name, bytes, sha256 }) => `${name}\n${bytes}\n${sha256}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex');
}

/**
 * What a folder's name is hidden with: with the manifest one can find the recording's entry, and the entry alone does
 * not give the name. (It has the manifest's SHA-256, but of other bytes.) A manifest that was changed after the end of its
 * call has the key of the first one in `auditKey`, so that its entries are found by the same name.
 */
export function folderKeyOf(manifest: Uint8Array): string {
  return keptKeyOf(manifest) ?? createHash('sha256').update('trunkline folder key\n').update(manifest).digest('hex');
}

const AUDIT_KEY = Buffer.from('"auditKey"');

function keptKeyOf(manifest: Uint8Array): string | undefined {
  const text = Buffer.from(manifest.buffer, manifest.byteOffset, manifest.byteLength);
  if (!text.includes(AUDIT_KEY)) return undefined;
  try {
    const { auditKey } = JSON.parse(text.toString('utf8')) as Record<string, unknown>;
    return typeof auditKey === 'string' && /^[0-9a-f]{64}$/.test(auditKey) ? auditKey : undefined;
  } catch {
    return undefined;
  }
}

/** A folder as an audit names it that does not show the ids of interactions. */
export function hiddenFolder({ folder, folderKey }: Pick<AuditedRecording, 'folder' | 'folderKey'>): string {
  const digits = createHmac('sha256', Buffer.from(folderKey, 'hex')).update(folder, 'utf8').digest('hex');
  return `${HIDDEN}${digits.slice(0, HIDDEN_DIGITS)}`;
}

/** What an entry of the audit says of a recording. */
export interface RecordingEntry {
  readonly action: 'recording_digest' | 'recording_deleted';
  /** As the audit names it: the folder, or its hidden name. */
  readonly folder: string;
  /** Of a deletion: none. */
  readonly files: readonly AuditedFile[];
}

const ACTIONS = ['recording_digest', 'recording_deleted'] as const;
const MARK = Buffer.from('"action":"recording_d');

/** What a line of an audit says of a recording; undefined when it says nothing of one. */
export function recordingEntry(line: Buffer): RecordingEntry | undefined {
  // Few of many lines are: they are not parsed before that is known.
  if (line.indexOf(MARK) < 0) return undefined;
  try {
    const { action, folder, files = [] } = JSON.parse(line.toString('utf8')) as Record<string, unknown>;
    const known = ACTIONS.find((one) => one === action);
    if (known === undefined || typeof folder !== 'string' || !Array.isArray(files)) return undefined;
    return { action: known, folder, files: files.filter(isAuditedFile) };
  } catch {
    // Half a line, after a kill.
    return undefined;
  }
}

function isAuditedFile(value: unknown): value is AuditedFile {
  const { name, bytes, sha256 } = (value ?? {}) as Record<string, unknown>;
  return typeof name === 'string' && typeof bytes === 'number' && typeof sha256 === 'string';
}
