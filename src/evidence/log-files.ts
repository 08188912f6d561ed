import { constants } from 'node:fs';
import { readdir } from 'node:fs/promises';

/** The files of an audit beside its lines. */
export const AUDIT_FILE = 'audit.jsonl';
/** The newest signed checkpoint. */
export const CHECKPOINT_FILE = 'audit.checkpoint';
/** The hash of every entry, 32 bytes each, in order: what the tree is made of, and by which a change is found. */
export const LEAVES_FILE = 'audit.leaves';
/** What the tree is continued from after a restart, so that not all hashes are joined again. Nothing relies on it. */
export const TREE_FILE = 'audit.tree';
/** The public key that checks the checkpoints. */
export const PUBLIC_KEY_FILE = 'audit.public-key';
export const LEAF_BYTES = 32;
/** A symbolic link is not followed. */
export const READ_FILE = constants.O_RDONLY | constants.O_NOFOLLOW;

const NEWLINE = 0x0a;

/** The files with lines of the audit, rotated ones included, whatever a rotation has called them. A link is none. */
export async function auditFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && /^audit.*\.jsonl/.test(entry.name));
  return files.map(({ name }) => name).toSorted();
}

/** Cuts bytes that come in chunks into lines. A line goes without its newline; the rest waits for more. */
export class LineSplitter {
  #rest = Buffer.alloc(0);

  /** The line that has begun and not ended. */
  get rest(): Buffer {
    return this.#rest;
  }

  /** The lines that are whole with this chunk; views that are valid until the next call. */
  *split(chunk: Buffer): Generator<Buffer> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      yield bytes.subarray(from, end);
      from = end + 1;
    }
    this.#rest = Buffer.from(bytes.subarray(from));
  }
}

/** A file of the audit of which no line is in the log yet. */
export interface NewFile {
  readonly name: string;
  /** Empty where there is none. */
  readonly firstLine: Buffer;
}

const TIME = /^\{"timestamp":"([^"]*)"/;
const COPY = /-(\d+)(\.jsonl)$/;

/** Whether a line can be one of an audit. */
export function isEntryLine(line: Buffer): boolean {
  return TIME.test(line.toString('latin1', 0, 100));
}

/** For sorting: the order in which they were begun, by the times of their first lines, and by their names where those are equal. */
export function compareNewFiles(a: NewFile, b: NewFile): number {
  const [x, y] = [sortKey(a), sortKey(b)];
  return compare(x.time, y.time) || x.isNewest - y.isNewest || compare(x.name, y.name) || x.copy - y.copy;
}

/** Files that are put aside in the same second have a number behind the time, from 2 on. */
function sortKey({ name, firstLine }: NewFile): { time: string; isNewest: number; name: string; copy: number } {
  const [, time = ''] = TIME.exec(firstLine.toString('latin1', 0, 100)) ?? [];
  const isNewest = name === AUDIT_FILE ? 1 : 0;
  return { time, isNewest, name: name.replace(COPY, '$2'), copy: Number(COPY.exec(name)?.[1] ?? 1) };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
