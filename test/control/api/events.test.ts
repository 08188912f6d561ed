import { describe, expect, it, onTestFinished } from 'vitest';
import { startSimulator } from '../../../src/simulator/genesys/simulator.js';
import { genesysSubscription } from '../../../src/sources/genesys/genesys-subscription.js';
import { makeTokenFile, startControlNode } from '../../support/control/control-node.js';
import { EventClient } from '../../support/control/event-client.js';
import { LiveCalls } from '../../support/control/live-call.js';
import { until } from '../../support/until.js';

async function open(url: string, headers: Record<string, string> = {}): Promise<EventClient> {
  const client = new EventClient(url, headers);
  onTestFinished(() => client.close());
  return client.open();
}

describe('the event stream', () => {
  it('has what a node and its sources emit, and resumes where a client left', async () => {
    const simulator = await startSimulator({ interactions: 2 });
    onTestFinished(() => simulator.close());
    const { apiUrl, mediaUrl, interactionIds } = simulator;
    const source = genesysSubscription({ clientId: 'id', clientSecret: 'secret', apiUrl, mediaUrl });
    const { node, control } = await startControlNode({}, { sources: [source] });
    const url = `${control.url}/api/v1/events`;
    const client = await open(url);
    expect(client.response?.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    await source.subscribe(interactionIds);
    const [id = '', other = ''] = interactionIds;
    await until(() => client.ofType('streamOpened').length === 2, 'both calls');
    expect(client.ofType('connected')[0]).toMatchObject({ source: 'genesys', connection: 0, again: false });
    expect(client.ofType('streamOpened').map(({ interactionId }) => interactionId)).toEqual(
      expect.arrayContaining([id, other]),
    );
    client.close();
    await until(() => control.stats().eventClients === 0, 'the client to be gone');
    node.pause(id);
    node.resume(id);
    source.unsubscribe([other]);
    const again = await open(url, { 'last-event-id': client.lastId });
    await until(() => again.ofType('streamEnded').length === 1, 'the end of a call');
    expect(again.ofType('paused').map(({ paused, by }) => [paused, by])).toEqual([
      [true, 'operator'],
      [false, 'operator'],
    ]);
    expect(again.ofType('streamEnded')).toMatchObject([
      { interactionId: other, source: 'genesys', endReason: 'unsubscribed', endedAt: expect.stringMatching(/Z$/) },
    ]);
    expect(again.ofType('missed')).toEqual([]);
  });

  it('has the types that are asked for; for a viewer, and for nobody without a token', async () => {
    const calls = new LiveCalls();
    const { file, tokens } = makeTokenFile();
    const { control, ask } = await startControlNode({ tokensFile: file }, { sources: [calls] });
    const url = `${control.url}/api/v1/events`;
    expect((await ask('/api/v1/events')).status).toBe(401);
    const headers = { authorization: `Bearer ${tokens.viewer}` };
    const client = await open(`${url}?types=streamEnded`, headers);
    const only = await open(`${url}?interactionId=call-2`, headers);
    for (const id of ['call-1', 'call-2']) calls.open(id);
    for (const id of ['call-1', 'call-2']) calls.end(id);
    await until(() => client.events.length === 2 && only.events.length >= 3, 'the ends');
    expect(client.events.map(({ event }) => event)).toEqual(['streamEnded', 'streamEnded']);
    expect(new Set(only.events.map(({ data }) => data['interactionId']))).toEqual(new Set(['call-2']));
    for (const types of ['a b', 'x'.repeat(100), 'a,'.repeat(100)]) {
      const answer = await ask(`/api/v1/events?types=${encodeURIComponent(types)}`, { token: tokens.viewer });
      expect(answer.status, types).toBe(400);
    }
  });

  it('ends when the node closes, after its last event', async () => {
    const calls = new LiveCalls();
    const { node, control } = await startControlNode({}, { sources: [calls] });
    const client = await open(`${control.url}/api/v1/events`);
    calls.open('call-1');
    await until(() => client.events.length === 1, 'the call');
    await node.close();
    await until(() => client.isOver, 'the end of the stream');
    expect(client.ofType('streamEnded')).toMatchObject([{ interactionId: 'call-1', endReason: 'stopped' }]);
  });
});

describe('fifty clients of a node with calls, of which ten never read', () => {
  it('have every event, and cost a bounded amount; those that do not read are told or cut off', async () => {
    const calls = new LiveCalls();
    const limits = { stalledMs: 2_000 };
    const { node, control } = await startControlNode({ limits }, { sources: [calls], engine: { maxStreams: 256 } });
    const url = `${control.url}/api/v1/events`;
    const readers: EventClient[] = [];
    for (let n = 0; n < 40; n++) readers.push(await open(`${url}?types=streamOpened,streamEnded`));
    for (let n = 0; n < 10; n++) {
      const client = new EventClient(url);
      onTestFinished(() => client.close());
      await client.open({ read: false });
    }
    expect(control.stats()).toMatchObject({ eventClients: 50 });
    const before = process.memoryUsage().arrayBuffers;
    const text = 'x'.repeat(12_000);
    for (let n = 0; n < 1_000; n++) {
      calls.open(`call-${n}`);
      calls.end(`call-${n}`);
      node.emit('sourceEvent', { source: 'calls', name: 'note', values: [{ text }] });
      if (n % 125 === 124) await until(() => readers.every(({ events }) => events.length === 2 * n + 2), `call ${n}`);
    }
    for (const { events } of readers) {
      expect(events.filter(({ event }) => event === 'streamEnded')).toHaveLength(1_000);
      expect(events.filter(({ event }) => event === 'missed')).toHaveLength(0);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40e6);
    await until(() => control.stats().eventClients === 40, 'those who do not read to be cut off');
    expect(node.streams()).toEqual([]);
  }, 60_000);
});
