import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { verifyFolder } from '../../src/archive/verification/verify-recordings.js';
import { createNode } from '../../src/node/create-node.js';
import { audit } from '../../src/sinks/audit/audit-sink.js';
import { changeAttributes } from '../../src/sinks/recorder/files/change-attributes.js';
import { readManifest } from '../../src/sinks/recorder/files/manifest-file.js';
import { readFinished } from '../../src/sinks/recorder/folders/finished-index.js';
import { recorder } from '../../src/sinks/recorder/recorder-sink.js';
import { recordingEntries } from '../support/archive/archive-rig.js';
import { startControlNode } from '../support/control/control-node.js';
import { TestCalls } from '../support/control/test-calls.js';
import { until } from '../support/until.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'trunkline-changed-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
});

const TEMPLATE = '{date}/{queue}/{interactionId}';

function parts(idKey?: string) {
  return [
    recorder({ directory, directoryTemplate: TEMPLATE }),
    audit({ directory, ...(idKey === undefined ? {} : { idKey }) }),
  ];
}

/** A node that records a call of two queues' attributes, and has finished it. */
async function nodeWithCall(idKey?: string) {
  const calls = new TestCalls();
  const started = await startControlNode({ recordings: directory }, { sources: [calls], sinks: parts(idKey) });
  const { node } = started;
  calls.open('call');
  calls.push('call', 50);
  node.setAttributes('call', { queue: 'Sales', tags: ['new'] });
  calls.finish('call');
  await until(() => recordingEntries(directory).length > 0, 'the digest of the call');
  // The recorder adds its row after that of the index by which the archive finds it.
  await until(() => readFinished(directory).rows.size > 0, 'the row of the recording');
  const id = readFinished(directory).rows.keys().next().value ?? '';
  const change = (body: object) =>
    started.ask(`/api/v1/recordings/${encodeURIComponent(id)}/attributes`, { method: 'PATCH', body });
  return { ...started, id, change };
}

const entriesOf = () => recordingEntries(directory).length;

describe('attributes of a finished recording', () => {
  it.each([
    ['an audit that shows ids', undefined],
    ['an audit that hides them', 'a key of sixteen characters'],
  ])('are changed by the API, with a new digest: %s', async (_, idKey) => {
    const { node, id, change, ask, audited } = await nodeWithCall(idKey);
    const told: unknown[] = [];
    node.on('recordingAttributesChanged', (event) => told.push(event));
    const changed = await change({ queue: 'Service', tags: ['vip', 'legal'] });
    expect(changed).toMatchObject({
      status: 200,
      json: { id, attributes: { queue: 'Service', tags: ['vip', 'legal'] } },
    });
    expect(told).toEqual([
      { interactionId: 'call', folder: id, attributes: { queue: 'Service', tags: ['vip', 'legal'] } },
    ]);
    expect(readManifest(join(directory, id))).toMatchObject({
      attributes: { queue: 'Service', tags: ['vip', 'legal'] },
      firstAttributes: { queue: 'Sales', tags: ['new'] },
    });
    expect(readFinished(directory).rows.get(id)?.attributes).toMatchObject({ queue: 'Service' });
    await until(() => entriesOf() > 1, 'the digest of the change');
    expect((await change({ tags: null, queue: 'Service' })).json).toMatchObject({ attributes: { queue: 'Service' } });
    await until(() => entriesOf() > 2, 'the digest of the second change');
    // The same again is no change.
    expect((await change({ queue: 'Service' })).status).toBe(200);
    expect(told).toHaveLength(2);
    expect(readManifest(join(directory, id))?.firstAttributes).toEqual({ queue: 'Sales', tags: ['new'] });
    const found = (await ask('/api/v1/recordings?queue=Service')).json;
    expect(found).toMatchObject({ total: 1, items: [{ id, attributes: { queue: 'Service' } }] });
    expect(audited.filter(({ action }) => action === 'control_attributes')).toHaveLength(3);
    await node.close();
    expect(readdirSync(join(directory, '.unfinished')).filter((name) => name.endsWith('.new'))).toEqual([]);
    const { faults, recordings } = await verifyFolder(directory);
    expect(faults).toEqual([]);
    expect(recordings).toMatchObject({ verified: 1, waiting: 0 });
  });

  it('are refused where they cannot be right, or there is no such recording', async () => {
    const { change, ask, id } = await nodeWithCall();
    const before = readFileSync(join(directory, id, 'session.json'), 'utf8');
    for (const body of [
      { queue: '' },
      { queue: 'x'.repeat(129) },
      { queue: 'a\u0000b' },
      { tags: Array.from({ length: 17 }, (_, n) => `tag-${n}`) },
      { tags: ['x'.repeat(65)] },
      { identities: { ani: '+49301234567' } },
      { interactionId: 'other' },
      { direction: 'sideways' },
    ]) {
      expect((await change(body)).status, JSON.stringify(body).slice(0, 60)).toBe(400);
    }
    // A queue may be called that: it is no path, for the folder does not move.
    expect((await change({ queue: '../../etc' })).status).toBe(200);
    for (const other of ['..', '../call', 'nobody', `${id}/..`, '.unfinished']) {
      const path = `/api/v1/recordings/${encodeURIComponent(other)}/attributes`;
      expect((await ask(path, { method: 'PATCH', body: { queue: 'Q' } })).status, other).toBe(404);
    }
    expect(readFileSync(join(directory, id, 'session.json'), 'utf8')).not.toBe(before);
  });

  it('have their digest after a kill between the change and the entry', async () => {
    const { node, id } = await nodeWithCall();
    await node.close();
    // The thread of a process that was killed then: nobody tells the archive.
    expect(changeAttributes(directory, id, { queue: 'Service' }, true, 1)?.isChanged).toBe(true);
    const copy = mkdtempSync(join(tmpdir(), 'trunkline-killed-'));
    onTestFinished(() => rmSync(copy, { recursive: true, force: true }));
    cpSync(directory, copy, { recursive: true });
    expect((await verifyFolder(copy)).faults).toHaveLength(1);
    const next = await createNode({ sinks: parts() });
    await until(() => entriesOf() > 1, 'the digest at the next start');
    await next.close();
    expect((await verifyFolder(directory)).faults).toEqual([]);
  });
});
