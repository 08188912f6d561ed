import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import WebSocket from 'ws';
import { ManualClock } from '../../../src/core/clock.js';
import type { Simulator } from '../../../src/simulator/genesys/simulator.js';
import { Listener, requestToken, signIn } from '../../support/genesys/listener.js';
import { start } from '../../support/genesys/running.js';

const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';

async function handshakeStatus(url: string, authorization?: string): Promise<number> {
  const socket = new WebSocket(url, { headers: authorization === undefined ? {} : { authorization } });
  socket.on('error', () => {});
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  socket.terminate();
  return response.statusCode;
}

function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
}

function conversation(simulator: Simulator, id: string, token: string): Promise<Response> {
  return fetch(`${simulator.apiUrl}/api/v2/conversations/${id}`, { headers: { authorization: `Bearer ${token}` } });
}

test('tokens are given for the right credentials, differ each time, and expire', async () => {
  const clock = new ManualClock();
  const simulator = await start({ clientId: 'id', clientSecret: 'pass:word', tokenSeconds: 0.3 }, clock);
  expect((await requestToken(simulator, basic('id', 'wrong'))).status).toBe(401);
  expect((await requestToken(simulator, basic('', ''))).status).toBe(401);
  expect((await requestToken(simulator, 'Bearer x')).status).toBe(401);
  const body: unknown = await (await requestToken(simulator, basic('id', 'pass:word'))).json();
  expect(body).toMatchObject({ token_type: 'bearer', expires_in: 0.3 });
  const token = await signIn(simulator, 'id', 'pass:word');
  expect(token).not.toBe(await signIn(simulator, 'id', 'pass:word'));
  const [id = ''] = simulator.interactionIds;
  expect((await conversation(simulator, id, token)).status).toBe(200);
  clock.advanceUs(300_000);
  expect((await conversation(simulator, id, token)).status).toBe(401);
  expect(await handshakeStatus(simulator.mediaUrl, `Bearer ${token}`)).toBe(401);
});

test('without configured credentials any that are not empty will do', async () => {
  const simulator = await start({});
  expect((await requestToken(simulator, basic('anyone', 'anything'))).status).toBe(200);
  expect((await requestToken(simulator, basic('anyone', ''))).status).toBe(401);
});

test('the grant must be client_credentials', async () => {
  const simulator = await start({});
  const response = await fetch(`${simulator.apiUrl}/oauth/token`, {
    method: 'POST',
    headers: { authorization: basic('a', 'b') },
    body: 'grant_type=password',
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: 'unsupported_grant_type' });
});

test('a media handshake needs a token and the right path', async () => {
  const simulator = await start({});
  expect(await handshakeStatus(simulator.mediaUrl)).toBe(401);
  expect(await handshakeStatus(simulator.mediaUrl, 'Bearer nonsense')).toBe(401);
  const token = await signIn(simulator);
  expect(await handshakeStatus(`${simulator.mediaUrl}/other`, `Bearer ${token}`)).toBe(404);
});

test('a malformed handshake is refused, and others are served on', async () => {
  const simulator = await start({});
  const { port, hostname, pathname } = new URL(simulator.mediaUrl);
  const token = await signIn(simulator);
  const requests = [
    'nonsense\r\n\r\n',
    `GET ${pathname} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    `GET // HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    'GET //[ HTTP/1.1\r\nHost: x\r\n\r\n',
  ];
  for (const request of requests) {
    const socket = connect(Number(port), hostname);
    socket.end(request);
    let answer = '';
    for await (const chunk of socket.setEncoding('latin1')) answer += String(chunk);
    expect(answer, request).toMatch(/^HTTP\/1\.1 4\d\d /);
  }
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  await listener.control({ type: 'subscribed' });
});

test('subscribed names the format of every interaction', async () => {
  const simulator = await start({ interactions: 10, codec: 'mixed', channels: 2 });
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  const { interactions } = await listener.control({ type: 'subscribed' });
  const formats = [
    { codec: 'pcmu', clockRate: 8000, sampleRate: 8000 },
    { codec: 'pcma', clockRate: 8000, sampleRate: 8000 },
    { codec: 'l16', clockRate: 8000, sampleRate: 8000 },
    { codec: 'opus', clockRate: 48_000, sampleRate: 16_000 },
    { codec: 'opus', clockRate: 48_000, sampleRate: 48_000 },
    { codec: 'pcmu', clockRate: 8000, sampleRate: 8000 },
    { codec: 'pcma', clockRate: 8000, sampleRate: 8000 },
    { codec: 'l16', clockRate: 16_000, sampleRate: 16_000 },
    { codec: 'opus', clockRate: 48_000, sampleRate: 16_000 },
    { codec: 'opus', clockRate: 48_000, sampleRate: 48_000 },
  ];
  const expected = formats.map((format, i) => ({ interactionId: simulator.interactionIds[i], ...format, channels: 2 }));
  expect(interactions).toEqual(expected);
});

test('a later message adds to the subscription, and an unknown interaction is answered for itself', async () => {
  const simulator = await start({ interactions: 2 });
  const [first = '', second = ''] = simulator.interactionIds;
  const listener = await Listener.connect(simulator);
  listener.subscribe([first, UNKNOWN_ID]);
  expect(await listener.control({ code: 'mediaNotAvailable' })).toEqual({
    status: 400,
    code: 'mediaNotAvailable',
    interactionId: UNKNOWN_ID,
  });
  listener.subscribe([second]);
  await listener.until(() => new Set(listener.packets.map(({ interactionId }) => interactionId)).size === 2);
});

test('nonsense is answered with an error and does no harm', async () => {
  const simulator = await start({});
  const listener = await Listener.connect(simulator);
  const nonsense: (string | Buffer)[] = [
    '{"interactions":',
    '',
    'null',
    '[]',
    '7',
    '{}',
    '{"interactions":"all"}',
    '{"interactions":[{"interactionId":7}]}',
    '{"interactions":[{"interactionId":"x","mediaType":"video"}]}',
    `{"interactions":[{"interactionId":"${'x'.repeat(5000)}"}]}`,
    '{"unsubscribe":[null]}',
    Buffer.from('{"interactions":[]}'),
  ];
  for (const message of nonsense) listener.socket.send(message);
  await listener.until(() => listener.controls.length === nonsense.length);
  for (const answer of listener.controls) {
    expect(answer).toMatchObject({ status: 400, code: 'badRequest' });
    expect(String(answer['message']).length).toBeLessThan(500);
  }
  listener.unsubscribe([UNKNOWN_ID]);
  await listener.control({ code: 'notSubscribed', interactionId: UNKNOWN_ID });
  listener.subscribe(simulator.interactionIds);
  await listener.until(() => listener.packets.length > 3);
});

test('more than 50 interactions on a connection are refused, wholly', async () => {
  const simulator = await start({ interactions: 51 });
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  expect(await listener.control({ code: 'tooManyInteractions' })).toMatchObject({ status: 400 });
  listener.subscribe(simulator.interactionIds.slice(0, 50));
  await listener.control({ type: 'subscribed' });
  listener.controls.length = 0;
  listener.subscribe(simulator.interactionIds.slice(50));
  await listener.control({ code: 'tooManyInteractions' });
  // What is subscribed already takes no further place.
  listener.subscribe(simulator.interactionIds.slice(0, 5));
  await listener.control({ type: 'subscribed' });
  listener.controls.length = 0;
  listener.subscribe(Array.from({ length: 10_000 }, (_, i) => `interaction-${i}`));
  await listener.control({ code: 'tooManyInteractions' });
  expect(Object.values(simulator.ledger().interactions).filter(({ state }) => state === 'live')).toHaveLength(50);
});

test('an ended interaction says so for a while, and then has no media', async () => {
  const clock = new ManualClock();
  const simulator = await start({ interactions: 1, seconds: 0.1, availabilitySeconds: 0.4 }, clock);
  const [id = ''] = simulator.interactionIds;
  const first = await Listener.connect(simulator);
  first.subscribe([id]);
  await first.control({ type: 'subscribed' });
  clock.advanceUs(200_000);
  await first.ended([id]);
  const second = await Listener.connect(simulator);
  second.subscribe([id]);
  expect(await second.control({ type: 'ended' })).toMatchObject({ interactionId: id, reason: 'ended' });
  clock.advanceUs(450_000);
  second.subscribe([id]);
  await second.control({ code: 'mediaNotAvailable', interactionId: id });
});

test('pings are answered', async () => {
  const simulator = await start({});
  const listener = await Listener.connect(simulator);
  listener.socket.ping('still there?');
  const [data] = (await once(listener.socket, 'pong')) as [Buffer];
  expect(data.toString()).toBe('still there?');
});

test('a server may keep silent about everything but the packets', async () => {
  const simulator = await start({ interactions: 1, seconds: 0.3, announce: false, codecInPackets: true });
  const listener = await Listener.connect(simulator);
  const texts: string[] = [];
  listener.socket.on('message', (data) => texts.push(String(data)));
  listener.subscribe(simulator.interactionIds);
  await expect.poll(() => Object.values(simulator.ledger().interactions)[0]?.state).toBe('ended');
  await listener.until(() => texts.length === 15);
  expect(listener.controls).toEqual([]);
  expect(JSON.parse(texts[0] ?? '')).toEqual({
    interactionId: simulator.interactionIds[0],
    codec: 'pcmu',
    sequenceNumber: expect.any(Number) as number,
    timestamp: expect.any(Number) as number,
    payload: expect.any(String) as string,
  });
});

test('faults can be switched on and off while it runs', async () => {
  const simulator = await start({ interactions: 2 });
  const [first = '', second = ''] = simulator.interactionIds;
  const token = await signIn(simulator);
  simulator.faults.http = (endpoint) =>
    endpoint === 'conversation' ? { status: 429, headers: { 'retry-after': '3' } } : undefined;
  simulator.faults.handshake = () => ({ status: 503 });
  const refused = await conversation(simulator, first, token);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '3']);
  expect(await handshakeStatus(simulator.mediaUrl, `Bearer ${token}`)).toBe(503);
  simulator.faults.http = undefined;
  simulator.faults.handshake = undefined;
  expect((await conversation(simulator, first, token)).status).toBe(200);
  simulator.faults.subscribe = (id) =>
    id === first ? { status: 400, code: 'mediaNotAvailable', interactionId: id } : undefined;
  const listener = await Listener.connect(simulator);
  listener.subscribe([first, second]);
  await listener.control({ code: 'mediaNotAvailable', interactionId: first });
  await listener.until(() => listener.packets.length > 0);
  simulator.faults.subscribe = undefined;
  listener.subscribe([first]);
  await listener.until(() => listener.packets.some(({ interactionId }) => interactionId === first));
  const [connection] = simulator.connections();
  connection?.cut(1012);
  const [code] = (await once(listener.socket, 'close')) as [number];
  expect(code).toBe(1012);
  // Cut off from this side is no leave-taking: the call goes on.
  expect(simulator.ledger().interactions[first]?.state).toBe('live');
});

test('a port in use and options that make no sense are refused with a sentence', async () => {
  const simulator = await start({});
  const port = Number(new URL(simulator.apiUrl).port);
  await expect(start({ port })).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
  await expect(start({ loss: 2 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  await expect(start({ interactions: 0 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('a server that is told to restart twice at once does so once, and is there again', async () => {
  const simulator = await start({ interactions: 1 });
  simulator.fault({ fault: 'restart', downSeconds: 0.1 });
  simulator.fault({ fault: 'restart', downSeconds: 0.1 });
  const answer = (): Promise<number> =>
    fetch(`${simulator.apiUrl}/books`).then(
      ({ status }) => status,
      () => 0,
    );
  await expect.poll(answer, { timeout: 5000 }).toBe(0);
  await expect.poll(answer, { timeout: 5000 }).toBe(200);
});
