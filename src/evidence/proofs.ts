import { MerkleTree, nodeHash } from './merkle-tree.js';

/** Entries from `from` up to, not including, `to`. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** Makes a proof while the entries of a tree go by once, in order, so that no tree of any size has to be kept. */
export class ProofBuilder {
  readonly #ranges: readonly Range[];
  readonly #trees: readonly MerkleTree[];
  #index = 0;

  private constructor(ranges: readonly Range[]) {
    this.#ranges = ranges;
    this.#trees = ranges.map(() => new MerkleTree());
  }

  /** RFC 6962 section 2.1.1: that the tree of `size` entries has a certain one at `index`. */
  static inclusion(index: number, size: number): ProofBuilder {
    if (!(index >= 0 && index < size)) throw new RangeError(`A tree of ${size} entries has none at ${index}.`);
    return new ProofBuilder(inclusionRanges(index, { from: 0, to: size }));
  }

  /** RFC 6962 section 2.1.2: that the tree of `size` entries begins with that of `before`. */
  static consistency(before: number, size: number): ProofBuilder {
    if (!(before >= 0 && before <= size)) throw new RangeError(`${before} entries are not the beginning of ${size}.`);
    return new ProofBuilder(
      before === 0 || before === size ? [] : consistencyRanges(before, { from: 0, to: size }, true),
    );
  }

  append(leaf: Uint8Array): void {
    const index = this.#index++;
    for (let i = 0; i < this.#ranges.length; i++) {
      const { from, to } = this.#ranges[i] as Range;
      if (index >= from && index < to) (this.#trees[i] as MerkleTree).append(leaf);
    }
  }

  proof(): Buffer[] {
    return this.#trees.map((tree) => tree.root());
  }
}

/** The largest power of two below `size`: where RFC 6962 splits a tree. */
function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

function inclusionRanges(index: number, { from, to }: Range): Range[] {
  if (to - from === 1) return [];
  const middle = from + splitOf(to - from);
  if (index < middle) return [...inclusionRanges(index, { from, to: middle }), { from: middle, to }];
  return [...inclusionRanges(index, { from: middle, to }), { from, to: middle }];
}

/** SUBPROOF of section 2.1.2. `isWhole`: the subtree is one that the verifier of the earlier tree knows already. */
function consistencyRanges(before: number, { from, to }: Range, isWhole: boolean): Range[] {
  if (before === to) return isWhole ? [] : [{ from, to }];
  const middle = from + splitOf(to - from);
  if (before <= middle) {
    return [...consistencyRanges(before, { from, to: middle }, isWhole), { from: middle, to }];
  }
  return [...consistencyRanges(before, { from: middle, to }, false), { from, to: middle }];
}

/** Whether `proof` shows that a tree of `size` entries with this root has `leaf` at `index` (RFC 9162 section 2.1.3.2). */
export function includes(
  { leaf, index, size, root }: { leaf: Uint8Array; index: number; size: number; root: Uint8Array },
  proof: readonly Uint8Array[],
): boolean {
  if (!(index >= 0 && index < size)) return false;
  let at = index;
  let last = size - 1;
  let hash: Buffer = Buffer.from(leaf);
  for (const sibling of proof) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash);
      while (at % 2 === 0 && at !== 0) {
        at /= 2;
        last = Math.floor(last / 2);
      }
    } else hash = nodeHash(hash, sibling);
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && hash.equals(root);
}

interface Tree {
  readonly size: number;
  readonly root: Uint8Array;
}

/** Whether `proof` shows that the tree `after` begins with the tree `before` (RFC 9162 section 2.1.4.2). */
export function extendsTree(before: Tree, after: Tree, proof: readonly Uint8Array[]): boolean {
  if (before.size === after.size) return proof.length === 0 && Buffer.from(before.root).equals(after.root);
  if (before.size === 0) return proof.length === 0;
  if (before.size > after.size) return false;
  let at = before.size - 1;
  let last = after.size - 1;
  while (at % 2 === 1) {
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  // With a power of two, the earlier root itself is the first node.
  const path = at === 0 ? [before.root, ...proof] : [...proof];
  const first = path.shift();
  if (first === undefined) return false;
  let beforeHash: Buffer = Buffer.from(first);
  let afterHash: Buffer = Buffer.from(first);
  for (const node of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      beforeHash = nodeHash(node, beforeHash);
      afterHash = nodeHash(node, afterHash);
      while (at % 2 === 0 && at !== 0) {
        at /= 2;
        last = Math.floor(last / 2);
      }
    } else afterHash = nodeHash(afterHash, node);
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && beforeHash.equals(before.root) && afterHash.equals(after.root);
}
