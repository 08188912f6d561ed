import { afterEach, expect, test } from 'vitest';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../../src/simulator/genesys/simulator.js';
import { type SourceOptions, SubscriptionSource } from '../../../../src/sources/genesys/source.js';
import { FakeIngest } from '../../../support/genesys/fake-ingest.js';

// The whole way with the real SDK: channel, topics, notifications, media.
let simulator: Simulator;
let source: SubscriptionSource;
let ingest: FakeIngest;
let errors: string[];

async function start(options: SimulatorOptions, more: Partial<SourceOptions> = {}): Promise<void> {
  simulator = await startSimulator({ queues: ['q'], seed: 9, ...options });
  ingest = new FakeIngest(1 << 22);
  const { apiUrl, mediaUrl } = simulator;
  const credentials = { clientId: 'id', clientSecret: 'secret' };
  source = new SubscriptionSource(ingest, { ...credentials, apiUrl, mediaUrl, queues: ['q'], ...more });
  errors = [];
  source.on('error', ({ message }) => errors.push(message));
}

const asked = (path: string) => simulator.requests.filter((request) => request.path.startsWith(path)).length;

afterEach(async () => {
  await source.stop();
  await simulator.close();
});

test('calls that are under way when the node starts are found', async () => {
  await start({ interactions: 3, users: ['u'] }, { users: ['u'] });
  await expect.poll(async () => (await conversationsUnderWay()).length).toBe(3);
  await source.start();
  await expect.poll(() => ingest.opened.length).toBe(3);
  expect(source.status()).toMatchObject({
    interactions: 3,
    discovery: { calls: 3, channels: [{ state: 'open', topics: 2 }] },
  });
});

test('calls of other queues are left alone', async () => {
  await start({ interactions: 2, queues: ['q', 'other'] });
  await source.start();
  await expect.poll(() => ingest.opened.length).toBe(1);
  expect(source.status().interactions).toBe(1);
});

test('a secure pause reaches the engine before and after', async () => {
  await start({ interactions: 1, seconds: 2, securePause: 1 });
  await source.start();
  await expect.poll(() => ingest.ended.length, { timeout: 10_000 }).toBe(1);
  const [id = ''] = simulator.interactionIds;
  expect(ingest.pauses).toEqual([
    ['pause', id],
    ['resume', id],
  ]);
});

test.each([
  ['the connection was lost', { cut: true }, {}],
  ['it looked well', { cut: false }, { reconcileUs: 300_000 }],
] as const)(
  'calls that came while no notification did are found over REST: %s',
  async (_, fault, more) => {
    // Longer than a busy machine takes to find out, or a call could come and go within the gap.
    await start({ interactions: 8, seconds: 6, spreadSeconds: 2 }, more);
    await source.start();
    await expect.poll(() => ingest.opened.length).toBeGreaterThan(1);
    simulator.fault({ fault: 'notificationGap', seconds: 1, ...fault });
    await expect.poll(() => ingest.ended.length, { timeout: 20_000 }).toBe(8);
    expect(asked('/api/v2/analytics/')).toBeGreaterThan(1);
    await expect.poll(() => source.status().interactions).toBe(0);
  },
  40_000,
);

test('a server that was restarted is found again, and so are its calls', async () => {
  await start({ interactions: 4, spreadSeconds: 1 }, { retry: { baseUs: 50_000, capUs: 400_000, maxAttempts: 30 } });
  await source.start();
  await expect.poll(() => ingest.opened.length).toBeGreaterThan(0);
  simulator.fault({ fault: 'restart', downSeconds: 0.5, forgetTokens: true });
  await expect.poll(() => ingest.opened.length, { timeout: 15_000 }).toBe(4);
  await expect.poll(() => source.status().discovery?.channels[0]?.state, { timeout: 15_000 }).toBe('open');
  expect(ingest.ended).toEqual([]);
});

async function conversationsUnderWay(): Promise<string[]> {
  const { apiUrl } = simulator;
  const credentials = `Basic ${btoa('id:secret')}`;
  const form = { method: 'POST', headers: { authorization: credentials }, body: 'grant_type=client_credentials' };
  const { access_token } = (await (await fetch(`${apiUrl}/oauth/token`, form)).json()) as { access_token: string };
  const query = { paging: { pageSize: 100, pageNumber: 1 }, of: ['q', 'u'] };
  const answer = await fetch(`${apiUrl}/api/v2/analytics/conversations/details/query`, {
    method: 'POST',
    headers: { authorization: `Bearer ${access_token}` },
    body: JSON.stringify(query),
  });
  const { conversations } = (await answer.json()) as { conversations: { conversationId: string }[] };
  return conversations.map(({ conversationId }) => conversationId);
}

test('a misspelled queue or user is reported, and the others are followed', async () => {
  const users = Array.from({ length: 30 }, (_, i) => `user-${i}`);
  await start(
    { interactions: 1, queues: ['q', 'Q2'], users },
    { queues: ['q', 'q-misspelt', 'q2'], users: [...users, 'nobody'] },
  );
  await source.start();
  await expect
    .poll(() => errors)
    .toEqual([
      'There is no queue with the id q-misspelt: none of its calls will be captured. Check its spelling.',
      'There is no user with the id nobody: none of its calls will be captured. Check its spelling.',
    ]);
  await expect.poll(() => ingest.opened.length).toBe(1);
});

test('where the OAuth client may not look at queues, nothing is reported', async () => {
  await start({ interactions: 1 }, { queues: ['q', 'misspelt'] });
  simulator.faults.http = (_endpoint, { url }) => (url?.includes('/routing/') ? { status: 403 } : undefined);
  await source.start();
  await expect.poll(() => ingest.opened.length).toBe(1);
  expect(errors).toEqual([]);
});
