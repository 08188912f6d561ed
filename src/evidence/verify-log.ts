import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from './checkpoint.js';
import { type Fault, LineComparison } from './line-comparison.js';
import {
  auditFiles,
  CHECKPOINT_FILE,
  compareNewFiles,
  LEAF_BYTES,
  LEAVES_FILE,
  LineSplitter,
  type NewFile,
  PUBLIC_KEY_FILE,
  READ_FILE,
  TREE_FILE,
} from './log-files.js';
import { leafHash, MerkleTree } from './merkle-tree.js';
import { openCheckpoint, readCheckpoint } from './read-checkpoint.js';
import { type NoteVerifier, parseVerifier, verifierText } from './signed-note.js';
import { readTree } from './tree-file.js';

/** Lines of a file that show where in the log it begins. */
const FIRST_LINES = 100;
const OPENED = /^\{"timestamp":"[^"]*","action":"audit_opened"/;
/** The time stands where the question marks are. */
const TORN_OPENING = `{"timestamp":"${'?'.repeat(24)}","action":"audit_opened"`;
const CLOSED = /^\{"timestamp":"[^"]*","action":"audit_closed"/;

export interface LogReport {
  /** Name of the log and entries that are signed; absent without a checkpoint. */
  readonly origin?: string;
  readonly entries: number;
  /** Lines behind the last checkpoint: a node that runs, or was killed, has not signed them yet. They prove nothing. */
  readonly unsigned: number;
  readonly files: readonly string[];
  readonly faults: readonly Fault[];
}

export interface VerifyLogOptions {
  /** Checks the signatures; without it the key beside the log, which shows that the folder agrees with itself. */
  readonly publicKey?: NoteVerifier | undefined;
  /** Checkpoints of the same log that were kept elsewhere. */
  readonly witnesses?: readonly string[];
  /** Called for each entry, in their order, and for the lines behind the signed ones; `line` is valid until it returns. */
  readonly onEntry?: (line: Buffer, isSigned: boolean) => void;
}

interface SignedLog {
  readonly checkpoint: Checkpoint;
  readonly leaves: Buffer;
}

/**
 * Checks the audit in a folder against its signed checkpoint, line by line. It changes nothing.
 * @throws what node:fs throws when the folder cannot be read.
 */
export async function verifyLog(directory: string, options: VerifyLogOptions = {}): Promise<LogReport> {
  const faults: Fault[] = [];
  const files = await auditFiles(directory);
  const verifier = await keyOf(directory, options.publicKey, faults);
  const signed = verifier === undefined ? undefined : await signedLog(directory, verifier, faults);
  if (verifier === undefined || signed === undefined) return { entries: 0, unsigned: 0, files, faults };
  const { checkpoint, leaves } = signed;
  for (const witness of options.witnesses ?? []) checkWitness(witness, verifier, signed, faults);
  await checkTreeFile(directory, leaves, faults);
  const comparison = new LineComparison(leaves);
  const unsigned = await compareLines(directory, files, comparison, options.onEntry);
  faults.push(...comparison.faults, ...unsigned.faults);
  return { origin: checkpoint.origin, entries: checkpoint.size, unsigned: unsigned.lines, files, faults };
}

/** The key to check with, and what is wrong with the one beside the log. */
async function keyOf(
  directory: string,
  given: NoteVerifier | undefined,
  faults: Fault[],
): Promise<NoteVerifier | undefined> {
  let beside: NoteVerifier | undefined;
  try {
    const text = await readFile(join(directory, PUBLIC_KEY_FILE), { encoding: 'utf8', flag: READ_FILE });
    beside = parseVerifier(text);
    if (text !== `${verifierText(beside)}\n`) throw new RangeError('There is more in the file than a key.');
    if (given !== undefined && verifierText(given) !== verifierText(beside)) throw new RangeError('It is another key.');
  } catch (thrown) {
    faults.push({
      where: PUBLIC_KEY_FILE,
      what: thrown instanceof RangeError ? thrown.message : 'The file is missing.',
    });
  }
  return given ?? beside;
}

/** The checkpoint and the hashes that it signs, when they agree. */
async function signedLog(directory: string, verifier: NoteVerifier, faults: Fault[]): Promise<SignedLog | undefined> {
  const checkpoint = await readCheckpoint(directory, verifier);
  if (checkpoint === undefined || checkpoint === 'unreadable') {
    const what = checkpoint === undefined ? 'The file is missing.' : 'It is not signed by this key, or was changed.';
    faults.push({ where: CHECKPOINT_FILE, what });
    return undefined;
  }
  const all = await readFile(join(directory, LEAVES_FILE), { flag: READ_FILE }).catch(() => Buffer.alloc(0));
  const leaves = all.subarray(0, checkpoint.size * LEAF_BYTES);
  if (leaves.length < checkpoint.size * LEAF_BYTES) {
    const what = `It ends behind ${Math.floor(all.length / LEAF_BYTES)} of ${checkpoint.size} hashes.`;
    faults.push({ where: LEAVES_FILE, what });
    return undefined;
  }
  if (treeOf(leaves).root().equals(checkpoint.root)) return { checkpoint, leaves };
  faults.push({ where: LEAVES_FILE, what: 'It was changed: its hashes do not have the root that is signed.' });
  return undefined;
}

function treeOf(leaves: Buffer): MerkleTree {
  const tree = new MerkleTree();
  for (let at = 0; at < leaves.length; at += LEAF_BYTES) tree.append(leaves.subarray(at, at + LEAF_BYTES));
  return tree;
}

function checkWitness(note: string, verifier: NoteVerifier, { checkpoint, leaves }: SignedLog, faults: Fault[]): void {
  const witness = openCheckpoint(note, verifier);
  const fault = (what: string): void => void faults.push({ where: 'witness', what });
  if (witness === undefined) fault('The checkpoint is not signed by this key, or was changed.');
  else if (witness.origin !== checkpoint.origin) fault(`It is of another log: ${witness.origin}.`);
  else if (witness.size > checkpoint.size) {
    fault(`The log was cut off: it had ${witness.size} entries, and has ${checkpoint.size}.`);
  } else if (
    !treeOf(leaves.subarray(0, witness.size * LEAF_BYTES))
      .root()
      .equals(witness.root)
  ) {
    fault(`The log was written again: its first ${witness.size} entries are not those of the witness.`);
  }
}

/** A kill may leave an older state there, but none that the log never had. */
async function checkTreeFile(directory: string, leaves: Buffer, faults: Fault[]): Promise<void> {
  const tree = await readTree(join(directory, TREE_FILE));
  const isRight =
    tree !== undefined &&
    tree.size * LEAF_BYTES <= leaves.length &&
    tree.root().equals(treeOf(leaves.subarray(0, tree.size * LEAF_BYTES)).root());
  if (!isRight) faults.push({ where: TREE_FILE, what: 'It is missing or was changed.' });
}

/** Compares all files, in the order of their entries; returns what stands behind the signed ones. */
async function compareLines(
  directory: string,
  names: readonly string[],
  comparison: LineComparison,
  onEntry: VerifyLogOptions['onEntry'] = () => {},
): Promise<UnsignedLines> {
  const placed: (NewFile & { entry: number })[] = [];
  for (const name of names) {
    const { leaves, firstLine } = await beginningOf(join(directory, name));
    const entry = comparison.beginningOf(leaves);
    // Those that were begun after the last checkpoint come last.
    placed.push({ name, firstLine, entry: entry < 0 ? Number.MAX_SAFE_INTEGER : entry });
  }
  placed.sort((a, b) => a.entry - b.entry || compareNewFiles(a, b));
  const unsigned = new UnsignedLines();
  for (const [index, { name, entry }] of placed.entries()) {
    comparison.begin(name, entry);
    let line = 0;
    const splitter = new LineSplitter();
    for await (const chunk of createReadStream(join(directory, name))) {
      for (const bytes of splitter.split(chunk as Buffer)) {
        line++;
        if (comparison.take(leafHash(bytes))) unsigned.signed(bytes);
        else unsigned.take(bytes, `${name}:${line}`);
        if (!comparison.isForeign) onEntry(bytes, comparison.isEntry);
      }
    }
    const { rest } = splitter;
    // A kill may cut off the last line; one that is signed was whole.
    if (rest.length > 0 && comparison.has(leafHash(rest))) {
      comparison.take(leafHash(rest));
      comparison.cut(line + 1);
    } else if (rest.length > 0) {
      unsigned.take(rest, `${name}:${line + 1}`);
      onEntry(rest, false);
    }
    comparison.end(index === placed.length - 1);
  }
  comparison.finish();
  return unsigned;
}

/**
 * The lines behind the last checkpoint. A node signs its last line, `audit_closed`, so that behind that one only the
 * beginning of another run can follow.
 */
class UnsignedLines {
  lines = 0;
  readonly faults: Fault[] = [];
  #isClosed = false;

  signed(line: Buffer): void {
    this.#isClosed = CLOSED.test(line.toString('latin1'));
  }

  take(line: Buffer, where: string): void {
    this.lines++;
    if (!this.#isClosed || isTornOpening(line)) return;
    if (OPENED.test(line.toString('latin1'))) this.#isClosed = false;
    else this.faults.push({ where, what: 'The line was added after the node had closed the audit.' });
  }
}

/** The beginning of `audit_opened`: a kill may cut off the first line of a run. */
function isTornOpening(line: Buffer): boolean {
  const text = line.toString('latin1');
  const end = TORN_OPENING.length;
  return text.length < end && [...text].every((digit, at) => TORN_OPENING[at] === '?' || TORN_OPENING[at] === digit);
}

async function beginningOf(path: string): Promise<{ leaves: Buffer[]; firstLine: Buffer }> {
  const leaves: Buffer[] = [];
  let firstLine = Buffer.alloc(0);
  const splitter = new LineSplitter();
  for await (const chunk of createReadStream(path)) {
    for (const line of splitter.split(chunk as Buffer)) {
      if (leaves.length === 0) firstLine = Buffer.from(line);
      leaves.push(leafHash(line));
      if (leaves.length === FIRST_LINES) return { leaves, firstLine };
    }
  }
  return { leaves, firstLine };
}
