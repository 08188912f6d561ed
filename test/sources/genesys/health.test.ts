import { expect, it, test } from 'vitest';
import { createNode } from '../../../src/node/create-node.js';
import { genesysSubscription } from '../../../src/sources/genesys/genesys-subscription.js';
import { subscriptionChecks } from '../../../src/sources/genesys/health.js';
import type { ConnectionStatus, SourceStatus } from '../../../src/sources/genesys/source-contract.js';
import { noDisconnects } from '../../../src/sources/genesys/source-contract.js';
import { start } from '../../support/genesys/running.js';
import { until } from '../../support/until.js';

const STATUS: SourceStatus = {
  connections: [],
  interactions: 0,
  paused: 0,
  disconnects: noDisconnects(),
  signIns: { succeeded: 1, failed: 0 },
  requests: { taken: 0, left: 0, most: 0 },
  tokenAgeMs: 1,
};

function connection(state: ConnectionStatus['state'], interactions: number, lastError = ''): ConnectionStatus {
  return { connection: 0, state, interactions, streams: 0, attempts: 0, lastError };
}

test.each<[string, Partial<SourceStatus>, Record<string, string>]>([
  ['that is signed in and connected', { connections: [connection('open', 2)] }, {}],
  ['that has nothing to capture', {}, {}],
  ['whose idle connection is closed', { connections: [connection('idle', 0), connection('closed', 0)] }, {}],
  ['that is not signed in', { tokenAgeMs: undefined }, { 'genesys.signIn': 'degraded' }],
  [
    'that lost a connection',
    { connections: [connection('open', 2), connection('waiting', 1, 'refused')] },
    { 'genesys.connections': 'degraded' },
  ],
])('a subscription %s', (_, status, faults) => {
  const checks = subscriptionChecks('genesys', { ...STATUS, ...status });
  const faulty = checks.filter((check) => check.status !== 'ok').map((check) => [check.name, check.status]);
  expect(Object.fromEntries(faulty)).toEqual(faults);
  expect(checks.every(({ affects }) => affects === 'ready')).toBe(true);
});

it('names how many connections are missing, and why', () => {
  const connections = [connection('open', 2), connection('waiting', 1, 'connect ECONNREFUSED')];
  expect(subscriptionChecks('calls', { ...STATUS, connections })).toContainEqual(
    expect.objectContaining({
      name: 'calls.connections',
      reason: '1 of 2 media connections are not open. The last error: connect ECONNREFUSED',
    }),
  );
});

it('a subscription that drains takes no new calls, and waits for those that run, to the deadline', async () => {
  const simulator = await start({ interactions: 2, codec: 'pcmu', clientId: 'id', clientSecret: 'secret' });
  const [first = '', second = ''] = simulator.interactionIds;
  const { apiUrl, mediaUrl } = simulator;
  const calls = genesysSubscription({ clientId: 'id', clientSecret: 'secret', apiUrl, mediaUrl });
  await using node = await createNode({ sources: [calls], engine: { shards: 1, native: 'off' } });
  await calls.subscribe([first]);
  await until(() => node.streams().length === 1, 'the stream');
  let isDrained = false;
  const draining = node.drain(60_000).then(() => {
    isDrained = true;
  });
  await expect(calls.subscribe([second])).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
  expect(node.health().checks).toContainEqual(expect.objectContaining({ name: 'node', status: 'failing' }));
  expect(isDrained).toBe(false);
  calls.unsubscribe([first]);
  await draining;
  expect(isDrained).toBe(true);
  await node.drain(0);
});
