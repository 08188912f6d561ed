import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RecordingIndex, type RecordingQuery } from '../../../src/control/recordings/recording-index.js';
import { conditionOf } from '../../../src/core/attributes/attribute-rule.js';
import { systemClock } from '../../../src/core/clock.js';
import { INDEX_FILE, readFinished } from '../../../src/sinks/recorder/folders/finished-index.js';
import { trunkline } from '../../support/cli/deploy-files.js';
import { streamInfo } from '../../support/frames.js';
import { RecorderRig, tone } from '../../support/recorder/recorder-rig.js';
import { writeRecording } from '../../support/recordings.js';

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-find-'));
});
afterEach(() => rmSync(out, { recursive: true, force: true }));

async function found(query: Partial<RecordingQuery> = {}): Promise<string[]> {
  const index = new RecordingIndex(out, systemClock, { share: 1, firstWaitMs: Number.POSITIVE_INFINITY });
  const { items } = await index.query({ limit: 500, ...query });
  index.close();
  return items.map(({ id }) => id).sort();
}

const write = (id: string, attributes: object = {}) => writeRecording(out, id, { manifest: { attributes } });
const indexed = (): string[] => [...readFinished(out).rows.keys()].sort();

it('a search adds what the index does not have, and later ones find the same by it', async () => {
  write('2026-03-01/Sales/a', { queue: 'Sales', tags: ['VIP'], direction: 'inbound' });
  write('b', { queue: 'Support', user: 'ann' });
  writeRecording(out, 'open', { unfinished: 'alive', manifest: { attributes: { queue: 'Sales' } } });
  for (let time = 0; time < 2; time++) {
    expect(await found()).toEqual(['2026-03-01/Sales/a', 'b', 'open']);
    expect(await found({ attributes: conditionOf({ queue: 'sales' }) })).toEqual(['2026-03-01/Sales/a', 'open']);
    expect(await found({ attributes: conditionOf({ tag: 'v*', direction: 'inbound' }) })).toEqual([
      '2026-03-01/Sales/a',
    ]);
    expect(await found({ attributes: conditionOf({ user: 'ANN', queue: 'Sales' }) })).toEqual([]);
    expect(indexed()).toEqual(['2026-03-01/Sales/a', 'b']);
  }
  // Of the index alone: the manifest is not read for what does not match.
  writeFileSync(join(out, 'b/session.json'), 'damaged');
  expect(await found({ attributes: conditionOf({ queue: 'Sales' }) })).toEqual(['2026-03-01/Sales/a', 'open']);
});

it('recordings that were deleted drop out, and an index that is lost, cut off or damaged is completed', async () => {
  for (const id of ['a', 'b', 'c']) write(id, { queue: id });
  await found();
  const whole = readFileSync(join(out, INDEX_FILE));
  rmSync(join(out, 'b'), { recursive: true });
  expect(await found()).toEqual(['a', 'c']);
  write('b', { queue: 'b' });
  rmSync(join(out, INDEX_FILE));
  expect(await found({ attributes: conditionOf({ queue: 'b' }) })).toEqual(['b']);
  for (let at = 0; at < whole.length; at += 41) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] as number) ^ 1;
    for (const content of [damaged, whole.subarray(0, at)]) {
      writeFileSync(join(out, INDEX_FILE), content);
      expect(await found({ attributes: conditionOf({ queue: 'b' }) }), `byte ${at}`).toEqual(['b']);
      expect(indexed()).toEqual(['a', 'b', 'c']);
    }
  }
});

it('an index that leads elsewhere is not followed', async () => {
  write('a');
  writeFileSync(join(out, INDEX_FILE), '00000000 {"id":"../../etc"}\n');
  expect(await found()).toEqual(['a']);
});

it('the recorder adds each recording when it is finished', async () => {
  const rig = new RecorderRig();
  rig.open(streamInfo({ attributes: { queue: 'Sales', tags: ['vip'] } }));
  for (let at = 0; at < 8000; at += 160) rig.frame(0, 0, at, tone(at, 160, 0));
  rig.work();
  expect(existsSync(join(rig.outDir, INDEX_FILE))).toBe(false);
  rig.closeStream(0);
  rig.work();
  const { interactionId, startedAtMs } = streamInfo();
  expect(readFinished(rig.outDir).rows.get(interactionId)).toMatchObject({
    ...{ interactionId, startedAtMs, state: 'recorded', attributes: { queue: 'Sales', tags: ['vip'] } },
  });
  rig.recorder.close();
  rig.remove();
});

it('trunkline find takes them, with the times under both names', () => {
  write('a', { queue: 'Sales', tags: ['vip'] });
  write('b', { queue: 'Support' });
  const find = (...args: string[]) => trunkline(['find', out, ...args]);
  expect(find('--queue', 'sal*', '--tag', 'vip', '--since', '2026-01-01').stdout).toMatch(/ a {2}\S+\/a\n$/);
  expect(find('--queue', 'none').stderr).toContain('No recording was found');
  const { items } = JSON.parse(find('--from', '2026-01-01', '--until', '2027-01-01', '--json').stdout) as {
    items: object[];
  };
  expect(items).toEqual([
    expect.objectContaining({ id: 'a', attributes: { queue: 'Sales', tags: ['vip'] } }),
    expect.objectContaining({ id: 'b', attributes: { queue: 'Support' } }),
  ]);
});
