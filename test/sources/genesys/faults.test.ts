import { afterEach, describe, expect, test } from 'vitest';
import type { FaultInput } from '../../../src/simulator/genesys/fault-commands.js';
import { busiest } from '../../../src/simulator/genesys/request-log.js';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../src/simulator/genesys/simulator.js';
import { type SourceOptions, SubscriptionSource } from '../../../src/sources/genesys/source.js';
import { FakeIngest } from '../../support/genesys/fake-ingest.js';

// Each fault by itself, over real sockets and with the real SDK. Waits are shortened, never asserted upon.
const QUICK = { baseUs: 20_000, capUs: 100_000, maxAttempts: 8 };

let simulator: Simulator;
let source: SubscriptionSource;
let ingest: FakeIngest;
let happened: string[];

async function start(options: SimulatorOptions = {}, more: Partial<SourceOptions> = {}): Promise<void> {
  simulator = await startSimulator({ interactions: 6, seed: 3, keepPackets: true, ...options });
  ingest = new FakeIngest(1 << 22);
  const { apiUrl, mediaUrl } = simulator;
  source = new SubscriptionSource(ingest, {
    clientId: 'id',
    clientSecret: 'secret',
    apiUrl,
    mediaUrl,
    interactionsPerConnection: 3,
    retry: QUICK,
    mediaRetry: QUICK,
    pingUs: 150_000,
    handshakeUs: 300_000,
    ...more,
  });
  happened = [];
  source.on('disconnected', ({ code, reason }) => happened.push(`disconnected ${code} ${reason}`.trimEnd()));
  source.on('interactionEnded', ({ reason, detail }) => happened.push(`ended ${reason} ${detail}`.trimEnd()));
  source.on('maxReconnectReached', () => happened.push('maxReconnectReached'));
  source.on('error', ({ message }) => happened.push(message));
}

async function subscribeAll(): Promise<void> {
  await source.subscribe(simulator.interactionIds);
  await flowing();
}

/** Every interaction has a packet that has come just now. */
async function flowing(): Promise<void> {
  const before = ingest.packets.length;
  await expect
    .poll(() => new Set(ingest.packets.slice(before).map(({ stream }) => stream)).size, { timeout: 10_000 })
    .toBe(simulator.interactionIds.length);
}

/** Ends everything and compares what came with what went: each number once, in streams that were never cut in two. */
async function settle(): Promise<void> {
  await source.stop();
  expect(ingest.opened).toHaveLength(simulator.interactionIds.length);
  for (const [id, { sent }] of Object.entries(simulator.ledger().interactions)) {
    expect(new Set(ingest.sequencesOf(id)).size, id).toBe(sent);
  }
}

const handshakes = () => simulator.requests.filter(({ path }) => path === '/api/v2/media/streams');
const tokens = () => simulator.requests.filter(({ path }) => path === '/oauth/token').length;

afterEach(async () => {
  await source.stop();
  await simulator.close();
});

describe('a connection that is lost comes back, with the same streams', () => {
  const cases: [string, FaultInput, RegExp][] = [
    ['TCP reset', { fault: 'cut' }, /disconnected 1006/],
    ['close 1011', { fault: 'cut', code: 1011 }, /disconnected 1011/],
    ['close 1012', { fault: 'cut', code: 1012 }, /disconnected 1012/],
    ['half-open', { fault: 'halfOpen' }, /no pong: the connection is dead/],
    ['401 in mid-stream', { fault: 'refuseToken' }, /the token was refused/],
    ['restart of the server', { fault: 'restart', downSeconds: 0.1 }, /disconnected 1006/],
    ['restart that forgets tokens', { fault: 'restart', downSeconds: 0.1, forgetTokens: true }, /disconnected 1006/],
  ];
  for (const [name, fault, sign] of cases) {
    test(name, async () => {
      await start();
      await subscribeAll();
      simulator.fault(fault);
      await expect.poll(() => happened.find((one) => sign.test(one))).toBeDefined();
      await expect.poll(() => source.counters().reconnects).toBeGreaterThan(0);
      await flowing();
      expect(happened.filter((one) => one.startsWith('ended'))).toEqual([]);
      expect(ingest.interrupted.length).toBeGreaterThanOrEqual(3);
      await settle();
    });
  }
});

describe('handshakes that fail', () => {
  test('401 renews the token once, for all connections together', async () => {
    await start();
    await source.start();
    simulator.fault({ fault: 'tokensForgotten' });
    await source.subscribe(simulator.interactionIds);
    await flowing();
    expect(tokens()).toBe(2);
    await settle();
  });

  test('503 with Retry-After and 429 are waited for', async () => {
    await start();
    simulator.fault({ fault: 'handshake', status: 503, retryAfterSeconds: 1 });
    simulator.fault({ fault: 'handshake', status: 429, retryAfterSeconds: 1 });
    await subscribeAll();
    expect(happened).toEqual([expect.stringContaining('HTTP 503'), expect.stringContaining('HTTP 429')]);
    const [first, , third] = handshakes();
    expect((third?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(900);
    await settle();
  });

  test('one that stalls is given up and tried again', async () => {
    await start();
    simulator.fault({ fault: 'handshake', count: 2 });
    await subscribeAll();
    expect(happened.filter((one) => one.includes('did not finish the WebSocket handshake'))).toHaveLength(2);
    await settle();
  });

  test('beyond the last attempt the streams are lost, and that is said', async () => {
    await start();
    await subscribeAll();
    simulator.fault({ fault: 'handshake', status: 500, count: 100 });
    simulator.fault({ fault: 'cut', count: 2 });
    await expect
      .poll(() => happened.filter((one) => one.startsWith('ended lost')), { timeout: 10_000 })
      .toHaveLength(6);
    expect(happened.filter((one) => one === 'maxReconnectReached')).toHaveLength(2);
    expect(ingest.ended.map(({ reason }) => reason)).toEqual(Array(6).fill('lost'));
  });
});

describe('REST that fails', () => {
  test('429 with Retry-After, 5xx: asked again, and nobody is held up forever', async () => {
    await start({}, { availabilityCheck: 'always' });
    simulator.fault({ fault: 'http', endpoint: 'conversation', status: 429, retryAfterSeconds: 1, count: 2 });
    simulator.fault({ fault: 'http', endpoint: 'conversation', status: 503, count: 3 });
    const results = await source.subscribe(simulator.interactionIds);
    expect(results.map(({ availability }) => availability)).toEqual(Array(6).fill('active'));
    await flowing();
    await settle();
  });

  test('404: not found, and the others go on', async () => {
    await start({}, { availabilityCheck: 'always' });
    simulator.fault({ fault: 'http', endpoint: 'conversation', status: 404 });
    await source.subscribe(simulator.interactionIds);
    expect(happened).toEqual(['ended mediaNotAvailable interaction not found or ended']);
    await expect.poll(() => ingest.opened.length).toBe(5);
  });

  test('a call whose window has expired is not subscribed to', async () => {
    await start({}, { availabilityCheck: 'always' });
    const [expired = ''] = simulator.interactionIds;
    simulator.fault({ fault: 'expired', interactions: [expired] });
    const results = await source.subscribe(simulator.interactionIds);
    expect(results.find(({ interactionId }) => interactionId === expired)?.availability).toBe('expired');
    expect(happened).toEqual(['ended mediaNotAvailable media availability window expired']);
    await expect.poll(() => ingest.opened.length).toBe(5);
  });

  test('tokens that live shortly are renewed at half their life, one sign-in at a time', async () => {
    await start({ tokenSeconds: 1 });
    await subscribeAll();
    await expect.poll(tokens, { timeout: 10_000 }).toBeGreaterThan(3);
    simulator.fault({ fault: 'cut', count: 2 });
    await flowing();
    const times = simulator.requests.filter(({ path }) => path === '/oauth/token');
    expect(busiest(times, 200)).toBe(1);
    await settle();
  });
});

describe('media', () => {
  test('not available first and available later', async () => {
    await start();
    const [late = ''] = simulator.interactionIds;
    simulator.fault({ fault: 'mediaNotAvailable', interactions: [late], count: 3 });
    await subscribeAll();
    expect(happened).toEqual([]);
    const asked = simulator.requests.filter(({ path }) => path.endsWith(late));
    expect(asked.length).toBeGreaterThanOrEqual(3);
    await settle();
  });

  test('never available: given up after a limit, with the reason', async () => {
    await start({}, { mediaRetry: { ...QUICK, maxAttempts: 2 } });
    const [never = ''] = simulator.interactionIds;
    simulator.fault({ fault: 'mediaNotAvailable', interactions: [never], seconds: 60 });
    await source.subscribe(simulator.interactionIds);
    await expect.poll(() => happened).toEqual(['ended mediaNotAvailable no media after 3 subscriptions']);
    await expect.poll(() => ingest.opened.length).toBe(5);
  });

  test('streams that come twice after a reconnect', async () => {
    await start();
    await subscribeAll();
    simulator.fault({ fault: 'cut', count: 2 });
    simulator.fault({ fault: 'duplicateStreams', count: 6, seconds: 1 });
    await flowing();
    await expect
      .poll(() => Object.values(simulator.ledger().interactions).every(({ duplicated }) => duplicated > 10))
      .toBe(true);
    await settle();
    for (const [id, { sent, duplicated }] of Object.entries(simulator.ledger().interactions)) {
      expect(ingest.sequencesOf(id)).toHaveLength(sent + duplicated);
    }
  });

  test('numbers that begin again', async () => {
    await start();
    await subscribeAll();
    simulator.fault({ fault: 'sequenceRestart', count: 6 });
    await flowing();
    await settle();
  });
});

test('faults come by POST /faults as well, and what cannot be is refused', async () => {
  await start();
  await subscribeAll();
  const post = (body: unknown) =>
    fetch(`${simulator.apiUrl}/faults`, { method: 'POST', body: JSON.stringify(body) }).then(({ status }) => status);
  expect(await post({ fault: 'cut', code: 99 })).toBe(400);
  expect(await post([{ fault: 'cut', code: 1012 }])).toBe(200);
  await expect.poll(() => happened).toEqual(['disconnected 1012']);
  const { requests } = (await (await fetch(`${simulator.apiUrl}/requests`)).json()) as { requests: { path: string }[] };
  expect(requests.filter(({ path }) => path === '/api/v2/media/streams').length).toBeGreaterThanOrEqual(2);
});
