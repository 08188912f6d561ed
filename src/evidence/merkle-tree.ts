import { createHash, hash } from 'node:crypto';

const HASH_BYTES = 32;
// RFC 6962 section 2.1: leaves and nodes are hashed with different first bytes, so that neither passes for the other.
const LEAF = 0;
const NODE = 1;

/** RFC 6962 section 2.1: the hash of one entry. */
export function leafHash(entry: Uint8Array): Buffer {
  return prefixed(LEAF, entry);
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return prefixed(NODE, left, right);
}

/** What is hashed, one after the other; as long as the longest that there was. */
let input = Buffer.alloc(4_096);

/**
 * In one call: a hash object with several updates takes twice as long. By way of a string, since the memory that is made
 * for a buffer takes longer than the hash of a line.
 */
function prefixed(prefix: number, one: Uint8Array, other?: Uint8Array): Buffer {
  const length = 1 + one.length + (other?.length ?? 0);
  if (length > input.length) input = Buffer.alloc(length);
  input[0] = prefix;
  input.set(one, 1);
  if (other !== undefined) input.set(other, 1 + one.length);
  return Buffer.from(hash('sha256', input.subarray(0, length), 'binary'), 'binary');
}

/** What a tree is restored from: its size and the roots of its complete subtrees, the largest first. */
export interface TreeState {
  readonly size: number;
  readonly subtrees: readonly Uint8Array[];
}

/**
 * The Merkle tree of RFC 6962 section 2.1 over a list that only grows. It keeps the roots of the complete subtrees alone,
 * one for each bit that is set in the size: 24 hashes for ten million entries.
 *
 * Worked example: with 7 entries it keeps the roots over entries 0-3, 4-5 and 6. An eighth joins 6, the two join 4-5,
 * and the four join 0-3: one root is left, over 0-7.
 */
export class MerkleTree {
  #size = 0;
  readonly #subtrees: Uint8Array[] = [];

  get size(): number {
    return this.#size;
  }

  /** @throws RangeError when the number of subtrees, or the length of one, does not fit the size. */
  static restore({ size, subtrees }: TreeState): MerkleTree {
    if (!Number.isSafeInteger(size) || size < 0 || subtrees.length !== onesIn(size)) {
      throw new RangeError(`A tree of ${size} entries does not have ${subtrees.length} complete subtrees.`);
    }
    const tree = new MerkleTree();
    for (const subtree of subtrees) {
      if (subtree.length !== HASH_BYTES) throw new RangeError(`A hash has ${HASH_BYTES} bytes, not ${subtree.length}.`);
      tree.#subtrees.push(subtree);
    }
    tree.#size = size;
    return tree;
  }

  append(leaf: Uint8Array): void {
    let hash = leaf;
    // As many complete subtrees of equal size are joined as the size ends in ones. Division, since it may exceed 32 bits.
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) {
      hash = nodeHash(this.#subtrees.pop() as Uint8Array, hash);
    }
    this.#subtrees.push(hash);
    this.#size++;
  }

  /** The root over all entries so far; of none, the hash of nothing. */
  root(): Buffer {
    const last = this.#subtrees.at(-1);
    if (last === undefined) return createHash('sha256').digest();
    let hash: Buffer = Buffer.from(last);
    for (let i = this.#subtrees.length - 2; i >= 0; i--) hash = nodeHash(this.#subtrees[i] as Uint8Array, hash);
    return hash;
  }

  state(): TreeState {
    return { size: this.#size, subtrees: [...this.#subtrees] };
  }
}

function onesIn(size: number): number {
  let ones = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  return ones;
}
