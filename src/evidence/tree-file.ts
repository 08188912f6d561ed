import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { MerkleTree } from './merkle-tree.js';

const schema = z.object({ size: z.int().min(0), subtrees: z.array(z.string()) });

export function treeText(tree: MerkleTree): string {
  const { size, subtrees } = tree.state();
  const encoded = subtrees.map((hash) => Buffer.from(hash).toString('base64'));
  return `${JSON.stringify({ size, subtrees: encoded })}\n`;
}

/** Undefined when there is none, or something else is in its place. */
export async function readTree(path: string): Promise<MerkleTree | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    const { size, subtrees } = schema.parse(JSON.parse(text));
    const tree = MerkleTree.restore({ size, subtrees: subtrees.map((hash) => Buffer.from(hash, 'base64')) });
    return treeText(tree) === text ? tree : undefined;
  } catch {
    return undefined;
  }
}
