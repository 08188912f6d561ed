import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { TrunklineProcess } from '../support/cli/trunkline-process.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-config-command-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function config(...args: readonly string[]): Promise<TrunklineProcess> {
  const child = new TrunklineProcess(['config', ...args]);
  await child.exited();
  return child;
}

describe('trunkline config', () => {
  test('prints the effective values, where each came from, and no secret', async () => {
    const file = join(folder, 'node.json');
    writeFileSync(file, JSON.stringify({ engine: { shards: 2 }, audit: { key: 'correct horse battery' } }));
    const { stdout } = await config('--config', file, '--out', 'there');
    expect(stdout).toMatch(new RegExp(`^ {2}shards +2 +"engine.shards" in ${file}$`, 'm'));
    expect(stdout).toMatch(/^ {2}out +there +--out$/m);
    expect(stdout).toMatch(/^ {2}clientSecret +\(set\) +GENESYS_CLIENT_SECRET in the environment$/m);
    expect(stdout).toMatch(/^ {2}key +\(set\) +"audit.key" in /m);
    expect(stdout).not.toContain('correct horse');
  });

  test('prints the same as JSON', async () => {
    const child = await config('--json', '--shards', '3');
    expect(child.lastJson()).toMatchObject({
      engine: { shards: { value: 3, origin: '--shards' }, playoutDelayMs: { value: 50, origin: 'default' } },
      audiohook: { clientSecret: { value: '(set)' } },
    });
  });

  test('prints a JSON Schema that describes the file', async () => {
    const { stdout } = await config('--schema');
    expect(JSON.parse(stdout)).toMatchObject({
      type: 'object',
      additionalProperties: false,
      properties: { engine: { properties: { maxPlayoutDelayMs: { type: 'integer', maximum: 2000 } } } },
    });
  });

  test('refuses what the commands would refuse', async () => {
    const child = await config('--shards', 'many');
    expect(await child.exited()).toBe(2);
    expect(child.stderr).toBe('trunkline: --shards must be a whole number from 1 to 32, not "many".\n');
  });
});
