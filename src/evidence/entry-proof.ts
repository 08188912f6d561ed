import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TrunklineError } from '../core/errors.js';
import { LeafFile } from './leaf-file.js';
import { auditFiles, CHECKPOINT_FILE, LEAVES_FILE, LineSplitter } from './log-files.js';
import { leafHash } from './merkle-tree.js';
import { includes, ProofBuilder } from './proofs.js';
import { openCheckpoint } from './read-checkpoint.js';
import type { NoteVerifier } from './signed-note.js';

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
const HASH_BYTES = 32;

/** A proof that a log has an entry, and the line that is the entry. */
export interface EntryProof {
  /** C2SP tlog-proof: the index, the hashes beside the path to the root, and the signed checkpoint. */
  readonly proof: string;
  /** Absent when no file in the folder has it any more. */
  readonly line?: string;
}

/**
 * Proves to others that the log in `directory` has an entry, without showing them any other.
 * @throws TrunklineError FILE_FAILED when the folder has no signed log with that entry.
 */
export async function proveEntry(directory: string, index: number, verifier: NoteVerifier): Promise<EntryProof> {
  const note = await readFile(join(directory, CHECKPOINT_FILE), 'utf8');
  const checkpoint = openCheckpoint(note, verifier);
  if (checkpoint === undefined)
    throw new TrunklineError('FILE_FAILED', `${CHECKPOINT_FILE} is not signed by this key.`);
  const { size, root } = checkpoint;
  if (index >= size)
    throw new TrunklineError('FILE_FAILED', `The log has ${size} signed entries; there is none at ${index}.`);
  const leaves = await LeafFile.open(join(directory, LEAVES_FILE), 'r');
  const builder = ProofBuilder.inclusion(index, size);
  let leaf: Buffer | undefined;
  let at = 0;
  for await (const hash of leaves.read(0, size)) {
    const copy = Buffer.from(hash);
    if (at++ === index) leaf = copy;
    builder.append(copy);
  }
  await leaves.close();
  const path = builder.proof();
  if (leaf === undefined || !includes({ leaf, index, size, root }, path)) {
    throw new TrunklineError('FILE_FAILED', `${LEAVES_FILE} was changed: trunkline verify shows more.`);
  }
  const hashes = path.map((hash) => `${hash.toString('base64')}\n`).join('');
  const line = await lineOf(directory, leaf);
  return { proof: `${FIRST_LINE}\nindex ${index}\n${hashes}\n${note}`, ...(line === undefined ? {} : { line }) };
}

async function lineOf(directory: string, leaf: Buffer): Promise<string | undefined> {
  for (const name of await auditFiles(directory)) {
    const splitter = new LineSplitter();
    for await (const chunk of createReadStream(join(directory, name))) {
      for (const line of splitter.split(chunk as Buffer)) if (leafHash(line).equals(leaf)) return line.toString();
    }
  }
  return undefined;
}

/** What a proof shows of a line: which entry of which log it is. Undefined when it does not show anything. */
export function checkEntryProof(
  proof: string,
  line: Buffer,
  verifier: NoteVerifier,
): { readonly origin: string; readonly index: number; readonly size: number } | undefined {
  const split = proof.indexOf('\n\n');
  if (split < 0) return undefined;
  const [first, indexLine = '', ...encoded] = proof.slice(0, split).split('\n');
  const [, digits] = /^index (0|[1-9]\d*)$/.exec(indexLine) ?? [];
  const checkpoint = openCheckpoint(proof.slice(split + 2), verifier);
  if (first !== FIRST_LINE || digits === undefined || checkpoint === undefined) return undefined;
  const hashes = encoded.map((text) => Buffer.from(text, 'base64'));
  const isExact = hashes.every((hash, i) => hash.length === HASH_BYTES && hash.toString('base64') === encoded[i]);
  const { origin, size, root } = checkpoint;
  const index = Number(digits);
  return isExact && includes({ leaf: leafHash(line), index, size, root }, hashes) ? { origin, index, size } : undefined;
}
