import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventHub, type EventHubOptions } from '../../../src/control/live/event-hub.js';
import type { EventFilter } from '../../../src/control/live/event-stream.js';
import { ManualClock } from '../../../src/core/clock.js';
import { GuardedEmitter } from '../../../src/core/emitter.js';
import { TrunklineError } from '../../../src/core/errors.js';
import type { NodeEvents } from '../../../src/sinks/events/event-sink.js';
import { EventClient } from '../../support/control/event-client.js';
import { streamInfo } from '../../support/frames.js';
import { until } from '../../support/until.js';

let node: GuardedEmitter<NodeEvents>;
let clock: ManualClock;
let hub: EventHub;
let server: Server;
let url: string;
const clients: EventClient[] = [];

beforeEach(async () => {
  node = new GuardedEmitter<NodeEvents>();
  clock = new ManualClock();
  server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://localhost');
    const types = searchParams.get('types');
    const interactionId = searchParams.get('interactionId');
    const filter: EventFilter = {
      ...(types === null ? {} : { types: new Set(types.split(',')) }),
      ...(interactionId === null ? {} : { interactionId }),
    };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const lastEventId = request.headers['last-event-id'];
    hub.add(response, filter, typeof lastEventId === 'string' ? lastEventId : undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterEach(() => {
  hub.close();
  for (const client of clients.splice(0)) client.close();
  server.closeAllConnections();
  server.close();
});

function start(options: Partial<EventHubOptions> = {}): void {
  hub = new EventHub(node, clock, { stalledMs: 20_000, ...options });
}

async function connect(query = '', lastId?: string): Promise<EventClient> {
  const client = new EventClient(`${url}${query}`, lastId === undefined ? {} : { 'last-event-id': lastId });
  clients.push(client);
  return client.open();
}

const info = streamInfo({ interactionId: 'call-1', source: 'genesys' });

function pause(interactionId: string, paused = true): void {
  node.emit('paused', { interactionId, paused, by: 'operator' });
}

describe('what is sent', () => {
  it('has the fields of each event by name, with its time, source and interaction', async () => {
    start();
    const client = await connect();
    node.emit('streamOpened', info);
    node.emit('silence', { info, channel: 0, silent: true, positionSamples: 12_000 });
    node.emit('marked', { info, channel: 0, state: 'paused', startSamples: 800, lengthSamples: 1600 });
    node.emit('error', new TrunklineError('FILE_FAILED', 'The disk is full.'));
    node.emit('sourceEvent', { source: 'genesys', name: 'connected', values: [{ connection: 3, again: false }] });
    await until(() => client.events.length === 5, 'five events');
    const at = new Date(clock.wallMs()).toISOString();
    expect(client.events.map(({ event, data }) => [event, data])).toEqual([
      [
        'streamOpened',
        {
          ...{ type: 'streamOpened', at, source: 'genesys', interactionId: 'call-1' },
          ...{ codec: 'pcmu', sampleRate: 8000, channels: 1, startedAt: '2023-11-14T22:13:20.000Z' },
        },
      ],
      [
        'silence',
        {
          ...{ type: 'silence', at, source: 'genesys', interactionId: 'call-1' },
          ...{ channel: 0, silent: true, positionMs: 1500 },
        },
      ],
      [
        'marked',
        {
          ...{ type: 'marked', at, source: 'genesys', interactionId: 'call-1' },
          ...{ channel: 0, state: 'paused', startMs: 100, lengthMs: 200 },
        },
      ],
      ['error', { type: 'error', at, name: 'TrunklineError', code: 'FILE_FAILED', message: 'The disk is full.' }],
      ['connected', { type: 'connected', at, source: 'genesys', connection: 3, again: false }],
    ]);
    const numbers = client.events.map(({ id }) => Number(id.split('-')[1]));
    expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] ?? 0) + i));
  });

  it('has the kind of a silence, and positions on the time line of the call, which begins with its first stream', async () => {
    start();
    const client = await connect();
    const later = { ...info, segment: { number: 2, firstStartedAtMs: 0, startMs: 5000 } };
    node.emit('silence', { info: later, channel: 1, silent: true, kind: 'digital', positionSamples: 800 });
    node.emit('marked', { info: later, channel: 1, state: 'lost', startSamples: 1600, lengthSamples: 80 });
    await until(() => client.events.length === 2, 'two events');
    expect(client.events.map(({ data }) => data)).toMatchObject([
      { silent: true, kind: 'digital', positionMs: 5100 },
      { state: 'lost', startMs: 5200, lengthMs: 10 },
    ]);
  });

  it('is what the filter passes, by type and by interaction', async () => {
    start();
    const typed = await connect('?types=paused,connected');
    const one = await connect('?interactionId=call-2');
    node.emit('streamOpened', info);
    pause('call-1');
    pause('call-2');
    node.emit('sourceEvent', { source: 'genesys', name: 'connected', values: [{ connection: 0 }] });
    node.emit('sourceEvent', { source: 'genesys', name: 'heartbeat', values: [{ connection: 0 }] });
    await until(() => typed.events.length === 3 && one.events.length === 1, 'the events that they want');
    expect(typed.events.map(({ event }) => event)).toEqual(['paused', 'paused', 'connected']);
    expect(one.events[0]?.data).toMatchObject({ type: 'paused', interactionId: 'call-2' });
  });

  it('stays a well-formed stream, whatever an event of a source is like', async () => {
    start();
    const client = await connect();
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const send = (name: string, ...values: unknown[]) => node.emit('sourceEvent', { source: 'own', name, values });
    send('circle', circle);
    send('large', { interactionId: 'call-1', text: 'x'.repeat(100_000) });
    send('bad name\nevent: forged', {});
    send('streamOpened', { interactionId: 'forged' });
    send('lines', {
      text: 'a\n\nevent: forged\r\n\r\n',
      count: 1n,
      bytes: new Uint8Array(10),
      failure: new Error('why'),
    });
    send('bare', 'text');
    send('empty');
    await until(() => client.ofType('empty').length === 1, 'the last event');
    expect(client.events.map(({ event }) => event)).toEqual(['circle', 'large', 'lines', 'bare', 'empty']);
    expect(client.ofType('large')).toMatchObject([{ interactionId: 'call-1', isCut: true }]);
    expect(client.ofType('lines')).toMatchObject([
      { text: 'a\n\nevent: forged\r\n\r\n', count: '1', failure: { message: 'why' } },
    ]);
    expect(client.ofType('bare')).toMatchObject([{ source: 'own', value: 'text' }]);
  });

  it('is announced by comments while nothing happens', async () => {
    start();
    const client = await connect();
    expect(client.comments).toEqual([]);
    clock.advanceUs(16_000_000);
    await until(() => client.comments.length > 0, 'a heartbeat', 5_000);
    expect(client.events).toEqual([]);
  });
});

describe('a client that comes back', () => {
  it('has every event once, in order', async () => {
    start();
    const client = await connect();
    pause('call-1');
    await until(() => client.events.length === 1, 'the first event');
    client.close();
    for (let n = 2; n <= 30; n++) pause(`call-${n}`);
    const again = await connect('', client.lastId);
    pause('call-31');
    await until(() => again.events.length === 30, 'the rest');
    expect(again.events.map(({ data }) => data['interactionId'])).toEqual(
      Array.from({ length: 30 }, (_, i) => `call-${i + 2}`),
    );
  });

  it('is told how many events it has missed when the ring no longer has them', async () => {
    start({ keptEvents: 10 });
    const client = await connect('?types=paused');
    client.close();
    for (let n = 1; n <= 25; n++) pause(`call-${n}`);
    const again = await connect('?types=paused', client.lastId);
    await until(() => again.events.length === 11, 'the events that are kept');
    expect(again.events[0]).toMatchObject({ event: 'missed', data: { missed: 15, reason: 'tooOld' } });
    expect(again.ofType('paused').map((data) => data['interactionId'])).toEqual(
      Array.from({ length: 10 }, (_, i) => `call-${i + 16}`),
    );
  });

  it('is told that it has missed an unknown number after a restart, and with an id that was never given', async () => {
    start();
    const first = await connect();
    pause('call-1');
    await until(() => first.events.length === 1, 'the first event');
    for (const id of ['00000000-5', 'nonsense', `${first.lastId}99`]) {
      const client = await connect('', id);
      await until(() => client.events.length === 2, 'the gap and what is known');
      expect(client.events.map(({ event }) => event)).toEqual(['missed', 'paused']);
      expect(client.events[0]?.data).toEqual({ type: 'missed', missed: null, reason: 'restarted' });
    }
  });

  it('is told so when nobody had wanted these events in between', async () => {
    start();
    const client = await connect('?types=streamOpened');
    pause('call-1');
    const other = await connect('?types=streamOpened,paused', client.lastId);
    pause('call-2');
    await until(() => other.events.length === 2, 'the gap and the next event');
    expect(other.events[0]?.data).toEqual({ type: 'missed', missed: null, reason: 'notRecorded' });
    expect(other.events[1]?.data).toMatchObject({ interactionId: 'call-2' });
  });
});

describe('what the hub costs', () => {
  it('listens to nothing without clients, and a minute after the last one has left', async () => {
    start();
    expect(node.eventNames()).toEqual([]);
    const client = await connect('?types=paused');
    expect(node.eventNames()).toEqual(['paused']);
    client.close();
    await until(() => hub.stats().clients === 0, 'the client to be gone');
    clock.advanceUs(30_000_000);
    const again = await connect('?types=paused', client.lastId);
    clock.advanceUs(50_000_000);
    again.close();
    await until(() => hub.stats().clients === 0, 'the client to be gone');
    expect(node.eventNames()).toEqual(['paused']);
    clock.advanceUs(61_000_000);
    await until(() => node.eventNames().length === 0, 'the hub to stop listening', 5_000);
    pause('call-1');
    const late = await connect('?types=paused', again.lastId);
    await until(() => late.events.length === 1, 'the gap');
    expect(late.events[0]?.data).toMatchObject({ missed: null, reason: 'notRecorded' });
  });

  it('refuses more clients than the limit', async () => {
    start({ maxClients: 2 });
    await connect();
    await connect();
    expect(hub.admits()).toBe(false);
    expect(hub.stats()).toMatchObject({ clients: 2, refused: 1 });
  });

  it('of clients that never read is bounded; they are told their gap or cut off, and the others miss nothing', async () => {
    start({ keptEvents: 500 });
    const readers: EventClient[] = [];
    for (let n = 0; n < 40; n++) readers.push(await connect('?types=small'));
    const idle: EventClient[] = [];
    for (let n = 0; n < 10; n++) {
      const client = new EventClient(url);
      clients.push(client);
      idle.push(await client.open({ read: false }));
    }
    expect(hub.stats().clients).toBe(50);
    const text = 'x'.repeat(12_000);
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 1; n <= 1_500; n++) {
      node.emit('sourceEvent', { source: 'own', name: 'small', values: [{ n }] });
      node.emit('sourceEvent', { source: 'own', name: 'large', values: [{ text }] });
      if (n % 150 === 0) await until(() => readers.every(({ events }) => events.length === n), `event ${n}`);
    }
    for (const { events } of readers) expect(events.map(({ data }) => data['n'])).toEqual(sequence(1, 1_500));
    // Each of the ten has been sent 18 MB, of which its socket has taken some; the rest would be 100 MB and more.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40e6);
    expect(hub.stats()).toMatchObject({ clients: 50, missed: 0, cut: 0 });

    // One of them reads again.
    const late = idle[0] as EventClient;
    late.response?.resume();
    late.response?.setEncoding('utf8').on('data', (chunk: string) => {
      if (chunk.includes('event: missed')) late.comments.push('missed');
    });
    await until(() => late.comments.includes('missed'), 'the gap to be told');
    expect(hub.stats().missed).toBeGreaterThan(0);
    clock.advanceUs(21_000_000);
    await until(() => hub.stats().cut === 9, 'the others to be cut off', 5_000);
    await until(() => hub.stats().clients === 41, 'them to be gone');
  }, 60_000);
});

function sequence(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
