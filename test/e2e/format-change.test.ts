import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CaptureNode } from '../../src/node/capture-node.js';
import { FakePlatform } from '../support/genesys/fake-platform.js';

// Real sockets, threads and files. Packets are sent at the rate at which they are due.
const ID = 'AB12CD34-0000-4000-8000-00000000000F';
const OPUS_SILENCE = Buffer.from([0xf8, 0xff, 0xfe]);
const PCMU_TONE = Buffer.from(Array.from({ length: 160 }, (_, i) => (i % 8 < 4 ? 0x90 : 0x10)));

let platform: FakePlatform;
let folder: string;
let node: CaptureNode | undefined;

beforeEach(async () => {
  platform = await FakePlatform.start();
  folder = mkdtempSync(join(tmpdir(), 'trunkline-format-'));
});

afterEach(async () => {
  await node?.stop();
  await platform.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<void> {
  const { apiUrl, mediaUrl } = platform;
  node = new CaptureNode({
    // A tone stands for speech.
    silenceDetector: 'fixed',
    ...{ apiUrl, mediaUrl, clientId: 'id', clientSecret: 'secret', record: true, out: folder, maxStreams: 16 },
    codecs: ['opus', 'pcmu'],
    interactions: [ID],
  });
  await node.start();
  await expect.poll(() => platform.received.length).toBe(1);
}

/** Twenty milliseconds each, one after the other. */
async function send(packets: readonly object[]): Promise<void> {
  const startMs = performance.now();
  for (const [i, fields] of packets.entries()) {
    const dueMs = startMs + 20 * i;
    if (performance.now() < dueMs) await delay(dueMs - performance.now());
    platform.sockets[0]?.send(JSON.stringify({ interactionId: ID.toLowerCase(), ...fields }));
  }
}

const packet = (k: number, ticks: number, payload: Buffer, fields: object = {}) => ({
  ...{ sequenceNumber: k, timestamp: k * ticks, ...fields, payload: payload.toString('base64') },
});

interface Manifest {
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly spans: readonly { readonly state: string; readonly channel: number; readonly endMs: number }[];
  readonly segments: readonly { readonly codec: string; readonly channels: number; readonly startMs: number }[];
}

function manifests(): Manifest[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files
    .filter((name) => name.endsWith('session.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Manifest);
}

const endMs = ({ spans }: Manifest, channel: number) =>
  Math.max(...spans.filter((span) => span.channel === channel).map((span) => span.endMs));

test('a codec that changes in mid-call: no sample is missing, and ids in another case are the same', async () => {
  await start();
  const opus = Array.from({ length: 50 }, (_, k) => packet(k, 960, OPUS_SILENCE, { codec: 'opus' }));
  const pcmu = Array.from({ length: 75 }, (_, k) => packet(50 + k, 160, PCMU_TONE, { codec: 'pcmu' }));
  await send([...opus, ...pcmu]);
  await node?.stop();
  expect(node?.sourceCounters()).toMatchObject({ unknownInteraction: 0, wrongFormat: 0, malformed: 0 });
  const [recording, ...others] = manifests();
  expect(others).toEqual([]);
  expect(recording).toMatchObject({ packetsReceived: 125, packetsLost: 0 });
  expect(recording?.segments.map(({ codec }) => codec)).toEqual(['opus', 'pcmu']);
  expect(recording && endMs(recording, 0)).toBeCloseTo(2_500, -2);
});

test('a channel that appears in mid-call is recorded from its first packet on', async () => {
  await start();
  const alone = Array.from({ length: 25 }, (_, k) => packet(k, 160, PCMU_TONE, { codec: 'pcmu' }));
  const both = Array.from({ length: 50 }, (_, k) => {
    const channel = k % 2;
    return packet(25 + (k >> 1) + 7_000 * channel, 160, PCMU_TONE, { codec: 'pcmu', channel });
  });
  await send(alone);
  await send(both);
  await node?.stop();
  const [recording] = manifests();
  expect(recording).toMatchObject({ packetsReceived: 75, packetsLost: 0 });
  expect(recording?.segments.map(({ channels }) => channels)).toEqual([1, 2]);
  expect(node?.sourceCounters()).toMatchObject({ wrongFormat: 0 });
});

test('padded Opus that nobody announced is not taken for noise', async () => {
  await start();
  // RFC 6716 section 3.2.5: a frame of code 3 with padding, 160 bytes in all.
  const padded = Buffer.concat([Buffer.from([0xfb, 0x41, 155, 0xff, 0xfe]), Buffer.alloc(155)]);
  await send(Array.from({ length: 50 }, (_, k) => packet(k, 960, padded)));
  await node?.stop();
  const [recording] = manifests();
  expect(recording).toMatchObject({ packetsReceived: 50, decodeErrors: 0 });
  expect(recording?.segments ?? []).toHaveLength(0);
  expect(recording).toMatchObject({ codec: 'opus' });
  expect(recording?.spans.map(({ state }) => state)).toEqual(['silence']);
});

test('pause() keeps nothing, over a change of format, and the recording keeps its time', async () => {
  await start();
  const tone = (k: number) => packet(k, 160, PCMU_TONE, { codec: 'pcmu' });
  const law = (k: number) => packet(k, 160, PCMU_TONE, { codec: 'pcma' });
  const paused: string[] = [];
  node?.on('paused', (event) => paused.push(`${event.paused} ${event.by}`));
  await send(Array.from({ length: 25 }, (_, k) => tone(k)));
  await expect.poll(() => node?.status().connections[0]?.streams).toBe(1);
  // Both spellings of the id are the same interaction.
  node?.pause(ID.toLowerCase());
  node?.pause(ID);
  await send(Array.from({ length: 25 }, (_, k) => tone(25 + k)));
  await send(Array.from({ length: 25 }, (_, k) => law(50 + k)));
  node?.resume(ID);
  await send(Array.from({ length: 25 }, (_, k) => law(75 + k)));
  await node?.stop();
  expect(paused).toEqual(['true operator', 'false operator']);
  const [recording, ...others] = manifests();
  expect(others).toEqual([]);
  expect(recording?.segments.map(({ codec }) => codec)).toEqual(['pcmu', 'pcma']);
  expect(recording && endMs(recording, 0)).toBeCloseTo(2_000, -2);
  const spans = recording?.spans.map(({ state }) => state) ?? [];
  expect([spans[0], spans.at(-1)]).toEqual(['speech', 'speech']);
  expect(new Set(spans.slice(1, -1))).toEqual(new Set(['paused']));
});
