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

const NEWLINE = 0x0a;

/** The files with lines of the audit, rotated ones included, whatever a rotation has called them. */
export async function auditFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => /^audit.*\.jsonl/.test(name)).toSorted();
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
