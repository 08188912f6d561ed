import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createNode } from '../../../src/node/create-node.js';
import { audit } from '../../../src/sinks/audit/audit-sink.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import { trunkline } from '../../support/cli/deploy-files.js';
import { writeRecording } from '../../support/recordings.js';
import { until } from '../../support/until.js';

let folder: string;
let out: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-kept-'));
  out = join(folder, 'capture');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('a node deletes what is due at its start, and holds and deletions are in an audit that verifies', async () => {
  const manifest = (tags: string[]) => ({ startedAt: '2020-01-01T00:00:00.000Z', attributes: { tags } });
  writeRecording(out, 'old', { manifest: manifest([]) });
  writeRecording(out, 'claim', { manifest: manifest(['claim']) });
  const today = { startedAt: new Date(Date.now() - 60_000).toISOString() };
  writeRecording(out, 'new', { manifest: today });
  const held = trunkline(['hold', 'add', '--out', out, '--tag', 'claim', '--reason', 'case 4711']);
  expect([held.status, held.stderr]).toEqual([0, expect.stringContaining('is held from now on')]);
  expect(trunkline(['hold', 'list', '--out', out]).stdout).toMatch(
    /^tag {10}claim {2}since \S+ by \S+ {2}case 4711\n$/,
  );
  const dry = trunkline(['retention', '--dry-run', '--out', out, '--keep-days', '30', '--kept']);
  expect(dry.stdout.split('\n').sort()).toEqual([
    '',
    'delete  old  older than 30 days (keepDays)',
    'keep    claim  under legal hold by tag claim',
    'keep    new  within 30 days (keepDays)',
  ]);
  expect(trunkline(['retention', '--out', out]).status).toBe(2);

  const signingKey = join(folder, 'key');
  const sinks = [recorder({ directory: out, keepDays: 30 }), audit({ directory: out, signingKey })];
  await using node = await createNode({ sinks, engine: { shards: 1, maxStreams: 4 } });
  const entries = () => readFileSync(join(out, 'audit.jsonl'), 'utf8');
  await until(() => !existsSync(join(out, 'old')) && entries().includes('legal_hold_added'), 'the deletion');
  await node.close();
  expect(
    readdirSync(out)
      .filter((name) => !name.includes('.'))
      .sort(),
  ).toEqual(['claim', 'new']);
  expect(entries()).toMatch(/"action":"recording_deleted","interactionId":"old"[^\n]*"reason":"retention"/);
  const verified = trunkline(['verify', out], { TRUNKLINE_AUDIT_SIGNING_KEY: signingKey });
  expect([verified.status, verified.stderr]).toEqual([0, expect.any(String)]);
});
