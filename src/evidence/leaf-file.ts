import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { LEAF_BYTES } from './log-files.js';
import { MerkleTree } from './merkle-tree.js';

// Not O_APPEND: on Linux it makes every write go to the end, whatever place is given.
const FLAGS = {
  r: constants.O_RDONLY | constants.O_NOFOLLOW,
  'r+': constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW,
};
const CHUNK_LEAVES = 2_048;

/** The hashes of all entries of a log, one behind the other. Half a hash at its end, after a kill, is ignored. */
export class LeafFile {
  readonly #handle: FileHandle;
  readonly #chunk = Buffer.alloc(CHUNK_LEAVES * LEAF_BYTES);

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** @param mode permissions of the file, where it is made. */
  static async open(path: string, flags: 'r' | 'r+', mode = 0o600): Promise<LeafFile> {
    return new LeafFile(await open(path, FLAGS[flags], mode));
  }

  async size(): Promise<number> {
    return Math.floor((await this.#handle.stat()).size / LEAF_BYTES);
  }

  /** Writes at the given index, and waits for the disk. */
  async write(index: number, leaves: readonly Buffer[]): Promise<void> {
    const bytes = Buffer.concat(leaves);
    for (let done = 0; done < bytes.length; ) {
      const at = index * LEAF_BYTES + done;
      done += (await this.#handle.write(bytes, done, bytes.length - done, at)).bytesWritten;
    }
    await this.#handle.datasync();
  }

  /** The hashes from `from` up to, not including, `to`: views that are valid until the next one is asked for. */
  async *read(from: number, to: number): AsyncGenerator<Buffer> {
    for (let index = from; index < to; ) {
      const wanted = Math.min(CHUNK_LEAVES, to - index);
      const count = await this.#fill(index, wanted);
      if (count === 0) return;
      for (let i = 0; i < count; i++) yield this.#chunk.subarray(i * LEAF_BYTES, (i + 1) * LEAF_BYTES);
      index += count;
    }
  }

  /** Where each of these hashes stands last below `end`; −1 where it does not. */
  async lastIndexesOf(leaves: readonly Buffer[], end: number): Promise<number[]> {
    const places = leaves.map(() => -1);
    const byStart = new Map<number, number[]>();
    for (const [n, leaf] of leaves.entries()) {
      const start = leaf.readUInt32LE(0);
      byStart.set(start, [...(byStart.get(start) ?? []), n]);
    }
    let left = leaves.length;
    for (let to = end; to > 0 && left > 0; to -= CHUNK_LEAVES) {
      const from = Math.max(0, to - CHUNK_LEAVES);
      const count = await this.#fill(from, to - from);
      for (let i = count - 1; i >= 0; i--) {
        for (const n of byStart.get(this.#chunk.readUInt32LE(i * LEAF_BYTES)) ?? []) {
          const isSame =
            this.#chunk.compare(leaves[n] as Buffer, 0, LEAF_BYTES, i * LEAF_BYTES, (i + 1) * LEAF_BYTES) === 0;
          if (!isSame || places[n] !== -1) continue;
          places[n] = from + i;
          left--;
        }
      }
    }
    return places;
  }

  /** The tree over the first `size` hashes. */
  async tree(size: number): Promise<MerkleTree> {
    const tree = new MerkleTree();
    for await (const leaf of this.read(0, size)) tree.append(Buffer.from(leaf));
    return tree;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  /** Reads hashes into the chunk; returns how many there are. */
  async #fill(index: number, count: number): Promise<number> {
    let bytes = 0;
    while (bytes < count * LEAF_BYTES) {
      const { bytesRead } = await this.#handle.read(
        this.#chunk,
        bytes,
        count * LEAF_BYTES - bytes,
        index * LEAF_BYTES + bytes,
      );
      if (bytesRead === 0) break;
      bytes += bytesRead;
    }
    return Math.floor(bytes / LEAF_BYTES);
  }
}
