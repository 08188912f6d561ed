import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TrunklineError } from '../../src/core/errors.js';
import type { MediaChunk, MetadataSync } from '../../src/core/media/media-chunk.js';
import { AudioHookNode } from '../../src/node/audiohook-node.js';
import { CaptureNode } from '../../src/node/capture-node.js';
import type { NodeSettings } from '../../src/node/settings.js';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/genesys/simulator.js';

let out: string;
let simulator: Simulator;
let node: CaptureNode;

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-node-'));
});

afterEach(async () => {
  await node?.stop();
  await simulator?.close();
  rmSync(out, { recursive: true, force: true });
});

async function makeNode(options: SimulatorOptions, settings: NodeSettings = {}): Promise<void> {
  simulator = await startSimulator({ codec: 'pcmu', seconds: 2, ...options });
  node = new CaptureNode({
    apiUrl: simulator.apiUrl,
    mediaUrl: simulator.mediaUrl,
    clientId: 'test',
    clientSecret: 'very-secret-value',
    interactions: [...simulator.interactionIds],
    out,
    record: true,
    maxStreams: 64,
    ...settings,
  });
}

async function run(): Promise<void> {
  await node.start();
  await node.untilIdle();
  await node.stop();
}

it('says of a setting that cannot be right what it must be', () => {
  expect(() => new CaptureNode({ playoutDelayMs: -1, codecs: [] })).toThrow(
    'The setting "codecs" must be a list of opus, pcmu, pcma, l16. The setting "playoutDelayMs" must be a whole number from 0 to 2000.',
  );
});

describe('events', () => {
  it('have the names and fields of the tutorial; silent frames stay out of mediaChunk', async () => {
    await makeNode({ interactions: 3, seconds: 4 });
    const chunks: MediaChunk[] = [];
    const syncs: MetadataSync[] = [];
    const lifeCycle: string[] = [];
    node.on('mediaChunk', (chunk) => chunks.push(chunk));
    node.on('metadataSync', (sync) => syncs.push(sync));
    node.on('streamOpened', (info) => lifeCycle.push(`opened ${info.interactionId}`));
    node.on('streamEnded', (info, { endReason }) => lifeCycle.push(`${endReason} ${info.interactionId}`));
    const connections: string[] = [];
    node.on('connected', ({ connection, again }) => connections.push(`${connection} ${again ? 'again' : 'open'}`));
    node.on('disconnected', ({ connection, code }) => connections.push(`${connection} closed ${code}`));
    await run();
    expect(syncs).toHaveLength(3 * 200);
    const { framesSilent } = node.summary();
    expect(framesSilent).toBeGreaterThan(0);
    const speech = chunks.filter(({ roll }) => roll === undefined);
    expect(speech).toHaveLength(3 * 200 - framesSilent);
    const [chunk] = speech;
    expect(chunk).toMatchObject({ isSilent: false, metadata: { sampleRate: 8000, channel: 0 } });
    expect(chunk?.payload).toHaveLength(320);
    expect(speech.every(({ isSilent }) => !isSilent)).toBe(true);
    const roll = chunks.filter(({ roll }) => roll === 'pre');
    expect(roll.length).toBeGreaterThan(0);
    for (const { isSilent, metadata } of roll) {
      expect(isSilent).toBe(true);
      const follows = speech.some(({ metadata: { interactionId, positionSamples } }) => {
        const before = positionSamples - metadata.positionSamples;
        return interactionId === metadata.interactionId && before > 0 && before <= 10 * 160;
      });
      expect(follows).toBe(true);
    }
    const own = syncs.filter(({ interactionId }) => interactionId === simulator.interactionIds[0]);
    own.forEach((sync, i) => {
      expect(sync.sequenceNumber).toBe((own[0]?.sequenceNumber ?? 0) + i);
      expect(sync.timestamp).toBe((own[0]?.timestamp ?? 0) + i * 160);
    });
    for (const id of simulator.interactionIds) {
      expect(lifeCycle).toContain(`opened ${id}`);
      expect(lifeCycle).toContain(`ended ${id}`);
    }
    expect(connections.sort()).toEqual(['0', '1', '2'].flatMap((n) => [`${n} closed 1000`, `${n} open`]));
    expect(node.getThroughputStats()).toMatchObject({ packetLossRate: 0 });
    expect(node.getThroughputStats().packetsPerSecond).toBeGreaterThan(0);
    expect(node.getThroughputStats().bytesPerSecond).toBeGreaterThan(0);
  });

  it('bring silent frames too when asked for', async () => {
    await makeNode({ interactions: 2 }, { includeSilent: true });
    let chunks = 0;
    node.on('mediaChunk', ({ payload }) => {
      chunks++;
      expect(payload).toHaveLength(320);
    });
    await run();
    expect(chunks).toBe(200);
  });

  it('of a listener that throws do not stop the others, and are told', async () => {
    await makeNode({ interactions: 2 });
    const errors: string[] = [];
    node.on('metadataSync', () => {
      throw new Error('a fault of the embedder');
    });
    node.on('error', ({ message }) => errors.push(message));
    await run();
    expect(errors).toHaveLength(200);
    expect(node.summary()).toMatchObject({ packetsReceived: 200, framesDecoded: 200 });
  });
});

describe('live streams', () => {
  it('give a monitor lines of JSON, and a listener the sound as it is recorded', async () => {
    await makeNode({ interactions: 2 });
    const lines: string[] = [];
    const sound: Buffer[] = [];
    const id = simulator.interactionIds[0] ?? '';
    node.monitoringStream.setEncoding('utf8');
    node.monitoringStream.on('data', (text: string) => lines.push(...text.trimEnd().split('\n')));
    node.on('streamOpened', ({ interactionId }) => {
      if (interactionId === id) node.listen(id).on('data', (bytes: Buffer) => sound.push(bytes));
    });
    await run();
    const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(parsed).toHaveLength(200 - node.summary().framesSilent);
    expect(parsed[0]).toMatchObject({ type: 'monitor', isSilent: false, channel: 0 });
    const recorded = readFileSync(join(out, id, 'audio.wav')).subarray(44);
    expect(Buffer.concat(sound).equals(recorded)).toBe(true);
  });

  it('never hold up the node: a monitor that nobody reads drops whole frames', async () => {
    await makeNode({ interactions: 4, seconds: 3 });
    const monitor = node.monitor({ includeSilent: true, bufferBytes: 20_000 });
    monitor.once('readable', () => {});
    await run();
    expect(monitor.droppedFrames).toBeGreaterThan(500);
    expect(monitor.readableLength).toBeLessThanOrEqual(20_000);
    expect(node.summary()).toMatchObject({ packetsReceived: 600, packetsDropped: 0 });
  });

  it('refuse an interaction that is not captured', async () => {
    await makeNode({ interactions: 1 });
    expect(() => node.listen('nobody')).toThrow(TrunklineError);
  });
});

describe('the audit', () => {
  it('has the life cycle and the spans of each stream, and neither secret nor sound', async () => {
    await makeNode({ interactions: 2, seconds: 4 }, { auditKey: 'a key of more than 16 characters' });
    await run();
    const text = readFileSync(join(out, 'audit.jsonl'), 'utf8');
    const entries = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const entry of entries) {
      const fields = ['timestamp', 'action', 'interactionId', 'sequenceNumber', 'signalDetected'];
      for (const field of [...fields, 'privacyCompliant', 'region']) expect(entry).toHaveProperty(field);
      expect(entry['privacyCompliant']).toBe(true);
    }
    const actions = entries.map(({ action }) => action);
    expect(actions.filter((action) => action === 'stream_opened')).toHaveLength(2);
    expect(actions.filter((action) => action === 'stream_ended')).toHaveLength(2);
    expect(entries.filter(({ action, signalDetected }) => action === 'media_capture' && signalDetected)).not.toEqual(
      [],
    );
    const connected = entries.filter(({ action }) => action === 'connected');
    expect(connected.map(({ connection }) => connection).sort()).toEqual([0, 1]);
    for (const id of simulator.interactionIds) expect(text).not.toContain(id);
    expect(text).not.toContain('very-secret-value');
  });
});

describe('settings', () => {
  it('without credentials are refused with a sentence that names them', () => {
    expect(() => new CaptureNode({})).toThrow(/GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET/);
  });

  it('that cannot be right are refused by name', () => {
    expect(() => new CaptureNode({ clientId: 'a', clientSecret: 'b', shards: 0 })).toThrow(/shards/);
  });

  it('an output folder that cannot be made is an error that says which', async () => {
    await makeNode({ interactions: 1 }, { out: '/dev/null/recordings' });
    await expect(node.start()).rejects.toThrow(/\/dev\/null\/recordings/);
  });
});

describe('a node that has been stopped', () => {
  it('does not start again, and holds no port', async () => {
    await makeNode({ interactions: 1, seconds: 1 });
    const server = { port: 0, host: '127.0.0.1', keys: [{ apiKey: 'key', clientSecret: 'c2VjcmV0' }] };
    const called = new AudioHookNode({ server, out, maxStreams: 64 });
    await called.start();
    const { healthUrl } = called;
    for (const one of [node, called]) {
      await one.stop();
      await expect(one.start()).rejects.toMatchObject({
        code: 'ENGINE_CLOSED',
        message: expect.stringContaining('make another'),
      });
    }
    await expect(fetch(healthUrl)).rejects.toThrow();
  });
});

it('enters a call that was given up into the audit, although it never had a stream', async () => {
  await makeNode({ interactions: 1, seconds: 1 });
  const unknown = '00000000-0000-4000-8000-00000000dead';
  await node.start();
  await node.subscribe([unknown]);
  await node.untilIdle();
  await node.stop();
  const entries = readFileSync(join(out, 'audit.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ action }) => action === 'interaction_given_up');
  expect(entries).toEqual([expect.objectContaining({ interactionId: unknown, reason: 'mediaNotAvailable' })]);
});
