import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { TrunklineError } from '../../../src/core/errors.js';
import { type Refusal, zeroCounters } from '../../../src/sources/genesys/counters.js';
import { type SourceOptions, SubscriptionSource } from '../../../src/sources/genesys/source.js';
import { FakeIngest } from '../../support/genesys/fake-ingest.js';
import { FakePlatform, json } from '../../support/genesys/fake-platform.js';

// Real sockets on loopback and the real SDK; waits are shortened, never awaited by the clock.
const QUICK = { baseUs: 20_000, capUs: 100_000, maxAttempts: 5 };

let platform: FakePlatform;
let ingest: FakeIngest;
let source: SubscriptionSource;
let events: [string, unknown][];

function make(options: Partial<SourceOptions> = {}): SubscriptionSource {
  const { apiUrl, mediaUrl } = platform;
  source = new SubscriptionSource(ingest, {
    clientId: 'id',
    clientSecret: 'secret',
    apiUrl,
    mediaUrl,
    retry: QUICK,
    mediaRetry: QUICK,
    ...options,
  });
  for (const name of [
    'connected',
    'disconnected',
    'heartbeat',
    'maxReconnectReached',
    'interactionEnded',
    'idle',
    'refused',
    'error',
  ] as const) {
    source.on(name, (detail?: unknown) => events.push([name, detail]));
  }
  return source;
}

/** Does as the platform's own server does: announces, and confirms the end. */
function obey(socket: WebSocket, message: Record<string, unknown>): void {
  const { interactions, unsubscribe } = message as {
    interactions?: { interactionId: string }[];
    unsubscribe?: string[];
  };
  if (interactions !== undefined) {
    const announced = interactions.map(({ interactionId }) => ({
      interactionId,
      codec: 'pcmu',
      clockRate: 8000,
      channels: 1,
    }));
    socket.send(JSON.stringify({ type: 'subscribed', interactions: announced }));
  }
  for (const interactionId of unsubscribe ?? []) {
    socket.send(JSON.stringify({ type: 'ended', interactionId, reason: 'unsubscribed' }));
  }
}

function packet(interactionId: string, sequenceNumber: number, more: object = {}): string {
  const payload = Buffer.alloc(160, 0xff).toString('base64');
  return JSON.stringify({ interactionId, sequenceNumber, timestamp: sequenceNumber * 160, payload, ...more });
}

/** The platform's only, or latest, socket once the client has subscribed on it. */
async function subscribedSocket(count = 1): Promise<WebSocket> {
  await expect.poll(() => platform.received.filter((message) => 'interactions' in message).length).toBe(count);
  const socket = platform.sockets.at(-1);
  if (socket === undefined) throw new Error('no socket');
  return socket;
}

const named = (name: string) => events.filter(([event]) => event === name).map(([, detail]) => detail);

beforeEach(async () => {
  platform = await FakePlatform.start();
  platform.onMessage = obey;
  ingest = new FakeIngest();
  events = [];
});

afterEach(async () => {
  await source.stop();
  await platform.stop();
});

describe('SubscriptionSource', () => {
  test('subscribes, feeds the engine, and takes its leave so that both ledgers agree', async () => {
    make();
    await source.start();
    expect(await source.subscribe(['a', 'b', 'a'])).toEqual([
      { interactionId: 'a', availability: 'active' },
      { interactionId: 'b', availability: 'active' },
    ]);
    await expect.poll(() => ingest.opened.length).toBe(2);
    const [socket] = platform.sockets as [WebSocket];
    for (let i = 0; i < 5; i++) socket.send(packet('a', 65534 + i));
    await expect.poll(() => ingest.sequencesOf('a')).toEqual([65534, 65535, 65536, 65537, 65538]);
    // What comes between the unsubscription and its confirmation still counts.
    platform.onMessage = (client, message) => {
      client.send(packet('a', 65539));
      obey(client, message);
    };
    const closed = once(socket, 'close');
    await source.stop();
    expect(ingest.sequencesOf('a')).toHaveLength(6);
    expect(ingest.ended).toEqual([
      { id: 'a', reason: 'stopped' },
      { id: 'b', reason: 'stopped' },
    ]);
    expect((await closed)[0]).toBe(1000);
    expect(platform.requests).toEqual([
      'POST /oauth/token',
      'GET /api/v2/conversations/a',
      'GET /api/v2/conversations/b',
      'upgrade',
    ]);
    expect(named('idle')).toHaveLength(1);
    expect(source.counters()).toEqual({ ...zeroCounters(), messages: source.counters().messages });
    await expect(source.subscribe(['c'])).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
  });

  test('a dropped connection comes back, and the streams go on', async () => {
    make();
    await source.subscribe(['a', 'b']);
    let socket = await subscribedSocket();
    socket.send(packet('a', 1));
    await expect.poll(() => ingest.packets.length).toBe(1);
    socket.terminate();
    socket = await subscribedSocket(2);
    socket.send(packet('a', 50));
    await expect.poll(() => ingest.packets.length).toBe(2);
    expect(ingest.opened).toHaveLength(2);
    expect(ingest.ended).toEqual([]);
    expect(ingest.interrupted.toSorted()).toEqual(['a', 'b']);
    expect(named('disconnected')).toEqual([{ connection: 0, interactions: 2, code: 1006, reason: '' }]);
    expect(named('connected')).toMatchObject([{ again: false }, { again: true }]);
    expect(source.counters().reconnects).toBe(1);
    expect(source.status().connections).toMatchObject([{ state: 'open', interactions: 2, attempts: 0 }]);
  });

  test('a server that is gone forever: lost', async () => {
    make();
    await source.subscribe(['a']);
    const socket = await subscribedSocket();
    await expect.poll(() => ingest.opened.length).toBe(1);
    platform.onUpgrade = () => ({ status: 502, headers: { 'content-type': 'text/html' } });
    socket.terminate();
    await expect.poll(() => named('idle').length).toBe(1);
    expect(named('maxReconnectReached')).toEqual([{ connection: 0, attempts: 5 }]);
    expect(ingest.ended).toEqual([{ id: 'a', reason: 'lost' }]);
    const [error] = named('error') as TrunklineError[];
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED' });
    expect(error?.message).toMatch(/HTTP 502 and a web page instead of a WebSocket/);
    expect(source.status().connections).toEqual([]);
  });

  test('a refused handshake renews the token', async () => {
    const seen: (string | undefined)[] = [];
    platform.onUpgrade = ({ headers }) => {
      seen.push(headers.authorization);
      return seen.length === 1 ? { status: 401 } : undefined;
    };
    make();
    await source.subscribe(['a']);
    await subscribedSocket();
    expect(seen).toEqual(['Bearer token-0', 'Bearer token-1']);
    expect(named('error')).toEqual([]);
  });

  test('malformed, wrongly typed, unknown and garbled messages are counted, and nothing else happens', async () => {
    make();
    await source.subscribe(['a']);
    const socket = await subscribedSocket();
    socket.send('{"interactionId":');
    socket.send(packet('a', -1));
    socket.send(packet('a', 1, { timestamp: 'x' }));
    socket.send(packet('nobody', 1));
    socket.send(packet('nobody', 2));
    socket.send(packet('a', 1, { payload: '####' }));
    socket.send('{"status":400,"code":"odd"}');
    socket.send(Buffer.from([1, 2, 3]));
    socket.send(packet('a', 2));
    await expect.poll(() => ingest.sequencesOf('a')).toEqual([2]);
    expect(source.counters()).toEqual({
      ...zeroCounters(),
      messages: 9,
      malformed: 3,
      unknownInteraction: 2,
      badBase64: 1,
      controlErrors: 1,
      unknownMessages: 1,
    });
    // The first of each kind is reported.
    const refused = (named('refused') as Refusal[]).map(({ kind, interactionId }) => `${kind} ${interactionId}`.trim());
    expect(refused.toSorted()).toEqual(['badBase64', 'malformed', 'unknownInteraction nobody', 'unknownMessages']);
    expect(ingest.opened).toHaveLength(1);
  });

  test('a message of 10 MB costs its connection, and no more', async () => {
    make({ interactionsPerConnection: 1 });
    await source.subscribe(['a', 'b']);
    await subscribedSocket(2);
    const [first, second] = platform.sockets as [WebSocket, WebSocket];
    const closed = once(first, 'close');
    first.send(packet('a', 1, { payload: 'A'.repeat(10_000_000) }));
    await closed;
    await subscribedSocket(3);
    expect(second.readyState).toBe(second.OPEN);
    expect(source.counters()).toMatchObject({ oversize: 1, reconnects: 1 });
    expect(ingest.ended).toEqual([]);
  });

  test('a server that announces nothing: the first packet tells the format', async () => {
    platform.onMessage = () => {};
    make({ codecPreferences: ['opus', 'pcma'], opusSampleRate: 16_000 });
    await source.subscribe(['a', 'b', 'c', 'd']);
    const socket = await subscribedSocket();
    socket.send(packet('a', 1));
    socket.send(packet('b', 1, { codec: 'opus', channel: 1 }));
    socket.send(packet('c', 1, { payload: Buffer.alloc(37, 1).toString('base64') }));
    await expect.poll(() => ingest.packets.length).toBe(3);
    expect(ingest.opened.toSorted((one, other) => (one.id < other.id ? -1 : 1))).toEqual([
      { id: 'a', format: { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } },
      { id: 'b', format: { codec: 'opus', clockRate: 48000, sampleRate: 16000, channels: 2 } },
      { id: 'c', format: { codec: 'opus', clockRate: 48000, sampleRate: 16000, channels: 1 } },
    ]);
    const channels = ingest.packets.map(({ stream, channel }) => `${ingest.idOf(stream)} ${channel}`);
    expect(channels.toSorted()).toEqual(['a 0', 'b 1', 'c 0']);
  });

  test('another codec after a reconnect continues in another stream', async () => {
    platform.onMessage = () => {};
    make();
    await source.subscribe(['a']);
    let socket = await subscribedSocket();
    socket.send(packet('a', 1, { codec: 'pcmu' }));
    await expect.poll(() => ingest.packets.length).toBe(1);
    socket.terminate();
    socket = await subscribedSocket(2);
    socket.send(packet('a', 2, { codec: 'pcma' }));
    await expect.poll(() => ingest.packets.length).toBe(2);
    expect(ingest.ended).toEqual([{ id: 'a', reason: 'formatChanged' }]);
    expect(ingest.opened.map(({ format }) => format.codec)).toEqual(['pcmu', 'pcma']);
  });

  test('a server that goes on changing formats opens few streams and loses the interaction', async () => {
    platform.onMessage = () => {};
    make();
    await source.subscribe(['a', 'b']);
    const socket = await subscribedSocket();
    const announce = (...codecs: string[]) => {
      const interactions = codecs.map((codec) => ({ interactionId: 'a', codec }));
      socket.send(JSON.stringify({ type: 'subscribed', interactions }));
    };
    for (let i = 0; i < 30; i++) {
      const codecs = Array.from({ length: 600 }, (_, at) => ((i + at) % 2 === 0 ? 'pcmu' : 'pcma'));
      announce(...codecs);
    }
    socket.send(packet('a', 1));
    socket.send(packet('b', 1));
    // The server does not confirm the unsubscription, which is waited for a second.
    await expect
      .poll(() => named('interactionEnded'), { timeout: 5_000 })
      .toMatchObject([{ interactionId: 'a', reason: 'error' }]);
    // The first of each message counts; after the twentieth change the stream is over, and no other one opens.
    const opened = ingest.opened.map(({ id, format }) => `${id} ${format.codec}`);
    expect(opened.filter((stream) => stream.startsWith('a'))).toEqual(
      Array.from({ length: 21 }, (_, i) => (i % 2 === 0 ? 'a pcmu' : 'a pcma')),
    );
    expect(ingest.ended.map(({ reason }) => reason)).toEqual([...new Array(20).fill('formatChanged'), 'error']);
    expect(named('error')).toMatchObject([{ code: 'PROTOCOL_ERROR' }]);
    expect(named('error').map(String)[0]).toMatch(/changed the format of a 21 times/);
    expect(source.counters().unknownInteraction).toBe(1);
    expect(source.status().connections).toMatchObject([{ state: 'open', interactions: 1 }]);
  });

  test('an interaction that is leaving opens nothing any more', async () => {
    platform.onMessage = () => {};
    make();
    await source.subscribe(['a', 'b']);
    const socket = await subscribedSocket();
    source.unsubscribe(['a']);
    await expect.poll(() => platform.received.at(-1)).toEqual({ unsubscribe: ['a'] });
    socket.send(JSON.stringify({ type: 'subscribed', interactions: [{ interactionId: 'a', codec: 'pcmu' }] }));
    socket.send(packet('a', 1));
    socket.send(packet('b', 1));
    await expect.poll(() => ingest.packets.length).toBe(1);
    expect(ingest.opened.map(({ id }) => id)).toEqual(['b']);
    expect(source.counters().unknownInteraction).toBe(1);
  });

  test('an interaction that the server ends', async () => {
    make();
    await source.subscribe(['a', 'b']);
    const socket = await subscribedSocket();
    socket.send(packet('a', 1));
    socket.send(JSON.stringify({ type: 'ended', interactionId: 'a', reason: 'hangup' }));
    await expect.poll(() => ingest.ended).toEqual([{ id: 'a', reason: 'ended' }]);
    expect(ingest.sequencesOf('a')).toEqual([1]);
    expect(named('interactionEnded')).toEqual([{ interactionId: 'a', reason: 'ended', detail: 'hangup' }]);
    socket.send(packet('a', 2));
    socket.send(JSON.stringify({ type: 'ended', interactionId: 'b' }));
    await expect.poll(() => source.status().connections).toEqual([]);
    expect(source.counters().unknownInteraction).toBe(1);
  });

  test('unsubscribing, and subscribing again before it is confirmed', async () => {
    make();
    await source.subscribe(['a', 'b']);
    const socket = await subscribedSocket();
    await expect.poll(() => ingest.opened.length).toBe(2);
    platform.onMessage = () => {};
    source.unsubscribe(['a', 'nobody']);
    await source.subscribe(['a']);
    await expect.poll(() => platform.received.at(-1)).toEqual({ unsubscribe: ['a'] });
    platform.onMessage = obey;
    socket.send(JSON.stringify({ type: 'ended', interactionId: 'a' }));
    await expect.poll(() => ingest.opened.map(({ id }) => id)).toEqual(['a', 'b', 'a']);
    expect(ingest.ended).toEqual([{ id: 'a', reason: 'unsubscribed' }]);
  });

  test('media that is not available: asked for again, then given up', async () => {
    platform.onMessage = (socket, message) => {
      const { interactions = [] } = message as { interactions?: { interactionId: string }[] };
      for (const { interactionId } of interactions) {
        if (interactionId === 'a')
          socket.send(JSON.stringify({ status: 400, code: 'mediaNotAvailable', interactionId }));
      }
    };
    make();
    await source.subscribe(['a', 'b']);
    await expect
      .poll(() => named('interactionEnded'))
      .toEqual([{ interactionId: 'a', reason: 'mediaNotAvailable', detail: 'no media after 6 subscriptions' }]);
    expect(platform.requests.filter((request) => request.endsWith('/a'))).toHaveLength(6);
    expect(source.counters().controlErrors).toBe(6);
    expect(source.status().connections).toMatchObject([{ interactions: 1 }]);
  });

  test('interactions that are over are not subscribed to', async () => {
    platform.conversation = (id, response) => {
      if (id === 'gone') json(response, 404, {});
      else json(response, 200, { endTime: new Date(Date.now() - (id === 'old' ? 90_000 : 20_000)).toISOString() });
    };
    make();
    expect((await source.subscribe(['gone', 'old', 'just'])).map(({ availability }) => availability)).toEqual([
      'notFound',
      'expired',
      'ended',
    ]);
    await subscribedSocket();
    expect(platform.received).toMatchObject([{ interactions: [{ interactionId: 'just' }] }]);
    expect(named('interactionEnded')).toHaveLength(2);
  });

  test('more than fifty interactions take several connections, evenly', async () => {
    make({ availabilityCheck: 'never' });
    await source.subscribe(Array.from({ length: 120 }, (_, i) => `call-${i}`));
    await expect.poll(() => ingest.opened.length).toBe(120);
    expect(source.status().connections.map(({ interactions }) => interactions)).toEqual([40, 40, 40]);
    expect(platform.tokens).toHaveLength(1);
  });

  test('beyond the request budget, the media server is asked instead', async () => {
    make();
    const results = await source.subscribe(Array.from({ length: 100 }, (_, i) => `call-${i}`));
    const unchecked = results.filter(({ availability }) => availability === 'unchecked').length;
    expect(unchecked).toBeGreaterThan(50);
    expect(unchecked).toBeLessThan(70);
    await expect.poll(() => ingest.opened.length).toBe(100);
  });

  test('a stream that the engine refuses is given up, and said so', async () => {
    ingest.refuse = new TrunklineError('CODEC_UNSUPPORTED', 'no such thing');
    make();
    await source.subscribe(['a']);
    await expect.poll(() => named('interactionEnded')).toMatchObject([{ interactionId: 'a', reason: 'error' }]);
    expect(named('error')).toMatchObject([{ code: 'CODEC_UNSUPPORTED' }]);
  });

  test('heartbeats', async () => {
    make({ pingUs: 20_000 });
    await source.subscribe(['a']);
    await expect.poll(() => named('heartbeat').length).toBeGreaterThan(2);
  });

  test('wrong credentials are thrown to the caller', async () => {
    platform.onToken = (_request, response) => {
      json(response, 401, {});
      return true;
    };
    make();
    await expect(source.start()).rejects.toMatchObject({ code: 'AUTH_FAILED' });
    await expect(source.subscribe(['a'])).rejects.toMatchObject({ code: 'AUTH_FAILED' });
    await expect(source.subscribe(['a b'])).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
