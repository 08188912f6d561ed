import { expect, it } from 'vitest';
import { createNode } from '../../../src/node/create-node.js';
import { genesysSubscription } from '../../../src/sources/genesys/genesys-subscription.js';
import { start } from '../../support/genesys/running.js';
import { until } from '../../support/until.js';

it('an interaction that is ended is unsubscribed from, and the others go on', async () => {
  const simulator = await start({ interactions: 2, codec: 'pcmu', clientId: 'id', clientSecret: 'secret' });
  const [first = '', second = ''] = simulator.interactionIds;
  const { apiUrl, mediaUrl } = simulator;
  const calls = genesysSubscription({ clientId: 'id', clientSecret: 'secret', apiUrl, mediaUrl });
  await using node = await createNode({ sources: [calls], engine: { shards: 1, native: 'off' } });
  const ends: string[] = [];
  node.on('streamEnded', ({ interactionId }, { endReason }) => ends.push(`${interactionId} ${endReason}`));
  await calls.subscribe([first, second]);
  await until(() => [...calls.interactions()].every(({ state }) => state === 'streaming'), 'both streams');
  expect([...calls.interactions()].map(({ interactionId }) => interactionId)).toEqual([first, second]);
  expect(calls.end(first.toUpperCase())).toBe(true);
  await until(() => ends.length > 0, 'the end of the stream');
  expect(ends).toEqual([`${first} unsubscribed`]);
  await until(() => [...calls.interactions()].length === 1, 'the interaction to be gone');
  expect(calls.end(first)).toBe(false);
  expect([...calls.interactions()]).toEqual([{ interactionId: second, state: 'streaming' }]);
});

it('an interaction without media yet is subscribing', async () => {
  const simulator = await start({ interactions: 1, codec: 'pcmu', clientId: 'id', clientSecret: 'secret' });
  const { apiUrl, mediaUrl } = simulator;
  const calls = genesysSubscription({ clientId: 'id', clientSecret: 'secret', apiUrl, mediaUrl });
  expect([...calls.interactions()]).toEqual([]);
  expect(calls.end('none')).toBe(false);
  await using node = await createNode({ sources: [calls], engine: { shards: 1, native: 'off' } });
  const subscribed = calls.subscribe(simulator.interactionIds);
  const [interactionId] = simulator.interactionIds;
  expect([...calls.interactions()]).toEqual([{ interactionId, state: 'subscribing' }]);
  await subscribed;
  await node.close();
});
