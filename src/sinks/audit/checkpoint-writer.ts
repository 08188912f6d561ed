import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../core/errors.js';
import { type Checkpoint, checkpointText } from '../../evidence/checkpoint.js';
import { LeafFile } from '../../evidence/leaf-file.js';
import { CHECKPOINT_FILE, LEAVES_FILE, PUBLIC_KEY_FILE, TREE_FILE } from '../../evidence/log-files.js';
import { leafHash, MerkleTree } from '../../evidence/merkle-tree.js';
import { readCheckpoint } from '../../evidence/read-checkpoint.js';
import { type NoteSigner, signNote, verifierText } from '../../evidence/signed-note.js';
import { readTree, treeText } from '../../evidence/tree-file.js';
import type { Checkpoints } from './audit-log.js';
import { earlierFiles, FollowedFile } from './followed-file.js';

const REPLACE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
const INTERVAL_MS = 2_000;

export interface CheckpointWriterOptions {
  readonly directory: string;
  readonly fileMode: number;
  readonly signer: NoteSigner;
  /** Between checkpoints; default 2 s. */
  readonly intervalMs?: number;
  /** Called once when checkpoints cannot be written, and for what was changed while no node ran. */
  readonly onFault: (message: string) => void;
  /** Called with each checkpoint, as it is in its file. */
  readonly onSigned?: (note: string) => void;
}

/**
 * Makes the audit an append-only Merkle log: every few seconds it takes the lines that have reached the file into the
 * tree, and signs the tree's size and root. What is signed is what the disk has: a line that a full disk refused is in
 * neither. Lines, hashes and checkpoint are forced to the disk in this order, so that after a power cut a checkpoint never
 * names a line that is not there.
 */
export class CheckpointWriter implements Checkpoints {
  readonly #options: CheckpointWriterOptions;
  readonly #leaves: LeafFile;
  readonly #origin: string;
  readonly #files: FollowedFile[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #tree: MerkleTree;
  /** In the tree, and not in the file of hashes. */
  #newLeaves: Buffer[] = [];
  #signedSize: number;
  #work: Promise<void> = Promise.resolve();
  #isFaultReported = false;
  /** What earlier processes have left is in the tree. */
  #isTakenUp = false;
  writeErrors = 0;

  /** @throws what node:fs throws when the files of the log cannot be opened. */
  static async open(options: CheckpointWriterOptions): Promise<CheckpointWriter> {
    const { directory, fileMode, signer, onFault } = options;
    const last = await readCheckpoint(directory, signer);
    if (last === 'unreadable') onFault(await putAside(directory));
    const signed = last === 'unreadable' ? undefined : last;
    const leaves = await LeafFile.open(join(directory, LEAVES_FILE), 'r+', fileMode);
    const tree = await signedTree(directory, leaves, signed);
    if (signed !== undefined && !(tree.size === signed.size && tree.root().equals(signed.root))) {
      onFault(`${LEAVES_FILE} was changed since the last checkpoint: trunkline verify shows what.`);
    }
    await replace(join(directory, PUBLIC_KEY_FILE), `${verifierText(signer)}\n`, fileMode);
    // Before the first checkpoint, so that a kill behind that leaves an older tree, and not none.
    if ((await readTree(join(directory, TREE_FILE))) === undefined) {
      await replace(join(directory, TREE_FILE), treeText(tree), fileMode);
    }
    const origin = signed?.origin ?? `${signer.name}/${randomBytes(4).toString('hex')}`;
    return new CheckpointWriter(options, leaves, tree, origin, signed?.size ?? 0);
  }

  private constructor(
    options: CheckpointWriterOptions,
    leaves: LeafFile,
    tree: MerkleTree,
    origin: string,
    signedSize: number,
  ) {
    this.#options = options;
    this.#leaves = leaves;
    this.#tree = tree;
    this.#origin = origin;
    this.#signedSize = signedSize;
    this.#timer = setInterval(() => void this.write(), options.intervalMs ?? INTERVAL_MS).unref();
  }

  /** Lines go to the file with this inode from now on, which is at `path` or was put aside since. */
  follow(path: string, ino: number): Promise<void> {
    return this.#do(async () => {
      const file = await FollowedFile.find(path, ino);
      const isFirst = !this.#isTakenUp;
      this.#isTakenUp = true;
      if (isFirst) await this.#takeUp(file);
      this.#files.push(file);
    });
  }

  /** Nothing more is written to the oldest file that is followed. */
  completed(): void {
    const file = this.#files.find(({ isComplete }) => !isComplete);
    if (file !== undefined) file.isComplete = true;
  }

  /** Takes in what has been written since, and signs it. */
  write(): Promise<void> {
    return this.#do(async () => {
      await this.#takeLines();
      await this.#saveLeaves();
      await this.#sign();
      this.#isFaultReported = false;
    });
  }

  /** Signs what is there, and closes the files. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.write();
    await this.#leaves.close();
    for (const { handle } of this.#files) await handle.close();
  }

  /** One thing after the other. Never rejects: faults are reported. */
  #do(step: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(step).catch((thrown: unknown) => {
      this.writeErrors++;
      if (this.#isFaultReported) return;
      this.#isFaultReported = true;
      this.#options.onFault(`Cannot sign the audit: ${messageOf(thrown)}. Capture goes on, and it is tried again.`);
    });
    return this.#work;
  }

  async #takeLines(): Promise<void> {
    for (let file = this.#files[0]; file !== undefined; file = this.#files[0]) {
      const { isComplete } = file;
      for await (const leaves of file.leaves()) for (const leaf of leaves) this.#take(leaf);
      await file.handle.datasync();
      if (!isComplete) return;
      this.#files.shift();
      await file.handle.close();
    }
  }

  #take(leaf: Buffer): void {
    this.#tree.append(leaf);
    this.#newLeaves.push(leaf);
  }

  async #saveLeaves(): Promise<void> {
    if (this.#newLeaves.length === 0) return;
    await this.#leaves.write(this.#tree.size - this.#newLeaves.length, this.#newLeaves);
    this.#newLeaves = [];
  }

  async #sign(): Promise<void> {
    const { size } = this.#tree;
    if (size === this.#signedSize) return;
    const { directory, fileMode, signer } = this.#options;
    const text = checkpointText({ origin: this.#origin, size, root: this.#tree.root(), extensions: [] });
    const note = signNote(text, signer);
    await replace(join(directory, CHECKPOINT_FILE), note, fileMode);
    this.#options.onSigned?.(note);
    await replace(join(directory, TREE_FILE), treeText(this.#tree), fileMode);
    this.#signedSize = size;
  }

  /**
   * After a restart: passes over the lines that are in the tree already. When the file was rotated since, by a tool while
   * no node ran or by a node that was killed, what those before it have without a checkpoint is taken in first.
   */
  async #takeUp(file: FollowedFile): Promise<void> {
    const { size } = this.#tree;
    const line = await file.firstLine();
    const [from = -1] = line === undefined ? [] : await this.#leaves.lastIndexesOf([leafHash(line)], size);
    if (from >= 0) return this.#passOver(file, from);
    const earlier = await earlierFiles(this.#options.directory, file.name, this.#leaves, size);
    const newest = earlier.findLastIndex((one) => one.from >= 0);
    for (const [index, one] of earlier.entries()) {
      if (index >= newest) {
        await one.file.endLine();
        await this.#passOver(one.file, one.from < 0 ? this.#tree.size : one.from, size);
      }
      await one.file.handle.close();
    }
  }

  /** Compares the lines of a file with the tree from `from` on, and takes in those that follow its end. */
  async #passOver(file: FollowedFile, from: number, size = this.#tree.size): Promise<void> {
    const expected = this.#leaves.read(from, size);
    let line = 0;
    let changed = 0;
    for await (const leaves of file.leaves()) {
      for (const leaf of leaves) {
        line++;
        const next = await expected.next();
        if (next.done) this.#take(leaf);
        else if (changed === 0 && !next.value.equals(leaf)) changed = line;
      }
    }
    const isShort = !(await expected.next()).done;
    if (changed === 0 && !isShort) return;
    const what = changed > 0 ? `changed at line ${changed}` : `cut off behind line ${line}`;
    this.#options.onFault(`${file.name} was ${what} since it was signed: trunkline verify shows the rest.`);
  }
}

/** Of a log that another key has signed: its files are kept under other names. Returns what to say. */
async function putAside(directory: string): Promise<string> {
  const ending = `before-${randomBytes(4).toString('hex')}`;
  for (const name of [CHECKPOINT_FILE, LEAVES_FILE, PUBLIC_KEY_FILE, TREE_FILE]) {
    await rename(join(directory, name), join(directory, `${name}.${ending}`)).catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code !== 'ENOENT') throw thrown;
    });
  }
  return `${CHECKPOINT_FILE} is not signed by this node's key: the files of that log end in .${ending} now, and a new log begins.`;
}

/**
 * The tree over the entries that the last checkpoint has signed. Of hashes behind them nobody knows who wrote them: they
 * are made again from the lines.
 */
async function signedTree(directory: string, leaves: LeafFile, signed: Checkpoint | undefined): Promise<MerkleTree> {
  if (signed === undefined) return new MerkleTree();
  const saved = await readTree(join(directory, TREE_FILE));
  if (saved !== undefined && saved.size === signed.size && saved.root().equals(signed.root)) return saved;
  return leaves.tree(Math.min(signed.size, await leaves.size()));
}

/** Replaces a file at once: a reader sees the old text or the new one. */
async function replace(path: string, text: string, mode: number): Promise<void> {
  const next = `${path}.new`;
  const file = await open(next, REPLACE, mode);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(next, path);
}
