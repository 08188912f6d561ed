import { readFile } from 'node:fs/promises';
import { READ_FILE } from './log-files.js';
import { MerkleTree } from './merkle-tree.js';

export function treeText(tree: MerkleTree): string {
  const { size, subtrees } = tree.state();
  const encoded = subtrees.map((hash) => Buffer.from(hash).toString('base64'));
  return `${JSON.stringify({ size, subtrees: encoded })}\n`;
}

/** Undefined when there is none, or something else is in its place. */
export async function readTree(path: string): Promise<MerkleTree | undefined> {
  try {
    const text = await readFile(path, { encoding: 'utf8', flag: READ_FILE });
    // Not a schema: the thread of the audit would need 5 MB more for it. What does not fit throws below, or makes another text.
    const { size, subtrees } = JSON.parse(text) as { size: number; subtrees: string[] };
    const tree = MerkleTree.restore({ size, subtrees: subtrees.map((hash) => Buffer.from(hash, 'base64')) });
    return treeText(tree) === text ? tree : undefined;
  } catch {
    return undefined;
  }
}
