import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import { runProgram } from '../../src/cli/program.js';
import { writeRecording } from '../support/recordings.js';
import { speechWithPauses } from '../support/speech.js';

const out = mkdtempSync(join(tmpdir(), 'trunkline-nested-'));
afterAll(() => rmSync(out, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

const CALL = '2020-03-01/Sales/call';
const KILLED = '2020-03-01/Sales/inbound/killed';
const manifest = { startedAt: '2020-03-01T10:00:00.000Z', attributes: { queue: 'Sales' } };
const pcm = speechWithPauses([1000, 1500, 1000]);
writeRecording(out, CALL, { pcm, manifest });
writeRecording(out, KILLED, { pcm, manifest, unfinished: 'dead' });
const speech = join(out, 'speech.json');
writeFileSync(speech, '[]');

const FRAMES = Math.floor(pcm.length / 160);
// In this order: what was repaired is due as well.
it.each([
  ['eval', ['silence', '--wav', join(out, CALL), '--speech', speech, '--mode', 'fixed'], { frames: FRAMES }],
  ['calibrate', [join(out, CALL)], { channels: [{ seconds: pcm.length / 8000 }] }],
  ['repair', [out], { recordings: 2, repaired: [KILLED], failed: [] }],
  ['find', [out, '--queue', 'sales', '--state', 'recorded'], { total: 2 }],
  ['retention', ['--dry-run', '--out', out, '--keep-days', '30'], { due: 2, items: [{ due: true }, { due: true }] }],
])('trunkline %s takes recordings in folders of a layout', async (command, args, expected) => {
  let stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const complaints: string[] = [];
  expect(await runProgram([command, ...args, '--json'], (text) => complaints.push(text))).toBe(0);
  expect(complaints).toEqual([]);
  expect(JSON.parse(stdout)).toMatchObject(expected);
});
