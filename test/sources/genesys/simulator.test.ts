import { afterEach, expect, test } from 'vitest';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../src/simulator/genesys/simulator.js';
import { SubscriptionSource } from '../../../src/sources/genesys/source.js';
import { FakeIngest } from '../../support/genesys/fake-ingest.js';

// The whole way with the real SDK: sign-in, conversations and media, against the simulator's exact ledger.
let simulator: Simulator;
let source: SubscriptionSource;
let ingest: FakeIngest;

async function start(options: SimulatorOptions): Promise<void> {
  simulator = await startSimulator({ clientId: 'id', clientSecret: 'secret', keepPackets: true, seed: 11, ...options });
  ingest = new FakeIngest(1 << 22);
  const { apiUrl, mediaUrl } = simulator;
  source = new SubscriptionSource(ingest, {
    clientId: 'id',
    clientSecret: 'secret',
    apiUrl,
    mediaUrl,
    interactionsPerConnection: 10,
    retry: { baseUs: 20_000, capUs: 20_000, maxAttempts: 5 },
  });
}

afterEach(async () => {
  await source.stop();
  await simulator.close();
});

/** Distinct packets and copies of one interaction, as they came. */
function received(id: string): { sent: number; duplicated: number; payloadBytes: number } {
  const seen = new Set<string>();
  let payloadBytes = 0;
  let duplicated = 0;
  for (const packet of ingest.packets) {
    if (ingest.idOf(packet.stream) !== id) continue;
    const key = `${packet.channel}/${packet.sequence}`;
    if (seen.has(key)) duplicated++;
    else payloadBytes += packet.payload.length / 2;
    seen.add(key);
  }
  return { sent: seen.size, duplicated, payloadBytes };
}

function expectLedgerToAgree(): void {
  for (const [id, { sent, duplicated, payloadBytes }] of Object.entries(simulator.ledger().interactions)) {
    expect(received(id), id).toEqual({ sent, duplicated, payloadBytes });
  }
}

test('24 calls of all codecs over three connections, to their end, over a bad network', async () => {
  await start({
    interactions: 24,
    codec: 'mixed',
    channels: 2,
    seconds: 1.5,
    loss: 0.02,
    reorder: 0.03,
    duplicate: 0.01,
    jitterMs: 30,
  });
  const idle = new Promise<void>((resolve) => source.once('idle', resolve));
  await source.subscribe(simulator.interactionIds);
  await idle;
  expectLedgerToAgree();
  expect(ingest.opened.map(({ id }) => id).toSorted()).toEqual(simulator.interactionIds.toSorted());
  expect(new Set(ingest.opened.map(({ format }) => format.codec)).size).toBe(4);
  expect(ingest.ended.filter(({ reason }) => reason === 'ended')).toHaveLength(24);
  const { messages, malformed, unknownInteraction, badBase64, wrongFormat } = source.counters();
  expect({ malformed, unknownInteraction, badBase64, wrongFormat }).toEqual({
    malformed: 0,
    unknownInteraction: 0,
    badBase64: 0,
    wrongFormat: 0,
  });
  expect(messages).toBeGreaterThan(24 * 2 * 40);
});

test('stopped in the middle of the calls, both sides have counted the same', async () => {
  await start({ interactions: 5, codec: 'pcmu' });
  await source.subscribe(simulator.interactionIds);
  await expect.poll(() => ingest.packets.length).toBeGreaterThan(100);
  await source.stop();
  expectLedgerToAgree();
  expect(ingest.ended.map(({ reason }) => reason)).toEqual(Array(5).fill('stopped'));
});

test('a connection that breaks, against a server that announces nothing', async () => {
  await start({ interactions: 3, codec: 'opus', announce: false, codecInPackets: true });
  await source.subscribe(simulator.interactionIds);
  await expect.poll(() => ingest.packets.length).toBeGreaterThan(30);
  simulator.connections()[0]?.cut();
  await expect.poll(() => source.counters().reconnects).toBe(1);
  const before = ingest.packets.length;
  await expect.poll(() => ingest.packets.length).toBeGreaterThan(before + 30);
  expect(ingest.opened).toHaveLength(3);
  expect(ingest.ended).toEqual([]);
  expect(ingest.interrupted).toHaveLength(3);
});
