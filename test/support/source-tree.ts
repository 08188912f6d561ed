import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Source {
  /** From the root, with forward slashes. */
  readonly path: string;
  /** Without comments. */
  readonly code: string;
}

export interface Import {
  /** As it is written. */
  readonly of: string;
  readonly typeOnly: boolean;
}

/** All files below a folder, from the root, with forward slashes. */
export function filesBelow(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

export function sourcesBelow(folder: string, name = /\.ts$/): Source[] {
  return filesBelow(folder)
    .filter((file) => name.test(file))
    .map((path) => ({ path, code: withoutComments(readFileSync(join(ROOT, path), 'utf8')) }));
}

/** Strings are matched first, so that `//` within one is no comment. */
export function withoutComments(code: string): string {
  return code.replace(/('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (_, text = '') => text);
}

export function importsOf(code: string): Import[] {
  const statements = code.matchAll(/^\s*(?:import|export)\s+(type\s+)?(?:[^'"();]*?\sfrom\s+)?['"]([^'"]+)['"]/gm);
  const calls = code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g);
  return [
    ...[...statements].map(([, type, of = '']) => ({ of, typeOnly: type !== undefined })),
    ...[...calls].map(([, of = '']) => ({ of, typeOnly: false })),
  ];
}

/** The file that a relative import means: `./pool.js` in `src/engine/threads/x.ts` is `src/engine/threads/pool.ts`. */
export function targetOf(path: string, of: string): string {
  const target = relative(ROOT, resolve(ROOT, dirname(path), of)).replaceAll('\\', '/');
  return target.replace(/\.js$/, '.ts');
}

/**
 * `src/engine/threads/pool.ts` is in `engine`, `src/index.ts` in `index`, `bench/micro/x.ts` in `bench`. Each source and
 * each sink is a module of its own; the contracts `src/sources/source.ts` and `src/sinks/sink.ts` are another.
 */
export function moduleOf(path: string): string {
  const [top = '', first = '', second = '', ...deeper] = path.split('/');
  if (top !== 'src') return top;
  if ((first === 'sources' || first === 'sinks') && deeper.length > 0) return `${first}/${second}`;
  return first.replace(/\.ts$/, '');
}

/** Groups of files that import each other, directly or by way of others; types count as well. */
export function cyclesIn(sources: readonly Source[]): string[][] {
  const known = new Set(sources.map(({ path }) => path));
  const edges = new Map(
    sources.map(({ path, code }) => {
      const targets = importsOf(code)
        .filter(({ of }) => of.startsWith('.'))
        .map(({ of }) => targetOf(path, of));
      return [path, targets.filter((target) => known.has(target))];
    }),
  );
  return stronglyConnected(edges).filter((group) => group.length > 1);
}

/** Tarjan, "Depth-first search and linear graph algorithms" (1972). */
function stronglyConnected(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const groups: string[][] = [];
  const visit = (node: string): number => {
    const own = index.size;
    let lowest = own;
    index.set(node, own);
    stack.push(node);
    for (const next of edges.get(node) ?? []) {
      if (!index.has(next)) lowest = Math.min(lowest, visit(next));
      else if (stack.includes(next)) lowest = Math.min(lowest, low.get(next) ?? index.get(next) ?? own);
    }
    low.set(node, lowest);
    if (lowest === own) groups.push(stack.splice(stack.indexOf(node)).sort());
    return lowest;
  };
  for (const node of edges.keys()) if (!index.has(node)) visit(node);
  return groups;
}
