import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAttributeRule } from '../../src/core/attributes/attribute-rule.js';
import type { CallAttributes } from '../../src/core/attributes/attributes.js';
import type { AudioNode } from '../../src/node/audio-node.js';
import { createNode } from '../../src/node/create-node.js';
import type { NodeOptions } from '../../src/node/options.js';
import type { Manifest } from '../../src/sinks/recorder/files/manifest.js';
import { recorder } from '../../src/sinks/recorder/recorder-sink.js';
import type { Source, SourceContext } from '../../src/sources/source.js';
import { addPacket } from '../support/engine/packets.js';
import { until } from '../support/until.js';

const PCMU = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
const CALLER = { ani: '+12025550147', dnis: '+12025550199', name: 'Tamsin Quillfeather' };

/** A source that a test pushes packets with. */
class TestSource implements Source {
  readonly name = 'test';
  context: SourceContext | undefined;
  waiting: string[] = [];

  start(context: SourceContext): Promise<void> {
    this.context = context;
    return Promise.resolve();
  }

  open(
    id: string,
    options: { attributes?: CallAttributes; continues?: number } = {},
    codec: 'pcmu' | 'pcma' = 'pcmu',
  ): number {
    return this.context?.ingest.openStream(id, { ...PCMU, codec }, options) ?? -1;
  }

  speak(stream: number, packets = 5): void {
    const { ingest, clock } = this.context as SourceContext;
    for (let i = 0; i < packets; i++) {
      const payload = new Uint8Array(160).fill(i);
      addPacket(ingest.batch, { stream, sequence: i, timestamp: 160 * i, arrivalUs: clock.nowUs(), payload });
    }
    ingest.submit();
  }

  *interactions() {
    for (const interactionId of this.waiting) yield { interactionId, state: 'subscribing' as const };
  }

  drain = () => Promise.resolve();
  close = () => Promise.resolve();
  status = () => ({});
  pause = () => false;
  resume = () => false;
}

let out: string;
let source: TestSource;
let node: AudioNode;

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-attributes-'));
  source = new TestSource();
});

afterEach(async () => {
  await node.close();
  rmSync(out, { recursive: true, force: true });
});

async function started(options: NodeOptions = {}): Promise<void> {
  const sinks = [recorder({ directory: out })];
  node = await createNode({ sources: [source], sinks, engine: { shards: 1, maxStreams: 8 }, ...options });
}

function session(id: string): Manifest {
  return JSON.parse(readFileSync(join(out, id, 'session.json'), 'utf8')) as Manifest;
}

describe.each(['off', 'require'] as const)('attributes of a call, native: %s', (native) => {
  it('are those of its source, then of the API, and change while it runs; session.json has the last', async () => {
    await started({
      attributeRules: [
        parseAttributeRule('queue=Sales:tag=money'),
        parseAttributeRule('direction=inbound:division=West'),
      ],
      engine: { shards: 1, maxStreams: 8, native },
    });
    const events: (CallAttributes | undefined)[] = [];
    node.on('streamOpened', ({ attributes }) => events.push(attributes));
    node.on('attributesChanged', ({ attributes }) => events.push(attributes));
    source.context?.attributes('call', { queue: 'Support', direction: 'inbound', identities: CALLER });
    const stream = source.open('call');
    source.speak(stream);
    await until(() => events.length === 1, 'the stream');
    expect(events).toEqual([{ queue: 'Support', direction: 'inbound', division: 'West' }]);

    const known = node.setAttributes('call', { queue: 'Sales', tags: ['vip'] });
    expect(known).toEqual({ queue: 'Sales', direction: 'inbound', division: 'West', tags: ['vip', 'money'] });
    await until(() => events.length === 2, 'the change');
    // What the source says later does not undo what was set.
    source.context?.attributes('call', { queue: 'Billing', user: 'ann', direction: 'inbound' });
    await until(() => events.length === 3, 'another change');
    expect(node.streams()[0]?.attributes).toEqual({ ...known, user: 'ann' });
    // Nothing new, no event.
    source.context?.attributes('call', { queue: 'Billing', user: 'ann', direction: 'inbound' });
    source.context?.ingest.endStream(stream, 'ended');
    await node.close();
    expect(events.slice(1)).toEqual([known, { ...known, user: 'ann' }]);
    expect(session('call').attributes).toEqual({ ...known, user: 'ann' });
  });
});

it('attributes of a call go on after a change of format, and in another stream of the same call', async () => {
  await started();
  const first = source.open('call', { attributes: { queue: 'Sales' } });
  source.speak(first);
  node.setAttributes('call', { tags: ['kept'] });
  const second = source.open('call', { continues: first }, 'pcma');
  source.speak(second);
  expect(node.streams()[0]?.attributes).toEqual({ queue: 'Sales', tags: ['kept'] });
  source.context?.ingest.endStream(second, 'interrupted');
  const third = source.open('call');
  expect(node.streams().at(-1)?.attributes).toEqual({ queue: 'Sales', tags: ['kept'] });
  source.speak(third);
  await node.close();
  expect(session('call').attributes).toEqual({ queue: 'Sales', tags: ['kept'] });
  expect(session('call-2').attributes).toEqual({ queue: 'Sales', tags: ['kept'] });
});

it('attributes may be set before the first packet, and only of calls that are captured', async () => {
  await started();
  source.waiting = ['soon'];
  node.setAttributes('soon', { queue: 'Sales', division: null });
  source.open('soon');
  expect(node.streams()[0]?.attributes).toEqual({ queue: 'Sales' });
  expect(() => node.setAttributes('other', { queue: 'Sales' })).toThrow(
    expect.objectContaining({ code: 'STREAM_UNKNOWN' }),
  );
  const wrong = [
    { queue: '' },
    { queue: 'x'.repeat(129) },
    { tags: ['a', ''] },
    { direction: 'up' },
    { queue: 'a\nb' },
  ];
  for (const change of [...wrong, { identities: CALLER }, { colour: 'red' }]) {
    expect(() => node.setAttributes('soon', change as never), JSON.stringify(change)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  }
});

it('numbers and names are kept only when the node is told to', async () => {
  await started({ keepIdentities: true });
  source.speak(source.open('call', { attributes: { queue: 'Sales', identities: CALLER } }));
  await node.close();
  expect(session('call').attributes).toEqual({ queue: 'Sales', identities: CALLER });
});
