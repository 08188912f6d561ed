import { expect, it } from 'vitest';
import { leafHash, MerkleTree, nodeHash } from '../../src/evidence/merkle-tree.js';
import { extendsTree, includes, ProofBuilder } from '../../src/evidence/proofs.js';

/** The entries and roots that the authors of Certificate Transparency test with. */
const ENTRIES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const SIZES = 70;

const leaves = Array.from({ length: SIZES }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));

/** RFC 6962 section 2.1, as it stands there. */
function rootOf(hashes: readonly Buffer[]): Buffer {
  if (hashes.length < 2) return hashes[0] ?? new MerkleTree().root();
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return nodeHash(rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)));
}

function built(builder: ProofBuilder, size: number): Buffer[] {
  for (const leaf of leaves.slice(0, size)) builder.append(leaf);
  return builder.proof();
}

it('has the roots of the published vectors', () => {
  const tree = new MerkleTree();
  const roots = [tree.root().toString('hex')];
  for (const entry of ENTRIES) {
    tree.append(leafHash(Buffer.from(entry, 'hex')));
    roots.push(tree.root().toString('hex'));
  }
  expect(roots).toEqual(ROOTS);
});

it('has the root of the definition at every size, also when it is restored on the way', () => {
  let tree = new MerkleTree();
  for (let size = 0; size < SIZES; size++) {
    expect(tree.root()).toEqual(rootOf(leaves.slice(0, size)));
    expect(tree.size).toBe(size);
    if (size % 3 === 0) tree = MerkleTree.restore(tree.state());
    tree.append(leaves[size] as Buffer);
  }
});

it('refuses a state that cannot be one', () => {
  const { subtrees } = MerkleTree.restore({ size: 1, subtrees: [leaves[0] as Buffer] }).state();
  expect(() => MerkleTree.restore({ size: 3, subtrees })).toThrow(RangeError);
  expect(() => MerkleTree.restore({ size: -1, subtrees: [] })).toThrow(RangeError);
  expect(() => MerkleTree.restore({ size: 1, subtrees: [Buffer.alloc(31)] })).toThrow(RangeError);
});

it('proves each entry of each tree, and nothing else', () => {
  let refused = 0;
  for (let size = 1; size <= 40; size++) {
    const root = rootOf(leaves.slice(0, size));
    for (let index = 0; index < size; index++) {
      const proof = built(ProofBuilder.inclusion(index, size), size);
      const leaf = leaves[index] as Buffer;
      expect(includes({ leaf, index, size, root }, proof)).toBe(true);
      const wrong = [
        includes({ leaf: leaves[index + 1] as Buffer, index, size, root }, proof),
        includes({ leaf, index: index + 1, size, root }, proof),
        includes({ leaf, index, size: size + 64, root }, proof),
        includes({ leaf, index, size, root }, [...proof, leaf]),
        includes({ leaf, index, size, root }, proof.toReversed().slice(1)),
      ];
      // Of a tree with one entry, the empty proof has no end to take away.
      refused += wrong.slice(0, size === 1 ? 4 : 5).filter((accepted) => !accepted).length;
    }
  }
  expect(refused).toBe(1 * 4 + ((40 * 41) / 2 - 1) * 5);
});

it('proves that each tree begins with each smaller one, and with no other', () => {
  for (let after = 0; after <= 40; after++) {
    for (let before = 0; before <= after; before++) {
      const proof = built(ProofBuilder.consistency(before, after), after);
      const early = { size: before, root: rootOf(leaves.slice(0, before)) };
      const late = { size: after, root: rootOf(leaves.slice(0, after)) };
      expect(extendsTree(early, late, proof)).toBe(true);
      if (before > 0) {
        expect(extendsTree({ ...early, root: leafHash(early.root) }, late, proof)).toBe(false);
        expect(extendsTree(early, { ...late, root: leafHash(late.root) }, proof)).toBe(false);
        expect(extendsTree(early, late, [...proof, late.root])).toBe(false);
      }
      if (before > 0 && before < after) expect(extendsTree(early, late, proof.slice(1))).toBe(false);
    }
  }
});
