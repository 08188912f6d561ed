import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/core/errors.js';
import { ROOT, sourcesBelow } from '../support/source-tree.js';

describe('ERRORS.md', () => {
  const page = readFileSync(join(ROOT, 'src/core/ERRORS.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (.+) \| (.+) \|$/gm)];

  it('has one row for every code, in their order', () => {
    expect(rows.map(([, code]) => code)).toEqual([...ERROR_CODES]);
  });

  it('says of each what happened and what to do, in sentences', () => {
    for (const [, code, happened, advice] of rows) {
      expect(happened, code).toMatch(/^.{10,}\.$/);
      expect(advice, code).toMatch(/^.{10,}\.$/);
    }
  });
});

it('every code is thrown somewhere', () => {
  const code = sourcesBelow('src')
    .filter(({ path }) => path !== 'src/core/errors.ts')
    .map((source) => source.code)
    .join('\n');
  expect(ERROR_CODES.filter((one) => !code.includes(`'${one}'`))).toEqual([]);
});
