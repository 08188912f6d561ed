import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { oldWordsIn } from './support/old-words.js';
import {
  cyclesIn,
  filesBelow,
  type Import,
  importsOf,
  moduleOf,
  ROOT,
  type Source,
  sourcesBelow,
  targetOf,
  withoutComments,
} from './support/source-tree.js';

/**
 * Which module may import which. Every module may import `core`, and itself. A path such as `engine/input/ingest`
 * allows that file alone; `type:` before either allows types only; `*` means every module. What is not listed is
 * forbidden, and what is listed must be used.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  config: [],
  evidence: [],
  audio: [],
  rtp: [],
  ring: [],
  native: ['ring'],
  shard: ['ring', 'audio', 'native/addon'],
  // What a shard is told when it starts, and where its file is; never its loop.
  engine: [
    ...['config/schema', 'config/options', 'rtp', 'ring', 'shard/shard-data', 'shard/location'],
    'native/regular-packets',
    // The model of the neural silence detector.
    'audio/neural/silero-weights',
  ],
  // The contracts of sources and sinks.
  sources: ['type:engine/input/ingest'],
  sinks: [],
  'sources/genesys': [
    ...['config/genesys-settings', 'config/options', 'type:sources', 'type:engine/input/ingest'],
    ...['engine/input/packet-batch', 'native/socket-reader'],
  ],
  'sources/audiohook': ['config/options', 'type:sources', 'engine/input/ingest', 'native/deinterleaver'],
  'sinks/recorder': [
    ...[
      'config/options',
      'type:sinks',
      'ring',
      'audio/wav',
      'shard/location',
      'shard/shard-data',
      'native/flac-encoder',
      'evidence/recording-entry',
    ],
    ...['bit-writer', 'frame-encoder', 'metadata'].map((file) => `audio/flac/${file}`),
    ...['opus', 'page'].map((file) => `audio/ogg/${file}`),
    ...['byte-source', 'channels', 'pcm-reader', 'read-pcm'].map((file) => `audio/files/${file}`),
    'native/chunk-sealer',
    ...['type:engine/options', 'type:engine/threads/memory'],
  ],
  // What is done with finished recordings, which it finds by the recorder's index.
  archive: [
    ...['config/options', 'type:sinks', 'shard/location', 'evidence/log-files', 'evidence/recording-entry'],
    ...['type:evidence/line-comparison', 'evidence/verify-log'],
    ...['disk-fault', 'folder', 'manifest', 'manifest-file', 'unfinished'].map(
      (file) => `sinks/recorder/files/${file}`,
    ),
    'sinks/recorder/folders/recording-folders',
  ],
  'sinks/monitor': [],
  'sinks/audit': [
    ...['config/options', 'type:sinks', 'shard/location'],
    ...[
      'checkpoint',
      'leaf-file',
      'log-files',
      'merkle-tree',
      'read-checkpoint',
      'recording-entry',
      'signed-note',
      'signing-key',
      'tree-file',
    ].map((file) => `evidence/${file}`),
  ],
  'sinks/metrics': [],
  'sinks/events': ['type:sinks'],
  node: [
    'config',
    'native/addon',
    'engine/engine',
    'engine/output/frame-queue',
    'engine/output/live-utterances',
    ...['type:engine/options', 'type:engine/input/ingest', 'type:engine/input/packet-batch'],
    ...['type:engine/threads/pool', 'type:engine/engine-state'],
    'type:sources',
    'type:sinks',
    'archive/archive',
    'type:archive',
    'sources/genesys',
    'sources/audiohook',
    ...['recorder', 'audit', 'monitor', 'metrics', 'events'].map((sink) => `sinks/${sink}`),
  ],
  // A service of a node, which it knows by the contract alone; recordings are read as files.
  control: [
    ...[
      'config/options',
      'config/package-version',
      'type:node/service',
      'node/parts/node-parts',
      'type:engine/engine-state',
      'type:sources',
      'audio/wav',
      'audio/resample',
      'shard/location',
    ],
    ...['type:sinks', 'type:sinks/events', 'type:sinks/monitor'],
    // What the metrics are of.
    ...['node/parts/node-parts', 'type:node/node-stats', 'type:engine', 'sinks/metrics'],
    ...['type:sources/genesys', 'type:sources/audiohook'],
    ...['change-attributes', 'manifest', 'manifest-file', 'folder', 'recorded-audio', 'writer'].map(
      (file) => `sinks/recorder/files/${file}`,
    ),
    'type:audio/files/pcm-reader',
    'archive/retention/legal-holds',
    ...['finished-index', 'recording-folders'].map((file) => `sinks/recorder/folders/${file}`),
  ],
  // Assignment of calls to nodes, over the contract of a key-value store.
  cluster: [],
  webhooks: ['config/options', 'type:node/service', 'type:sinks/events', 'sinks/recorder/files/writer'],
  // Both ends of a wire format are written against one description of it.
  simulator: ['audio', 'sources/audiohook/protocol/duration'],
  // Plays material through the parts of a node, one by one.
  evaluation: [
    ...[
      'engine/input/packet-input',
      'engine/options',
      'engine/streams',
      'engine/threads/memory',
      'ring',
      'shard/js-backend',
      'shard/shard-loop',
      'sinks/recorder/recorder',
      'sinks/recorder/recorder-memory',
      'sinks/recorder/files/manifest',
      'sinks/recorder/files/recorded-audio',
    ],
    ...['audio', 'engine/audio-engine', 'sinks/recorder/spans'],
  ],
  index: [
    ...[
      'engine',
      'node',
      'control/control',
      'archive/s3-archive',
      'webhooks/webhooks',
      'sources/genesys/genesys-subscription',
      'sources/audiohook/audiohook',
    ],
    ...['sinks/recorder/recorder-sink', 'sinks/audit/audit-sink', 'type:*'],
  ],
  examples: ['index'],
  // Three tools work on files alone, without a node.
  cli: [
    ...[
      'archive/retention/legal-holds',
      'archive/retention/retention',
      'index',
      'node',
      'config',
      'simulator',
      'evaluation',
      'bench',
      'sinks/recorder/files/recorded-audio',
      'sinks/recorder/repair',
      'archive/verification/verify-recordings',
      'sinks/recorder/encryption/age-keys',
      'sinks/recorder/encryption/open-recording',
      'sinks/audit/audit-log',
      'evidence',
    ],
    ...['sinks/metrics/metrics', 'audio/calibrate', 'audio/wav', 'control/access/roles', 'control/access/token-file'],
    ...['control/recordings/recording', 'control/recordings/recording-index'],
    ...['webhooks/short-lived', 'webhooks/queue/dead-letters'],
    ...['archive/s3-archive', 'archive/upload/probe-bucket'],
    // The doctor does once what a node would do at its start.
    ...['native/addon', 'sources/genesys/rest/platform', 'sources/genesys/rest/region'],
    ...['sources/genesys/rest/request-limits', 'sources/genesys/rest/transport'],
  ],
  bench: ['*'],
};

/** From the bottom up: a module imports only what is below it. */
const LAYERS: readonly (readonly string[])[] = [
  ['core'],
  ['config'],
  ['evidence'],
  ['audio', 'rtp'],
  ['ring'],
  ['native'],
  ['shard'],
  ['engine'],
  ['sources', 'sinks'],
  [
    ...['sources/genesys', 'sources/audiohook'],
    ...['recorder', 'audit', 'monitor', 'metrics', 'events'].map((sink) => `sinks/${sink}`),
  ],
  ['archive'],
  ['node'],
  ['control', 'webhooks', 'cluster'],
  ['simulator', 'evaluation'],
  ['index'],
  ['examples'],
  ['bench'],
  ['cli'],
];

/** Files that alone may do what the rest must ask them for. Each of them does it. */
const ONLY = {
  readTime: ['src/core/clock.ts'],
  makeThreads: [
    ...['src/control/recordings/entry.ts', 'src/control/recordings/recordings.ts'],
    ...['src/sinks/audit/checkpoint-thread.ts', 'src/sinks/audit/entry.ts'],
    ...['convert', 'entry'].map((file) => `src/sinks/recorder/conversion/${file}.ts`),
    ...['src/archive/archive.ts', 'src/archive/entry.ts'],
    ...['src/engine/output/frame-view.ts', 'src/engine/threads/pool.ts'],
  ],
  loadAddon: ['src/native/addon.ts'],
};

const MAX_LINES = 400;
const MAX_FILES = 16;

const TOP_LEVEL = [
  ...['.ci', '.github', '.gitignore', '.npmrc', 'LICENSE', 'README.md'],
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

function isAllowed(source: Source, { of, typeOnly }: Import): boolean {
  const target = targetOf(source.path, of);
  const from = moduleOf(source.path);
  const to = moduleOf(target);
  if (to === from || to === 'core') return true;
  return (MAY_IMPORT[from] ?? []).some((permission) => covers(permission, target, typeOnly));
}

/** Whether a permission allows the import of a file. */
function covers(permission: string, target: string, typeOnly: boolean): boolean {
  const allowed = permission.replace(/^type:/, '');
  if (allowed !== permission && !typeOnly) return false;
  return allowed === '*' || allowed === moduleOf(target) || `src/${allowed}.ts` === target;
}

function layerOf(name: string): number {
  return LAYERS.findIndex((layer) => layer.includes(name));
}

/** The web page runs in browsers: it is built apart, and has rules of its own below. */
const CONSOLE = 'src/control/console/';
const isOfConsole = ({ path }: Source) => path.startsWith(CONSOLE);

const sources = [...sourcesBelow('src'), ...sourcesBelow('bench')].filter((source) => !isOfConsole(source));
const page = sourcesBelow(CONSOLE, /\.tsx?$/);
const modules = [...new Set(sources.map(({ path }) => moduleOf(path)))];
const permissions = Object.entries(MAY_IMPORT).flatMap(([from, list]) => list.map((one) => [from, one] as const));

describe('imports', () => {
  test('the rule and the layers name every module, and none that is not there', () => {
    expect(Object.keys(MAY_IMPORT).toSorted()).toEqual([...new Set([...modules, 'core'])].toSorted());
    expect(modules.filter((name) => layerOf(name) < 0)).toEqual([]);
  });

  test('a module imports only what it may', () => {
    const forbidden = sources.flatMap((source) =>
      importsOf(source.code)
        .filter((one) => one.of.startsWith('.') && !isAllowed(source, one))
        .map((one) => `${source.path} imports ${one.of}`),
    );
    expect(forbidden).toEqual([]);
  });

  test('every permission is used', () => {
    const used = new Set(
      sources.flatMap(({ path, code }) => {
        const from = moduleOf(path);
        return importsOf(code)
          .filter(({ of }) => of.startsWith('.') && moduleOf(targetOf(path, of)) !== from)
          .flatMap(({ of, typeOnly }) =>
            (MAY_IMPORT[from] ?? [])
              .filter((permission) => covers(permission, targetOf(path, of), typeOnly))
              .map((permission) => `${from}: ${permission}`),
          );
      }),
    );
    expect(permissions.map(([from, one]) => `${from}: ${one}`).filter((one) => !used.has(one))).toEqual([]);
  });

  test('permissions point downwards, and never from one source or sink to another', () => {
    const upward = permissions
      .filter(([, one]) => !one.endsWith('*'))
      .filter(([from, one]) => {
        const path = one.replace(/^type:/, '');
        const to = layerOf(path) >= 0 ? path : moduleOf(`src/${path}.ts`);
        return layerOf(to) >= layerOf(from);
      })
      .map(([from, one]) => `${from}: ${one}`);
    expect(upward).toEqual([]);
  });

  test('no files import each other in a circle', () => {
    expect(cyclesIn(sources)).toEqual([]);
  });

  test('imports from outside are builtins by their full name, or dependencies', () => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    ) as Record<string, Record<string, string> | undefined>;
    const installed = { ...dependencies, ...optionalDependencies };
    const unknown = sources.flatMap(({ path, code }) => {
      const known = Object.keys(path.startsWith('bench/') ? { ...installed, ...devDependencies } : installed);
      return (
        importsOf(code)
          // `#` names are those of package.json, for types beside the addon.
          .filter(({ of }) => !of.startsWith('.') && !of.startsWith('#') && !of.startsWith('node:'))
          .filter(({ of }) => isBuiltin(of) || !known.some((name) => of === name || of.startsWith(`${name}/`)))
          .map(({ of }) => `${path} imports ${of}`)
      );
    });
    expect(unknown).toEqual([]);
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
    const found = sources.filter(({ code }) => pattern.test(code)).map(({ path }) => path);
    expect(found.toSorted()).toEqual(places.toSorted());
  });
});

describe('the console', () => {
  /** What runs in the browser beside its own files. */
  const PACKAGES = ['preact', 'preact/hooks', 'uplot'];
  const isStyle = (of: string) => of.endsWith('.css');

  test('imports its own files and the few packages that are built into it', () => {
    expect(page.length).toBeGreaterThan(20);
    const forbidden = page.flatMap(({ path, code }) =>
      importsOf(code)
        .filter(({ of }) => !isStyle(of) && !PACKAGES.includes(of))
        .filter(({ of }) => !(of.startsWith('.') && targetOf(path, of).startsWith(CONSOLE)))
        .map(({ of }) => `${path} imports ${of}`),
    );
    expect(forbidden).toEqual([]);
  });

  test('is imported by nothing, and has no circles', () => {
    const into = sources.filter(({ path, code }) =>
      importsOf(code).some(({ of }) => targetOf(path, of).startsWith(CONSOLE)),
    );
    expect(into.map(({ path }) => path)).toEqual([]);
    expect(cyclesIn(page.map(({ path, code }) => ({ path: path.replace(/x$/, ''), code })))).toEqual([]);
  });

  test('makes no HTML of text, runs no text as code and names no other host', () => {
    const pattern = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|https?:\/\/|srcdoc/;
    const files = filesBelow(CONSOLE).filter((path) => /\.(?:tsx?|html|css)$/.test(path));
    const found = files.filter((path) => pattern.test(withoutComments(readFileSync(join(ROOT, path), 'utf8'))));
    expect(found).toEqual([]);
  });
});

describe('the tree', () => {
  test(`no file of src has more than ${MAX_LINES} lines`, () => {
    const long = [...sources, ...page]
      .filter(({ path }) => path.startsWith('src/'))
      .map(({ path }) => ({ path, lines: readFileSync(join(ROOT, path), 'utf8').split('\n').length - 1 }))
      .filter(({ lines }) => lines > MAX_LINES);
    expect(long).toEqual([]);
  });

  test(`no folder has more than ${MAX_FILES} files`, () => {
    const files = new Map<string, number>();
    for (const path of ['src', 'bench', 'test', 'native/src', 'native/dsp/src'].flatMap(filesBelow)) {
      const folder = path.slice(0, path.lastIndexOf('/'));
      files.set(folder, (files.get(folder) ?? 0) + 1);
    }
    const crowded = [...files].filter(([, count]) => count > MAX_FILES);
    expect(crowded).toEqual([]);
  });

  test('no text has a word that was given up', () => {
    const ours = ['test/architecture.test.ts', 'test/support/old-words.ts'];
    const texts = [...['src', 'native', 'bench', 'test'].flatMap(filesBelow), 'README.md'].filter(
      (path) =>
        /\.(?:tsx?|rs|mjs|sh|md|json|toml|css|html)$/.test(path) &&
        !/(?:^|\/)target\//.test(path) &&
        !ours.includes(path),
    );
    const found = texts.flatMap((path) =>
      oldWordsIn(readFileSync(join(ROOT, path), 'utf8')).map(({ line, word }) => `${path}:${line} ${word}`),
    );
    expect(found).toEqual([]);
  });

  test('the top level holds what it should and nothing else', () => {
    const ignored = readFileSync(join(ROOT, '.gitignore'), 'utf8')
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
    const found = readdirSync(ROOT).filter((name) => name !== '.git' && !ignored.some((one) => one.test(name)));
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
    ['src/audio/x.ts', '../ring/ring.js', false, false],
    ['src/engine/x.ts', '../shard/shard-loop.js', false, false],
    ['src/engine/x.ts', '../shard/location.js', false, true],
    ['src/engine/input/x.ts', '../output/delivery.js', false, true],
    ['src/sources/genesys/x.ts', '../../engine/engine.js', false, false],
    ['src/sources/genesys/x.ts', '../audiohook/source.js', false, false],
    ['src/cli/x.ts', '../config/schema.js', false, true],
    ['src/index.ts', './sinks/recorder/repair.js', false, false],
    ['src/index.ts', './sinks/recorder/repair.js', true, true],
    ['src/audio/x.ts', '../core/clock.js', false, true],
  ])('%s importing %s, types only: %s, is allowed: %s', (path, of, typeOnly, allowed) => {
    expect(isAllowed({ path, code: '' }, { of, typeOnly })).toBe(allowed);
  });

  test('finds circles, also through types and through several files', () => {
    const source = (path: string, code: string): Source => ({ path, code });
    const cycles = cyclesIn([
      source('src/a.ts', "import './b.js';"),
      source('src/b.ts', "import type { C } from './c.js';"),
      source('src/c.ts', "const a = await import('./a.js');"),
      source('src/d.ts', "import './a.js';"),
    ]);
    expect(cycles).toEqual([['src/a.ts', 'src/b.ts', 'src/c.ts']]);
  });

  test.each([
    ['the hole in aHole, HOLES and holeStart', ['hole']],
    ['holes', ['holes']],
    ['firstHoleAt', ['Hole']],
    ['the whole of it', []],
    ['forecasts are broadcast', []],
    ['GET /books and --books', []],
    ['the books', ['books']],
    ['It lets go of it', ['lets go']],
  ])('old words of "%s"', (text, words) => {
    expect(oldWordsIn(text).map(({ word }) => word)).toEqual(words);
  });
});
