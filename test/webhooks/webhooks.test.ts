import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WAV_HEADER_BYTES } from '../../src/audio/wav.js';
import { type AudioNode, engineOf } from '../../src/node/audio-node.js';
import { type CreateNodeOptions, createNode } from '../../src/node/create-node.js';
import { audit } from '../../src/sinks/audit/audit-sink.js';
import { readCheckpoint } from '../../src/sinks/recorder/files/manifest-file.js';
import { recorder } from '../../src/sinks/recorder/recorder-sink.js';
import type { Sink } from '../../src/sinks/sink.js';
import type { Source, SourceContext } from '../../src/sources/source.js';
import type { WebhookOptions } from '../../src/webhooks/options.js';
import { webhooks } from '../../src/webhooks/webhooks.js';
import { addPacket } from '../support/engine/packets.js';
import { mountTiny, unmount } from '../support/recorder/tiny-disk.js';
import { until } from '../support/until.js';
import { Receiver, SECRET } from '../support/webhooks/receiver.js';

const ENGINE = { maxStreams: 8, shards: 1, playoutDelayMs: 0, maxPlayoutDelayMs: 0 } as const;
const FORMAT = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;

let out: string;
let receiver: Receiver;
const nodes: AudioNode[] = [];
beforeEach(async () => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-webhooks-'));
  receiver = await new Receiver().start();
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
  await receiver.stop();
  rmSync(out, { recursive: true, force: true });
});

async function started(sinks: readonly Sink[], options: Partial<WebhookOptions & CreateNodeOptions<Source[]>> = {}) {
  const { sources = [], ...webhook } = options;
  const service = webhooks({
    url: receiver.url,
    secret: SECRET,
    directory: join(out, 'hooks'),
    ...{ leastRetryMs: 5, mostRetryMs: 20 },
    ...webhook,
  });
  const node = await createNode({ engine: ENGINE, sources, sinks, services: [service] });
  node.on('error', () => {});
  nodes.push(node);
  return { node, engine: engineOf(node), service };
}

function push(engine: ReturnType<typeof engineOf>, stream: number, packets: number): void {
  for (let n = 0; n < packets; n++) {
    addPacket(engine.batch, { stream, sequence: n, timestamp: n * 160, payload: new Uint8Array(160).fill(0x90) });
  }
  engine.submit();
}

function of(interactionId: string): [type: string, data: Record<string, unknown>][] {
  const own = receiver.received.filter(({ data }) => data['interactionId'] === interactionId);
  return own.map(({ type, data }) => [type, data]);
}

describe('the notifications of a node', () => {
  it('tell of each call that it started and what became of it, and of the node that it takes no new ones', async () => {
    const { node, engine } = await started([recorder({ directory: out })]);
    const spoken = engine.openStream('spoken', FORMAT);
    const silent = engine.openStream('silent', FORMAT);
    push(engine, spoken, 50);
    engine.endStream(silent, 'mediaNotAvailable');
    engine.endStream(spoken, 'ended');
    await until(() => receiver.received.length === 4, 'both calls from begin to end');
    expect(of('spoken')).toMatchObject([
      ['call.started', { codec: 'pcmu', sampleRate: 8000, channels: 1 }],
      [
        'recording.finished',
        {
          outcome: 'recorded',
          endReason: 'ended',
          packetsReceived: 50,
          durationMs: 1000,
          folder: 'spoken',
          file: 'audio.wav',
        },
      ],
    ]);
    expect(of('silent')).toMatchObject([
      ['call.started', {}],
      ['recording.empty', { outcome: 'empty', endReason: 'mediaNotAvailable' }],
    ]);
    await node.close();
    expect(receiver.types.at(-1)).toBe('node.draining');
    expect(receiver.refused).toEqual([]);
    expect(node.stats().services['webhooks']).toMatchObject({ delivered: 5, waiting: 0, refused: 0 });
  });

  it('say nothing of a node whose start has failed', async () => {
    const source: Source = {
      name: 'broken',
      start: () => Promise.reject(new Error('no network')),
      drain: async () => {},
      close: async () => {},
      status: () => ({}),
      pause: () => false,
      resume: () => false,
    };
    await expect(started([], { sources: [source] })).rejects.toThrow('no network');
    const { node } = await started([]);
    await node.close();
    expect(receiver.types).toEqual(['node.draining']);
  });

  it('say call.ended on a node that records nothing, and nothing of a change of format', async () => {
    const { node, engine } = await started([]);
    const first = engine.openStream('call', FORMAT);
    push(engine, first, 10);
    engine.openStream('call', { ...FORMAT, sampleRate: 16000, clockRate: 16000, codec: 'l16' }, { continues: first });
    await node.close();
    expect(of('call').map(([type, { outcome }]) => [type, outcome])).toEqual([
      ['call.started', undefined],
      ['call.ended', 'delivered'],
      ['call.ended', 'empty'],
    ]);
  });

  it('tell of threads that were replaced and of calls that were given up', async () => {
    let context: SourceContext | undefined;
    const source: Source = {
      name: 'test',
      start: async (given) => {
        context = given;
      },
      drain: async () => {},
      close: async () => {},
      status: () => ({}),
      pause: () => false,
      resume: () => false,
    };
    const { engine } = await started([], { sources: [source] });
    engine.killShard(0);
    const emit = context?.emit as (event: string, value: object) => void;
    emit('interactionEnded', { interactionId: 'absent', reason: 'mediaNotAvailable', detail: 'not found' });
    emit('interactionEnded', { interactionId: 'good', reason: 'ended', detail: '' });
    await until(() => receiver.received.length === 2, 'both notifications');
    expect(of('absent')).toEqual([['call.given_up', { interactionId: 'absent', reason: 'mediaNotAvailable' }]]);
    expect(receiver.types).toContain('worker.restarted');
  });

  it('tell of one-way audio, and of its end', async () => {
    const { node, engine } = await started([]);
    engine.openStream('call', FORMAT);
    await until(() => receiver.received.length === 1, 'the begin of the call');
    const [info] = node.streams();
    if (info === undefined) throw new Error('There is no stream.');
    node.emit('oneWayAudio', { info, channel: 1, cause: 'noPackets' });
    node.emit('oneWayAudioEnded', { info, channel: 1, cause: 'noPackets', reason: 'streamEnded' });
    await until(() => receiver.received.length === 3, 'the notifications');
    const side = { interactionId: 'call', channel: 1, cause: 'noPackets' };
    expect(of('call').slice(1)).toEqual([
      ['call.one_way_audio', side],
      ['call.one_way_audio_ended', { ...side, reason: 'streamEnded' }],
    ]);
  });

  it('tell of a recording that was repaired at the start', async () => {
    const { engine, node } = await started([recorder({ directory: join(out, 'first') })]);
    push(engine, engine.openStream('cut', FORMAT), 50);
    await until(() => readdirSync(join(out, 'first')).includes('cut'), 'the folder of the call');
    const partial = join(out, 'first', 'cut', 'session.json.partial');
    // It is written in place: a reader may find it empty at first.
    await until(() => readCheckpoint(join(out, 'first', 'cut')) !== undefined, 'a checkpoint');
    const written = readFileSync(partial, 'utf8').replace(/"pid": \d+/, '"pid": 4194304');
    const audioFile = join(out, 'first', 'cut', 'audio.wav');
    // The first checkpoint comes before any audio, and a recording without audio is not repaired.
    await until(() => statSync(audioFile).size > WAV_HEADER_BYTES, 'audio');
    const audio = readFileSync(audioFile);
    await node.close();
    rmSync(join(out, 'first', 'cut', 'session.json'));
    writeFileSync(partial, written);
    writeFileSync(join(out, 'first', 'cut', 'audio.wav'), audio);
    rmSync(join(out, 'first', '.unfinished'), { recursive: true });
    await started([recorder({ directory: join(out, 'first') })]);
    await until(() => receiver.types.includes('recording.repaired'), 'the repair');
    expect(of('cut').at(-1)).toMatchObject(['recording.repaired', { folder: 'cut' }]);
  });

  it('tell that the disk is nearly full, and that it has space again, as health and the events do', async (context) => {
    const disk = mountTiny(4096, join(out, 'disk'));
    if (disk === undefined) return context.skip('a tmpfs may not be mounted here; it takes root');
    try {
      const { node } = await started([recorder({ directory: disk, minFreeMegabytes: 2 })]);
      const space = () => node.health().checks.find(({ name }) => name === 'recorder.disk');
      expect(space()?.status).toBe('ok');
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(3 << 20));
      await until(() => receiver.types.includes('disk.low'), 'disk.low');
      expect(space()).toMatchObject({ status: 'degraded', affects: 'ready' });
      rmSync(join(disk, 'ballast'));
      await until(() => receiver.types.includes('disk.recovered'), 'disk.recovered');
      expect(space()?.status).toBe('ok');
      const [low] = receiver.received.filter(({ type }) => type === 'disk.low');
      expect(low?.data).toMatchObject({ watermarkBytes: 2 << 20 });
      await node.close();
    } finally {
      unmount(disk);
    }
  }, 30_000);
});

describe('a receiver that is down', () => {
  it('makes the node degraded and never failing, and what it missed is in the audit when it is given up', async () => {
    receiver.answer = (_received, response) => response.writeHead(500).end();
    const { node, engine } = await started([audit({ directory: out })], { giveUpAfterHours: 0.2 / 3600 });
    for (let n = 0; n < 4; n++) engine.openStream(`call-${n}`, FORMAT);
    const check = () => node.health().checks.find(({ name }) => name === 'webhooks');
    await until(() => check()?.status === 'degraded', 'the node to be degraded');
    expect(check()?.reason).toContain('500');
    expect(node.health().status).toBe('degraded');
    const stats = () => node.stats().services['webhooks'] as { deadLetters: number };
    await until(() => stats().deadLetters > 0, 'a dead letter');
    receiver.answer = (_received, response) => response.writeHead(204).end();
    await until(() => check()?.status === 'ok', 'the node to be healthy again');
    await node.close();
    expect(readFileSync(join(out, 'audit.jsonl'), 'utf8')).toContain('"action":"webhook_given_up"');
  });
});

describe('checkpoints of the audit', () => {
  it('come with the end of recordings and at the end, as they are in the file', async () => {
    const directory = join(out, 'capture');
    const signingKey = join(out, 'key');
    const { node, engine } = await started([recorder({ directory }), audit({ directory, signingKey })]);
    await until(() => readdirSync(directory).includes('audit.checkpoint'), 'the first checkpoint');
    const stream = engine.openStream('call', FORMAT);
    push(engine, stream, 50);
    engine.endStream(stream, 'ended');
    await until(() => of('call').length === 2, 'the end of the call');
    await node.close();
    const note = readFileSync(join(directory, 'audit.checkpoint'), 'utf8');
    await until(() => receiver.received.some(({ type }) => type === 'audit.checkpoint'), 'the last checkpoint');
    const notes = receiver.received.map(({ type, checkpoint }) => [type, checkpoint]);
    expect(notes).toContainEqual(['audit.checkpoint', note]);
    expect(notes).toContainEqual(['recording.finished', expect.stringMatching(/^trunkline-.*\n\d+\n/)]);
    expect(notes).toContainEqual(['call.started', undefined]);
  });
});
