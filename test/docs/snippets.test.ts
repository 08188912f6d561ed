import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesBelow, ROOT } from '../support/source-tree.js';

interface Snippet {
  readonly file: string;
  readonly line: number;
  /** What the text around the snippet takes for granted, from a comment above it that is not shown. */
  readonly assumes: string;
  readonly code: string;
}

const DOCUMENTS = [
  'README.md',
  ...['src', 'bench', 'test', 'native', '.github'].flatMap((folder) => markdownIn(folder)),
];

/** Marks a snippet that needs nothing around it, and is JavaScript as well. */
const RUN = 'run';

/** Strict, as a careful embedder compiles, with the declarations of our dependencies checked as well. */
const TSCONFIG = {
  compilerOptions: {
    target: 'ES2023',
    lib: ['ES2023', 'ESNext.Disposable'],
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
  },
};

function markdownIn(folder: string): string[] {
  return filesBelow(folder).filter((file) => file.endsWith('.md'));
}

function snippetsOf(file: string): Snippet[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const found = text.matchAll(/(?:<!-- snippet: ([\s\S]*?) -->\n)?```ts\n([\s\S]*?)```/g);
  return [...found].map(({ 1: assumes = '', 2: code = '', index }) => ({
    file,
    line: text.slice(0, index).split('\n').length,
    assumes,
    code,
  }));
}

const snippets = DOCUMENTS.flatMap(snippetsOf);

test.each(snippets.filter(({ assumes }) => assumes === RUN))('the snippet at $file:$line runs', ({ code }) => {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-snippet-'));
  try {
    const program = code.replace("'trunkline'", `'${join(ROOT, 'dist/src/index.js')}'`);
    writeFileSync(join(folder, 'snippet.mjs'), program);
    const { stderr, status } = spawnSync(process.execPath, ['snippet.mjs'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('every TypeScript snippet of the documents compiles against the package', () => {
  expect(snippets.length).toBeGreaterThan(3);
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-snippets-'));
  try {
    mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
    symlinkSync(ROOT, join(folder, 'node_modules', 'trunkline'));
    // What a reader of a snippet has installed beside the package.
    for (const name of ['@types/node', 'standardwebhooks']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
    }
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ ...TSCONFIG, include: ['*.ts'] }));
    const names = snippets.map(({ file, line, assumes, code }) => {
      const name = `${file.replaceAll(/[^\w]/g, '_')}_${line}.ts`;
      writeFileSync(join(folder, name), `${code}\n${assumes === RUN ? '' : assumes}\nexport {};\n`);
      return name;
    });
    expect(new Set(names).size).toBe(names.length);
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], {
      encoding: 'utf8',
      timeout: 120_000,
    });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);
