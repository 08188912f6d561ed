import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

it('runs the embedding example of the README, and it says what the README says it does', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const [, section = ''] = readme.split('## Embed');
  const program = /```js\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  const output = /```text\n([\s\S]*?)```/.exec(section)?.[1] ?? 'no output in the README';
  expect(program.split('\n').length).toBeLessThanOrEqual(26);
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-readme-'));
  try {
    // As after `npm install trunkline`.
    writeFileSync(join(folder, 'example.mjs'), program.replace("'trunkline'", `'${join(ROOT, 'dist/src/index.js')}'`));
    const { stdout, stderr, status } = spawnSync(process.execPath, ['example.mjs'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(stderr).toBe('');
    expect(stdout).toBe(output);
    expect(status).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
