import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Which room may import which. Every room may import `core`, and itself. A path such as `engine/ingest` allows that
 * file alone; `type:*` allows anything, for types only. What is not listed is forbidden.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  config: [],
  audio: [],
  rtp: [],
  ring: [],
  native: [
    'ring',
    'sources/genesys/protocol/media-reader',
    'sources/genesys/interaction-table',
    'shard/shard-data',
    'shard/backend',
  ],
  shard: ['ring', 'audio', 'native'],
  // What a shard is told when it starts, and where its file is; never its loop.
  engine: ['rtp', 'ring', 'shard/shard-data', 'shard/location'],
  'sources/genesys': ['engine/input/ingest', 'engine/input/packet-batch'],
  'sources/audiohook': ['engine/input/ingest', 'engine/input/packet-batch', 'audio'],
  'sinks/recorder': ['ring', 'audio', 'engine/options', 'shard/location'],
  'sinks/monitor': ['ring', 'audio'],
  'sinks/audit': ['ring', 'audio'],
  'sinks/metrics': ['ring', 'audio'],
  'sinks/events': ['type:*'],
  node: [
    'config',
    'engine',
    'sources/genesys',
    'sources/audiohook',
    'native/media-reader',
    ...['recorder', 'audit', 'monitor', 'metrics', 'events'].map((sink) => `sinks/${sink}`),
  ],
  // Both ends of a wire format are written against one description of it.
  simulator: [
    'audio',
    ...['wire', 'media', 'duration', 'signature'].map((file) => `sources/audiohook/protocol/${file}`),
  ],
  index: ['engine', 'node', 'type:*'],
  // Two tools work on files alone, without a node.
  cli: ['index', 'node', 'config', 'simulator', 'bench', 'sinks/recorder/repair', 'audio/calibrate', 'audio/wav'],
  bench: ['*'],
};

/** Files that alone may do what the rest must ask them for. */
const ONLY = {
  readTime: ['src/core/clock.ts'],
  makeThreads: [
    'src/engine/threads/pool.ts',
    'src/engine/shards.ts',
    'src/shard/entry.ts',
    'src/sinks/recorder/entry.ts',
    'src/engine/output/frame-view.ts',
  ],
  loadAddon: ['src/native/addon.ts'],
};

const TOP_LEVEL = [
  ...['.ci', '.gitignore', '.npmrc', 'LICENSE', 'README.md'],
  ...[
    'Cargo.lock',
    'Cargo.toml',
    'bench',
    'native',
    'package-lock.json',
    'package.json',
    'src',
    'test',
    'tsconfig.json',
  ],
];

interface Source {
  /** From the root, with forward slashes. */
  readonly path: string;
  /** Without comments. */
  readonly code: string;
}

interface Import {
  readonly of: string;
  readonly typeOnly: boolean;
}

function sourcesBelow(folder: string): Source[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file).replaceAll('\\', '/'))
    .sort()
    .map((path) => ({ path, code: withoutComments(readFileSync(join(root, path), 'utf8')) }));
}

/** Strings are matched first, so that `//` within one is no comment. */
function withoutComments(code: string): string {
  return code.replace(/('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (_, text = '') => text);
}

function importsOf(code: string): Import[] {
  const statements = code.matchAll(/^\s*(?:import|export)\s+(type\s+)?(?:[^'"();]*?\sfrom\s+)?['"]([^'"]+)['"]/gm);
  const calls = code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g);
  return [
    ...[...statements].map(([, type, of = '']) => ({ of, typeOnly: type !== undefined })),
    ...[...calls].map(([, of = '']) => ({ of, typeOnly: false })),
  ];
}

/** `src/engine/threads/pool.ts` is in `engine`, `src/index.ts` in `index`, `bench/micro/x.ts` in `bench`. */
function roomOf(path: string): string {
  const [top = '', first = '', second = ''] = path.split('/');
  if (top !== 'src') return top;
  // Two sources, or two sinks, know nothing of each other.
  return (first === 'sources' || first === 'sinks') && !second.endsWith('.ts')
    ? `${first}/${second}`
    : first.replace(/\.ts$/, '');
}

function isAllowed(source: Source, { of, typeOnly }: Import): boolean {
  const target = relative(root, resolve(root, dirname(source.path), of)).replaceAll('\\', '/');
  const room = roomOf(source.path);
  const targetRoom = roomOf(target.replace(/\.js$/, '.ts'));
  if (targetRoom === room || targetRoom === 'core') return true;
  const file = target.replace(/^src\//, '').replace(/\.js$/, '');
  return (MAY_IMPORT[room] ?? []).some(
    (rule) => rule === targetRoom || rule === file || rule === '*' || (rule === 'type:*' && typeOnly),
  );
}

const sources = [...sourcesBelow('src'), ...sourcesBelow('bench')];

describe('architecture', () => {
  test('the import rule knows every room', () => {
    expect([...new Set(sources.map(({ path }) => roomOf(path)))].filter((room) => !(room in MAY_IMPORT))).toEqual([]);
  });

  test('a room imports only what it may', () => {
    const trespasses = sources.flatMap((source) =>
      importsOf(source.code)
        .filter((one) => one.of.startsWith('.') && !isAllowed(source, one))
        .map((one) => `${source.path} imports ${one.of}`),
    );
    expect(trespasses).toEqual([]);
  });

  test('imports from outside are builtins by their full name, or dependencies', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    const strangers = sources.flatMap(({ path, code }) => {
      const known = Object.keys(path.startsWith('bench/') ? { ...dependencies, ...devDependencies } : dependencies);
      return importsOf(code)
        .filter(({ of }) => !of.startsWith('.') && !of.startsWith('node:'))
        .filter(({ of }) => isBuiltin(of) || !known.some((name) => of === name || of.startsWith(`${name}/`)))
        .map(({ of }) => `${path} imports ${of}`);
    });
    expect(strangers).toEqual([]);
  });

  test.each([
    [
      'reads the time',
      /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\s*\.\s*now\b|\bhrtime\b|\bTemporal\.Now\b/,
      ONLY.readTime,
    ],
    ['makes or talks to threads', /['"](?:node:)?worker_threads['"]|['"]piscina['"]/, ONLY.makeThreads],
    ['loads a native module', /\.node['"`]|\bdlopen\b/, ONLY.loadAddon],
  ])('only one place %s', (_, pattern, places) => {
    const offenders = sources.filter(({ path, code }) => pattern.test(code) && !places.includes(path));
    expect(offenders.map(({ path }) => path)).toEqual([]);
  });

  test('the top level holds what it should and nothing else', () => {
    const ignored = readFileSync(join(root, '.gitignore'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map(
        (line) =>
          new RegExp(
            `^${line
              .replace(/^\/|\/$/g, '')
              .replaceAll('.', '\\.')
              .replaceAll('*', '.*')}$`,
          ),
      );
    const found = readdirSync(root).filter((name) => name !== '.git' && !ignored.some((one) => one.test(name)));
    expect(found.filter((name) => !TOP_LEVEL.includes(name))).toEqual([]);
  });
});

describe('the reading of sources behind these rules', () => {
  test('finds every form of import, and none in comments', () => {
    const code = withoutComments(`
      import a from './a.js'; // import z from './z.js'
      import {
        b,
        type B,
      } from "./b.js";
      import type { C } from './c.js';
      export * from './d.js';
      export { e } from './e.js';
      import './f.js';
      /* import y from './y.js'; */
      const url = 'http://x'; const g = await import('./g.js');
    `);
    expect(importsOf(code).map(({ of, typeOnly }) => `${of}${typeOnly ? ' type' : ''}`)).toEqual([
      './a.js',
      './b.js',
      './c.js type',
      './d.js',
      './e.js',
      './f.js',
      './g.js',
    ]);
  });

  test.each([
    ['src/audio/x.ts', '../ring/ring.js', false],
    ['src/engine/x.ts', '../shard/shard-loop.js', false],
    ['src/engine/x.ts', '../shard/location.js', true],
    ['src/sources/genesys/x.ts', '../../engine/engine.js', false],
    ['src/cli/x.ts', '../index.js', true],
    ['src/index.ts', './sinks/recorder/repair.js', false],
    ['src/audio/x.ts', '../core/clock.js', true],
  ])('%s importing %s: allowed is %s', (path, of, allowed) => {
    expect(isAllowed({ path, code: '' }, { of, typeOnly: false })).toBe(allowed);
  });
});
