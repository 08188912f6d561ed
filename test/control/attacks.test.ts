import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { makeToken, tokenFileText } from '../../src/control/access/token-file.js';
import { type ControlNode, makeTokenFile, startControlNode } from '../support/control/control-node.js';
import { TestCalls } from '../support/control/test-calls.js';
import { writeRecording } from '../support/recordings.js';
import { until } from '../support/until.js';

/** After each attack: the node answers others as before. */
async function expectUnharmed({ ask, control }: ControlNode, reason: string, token?: string): Promise<void> {
  expect(control.stats().refused[reason]).toBeGreaterThan(0);
  expect(await ask('/livez')).toMatchObject({ status: 200, json: { status: 'ok' } });
  if (token !== undefined) expect(await ask('/api/v1/session', { token })).toMatchObject({ status: 200 });
}

/** A raw connection to the server. */
async function rawConnection({ control }: ControlNode): Promise<Socket> {
  const socket = connect(Number(new URL(control.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Without once(), which rejects when the peer resets the connection. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

function webSocketStatus(url: string, headers: Record<string, string>, protocols: string[] = []): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, { headers });
    socket.on('unexpected-response', (_request, response) => {
      resolve(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.on('open', () => {
      resolve(101);
      socket.terminate();
    });
    socket.on('error', reject);
  });
}

test('no token', async () => {
  const { file, tokens } = makeTokenFile();
  const server = await startControlNode({ tokensFile: file });
  for (const path of ['/api/v1/session', '/api/v1/openapi.json']) {
    expect(await server.ask(path)).toMatchObject({
      status: 401,
      json: { error: { code: 'tokenMissing' } },
      headers: { 'www-authenticate': expect.stringContaining('Bearer') },
    });
  }
  expect(server.audited).toContainEqual(
    expect.objectContaining({
      action: 'control_refused',
      fields: { reason: 'tokenMissing', code: 401, detail: '/api/v1/session', remoteAddress: '127.0.0.1' },
    }),
  );
  await expectUnharmed(server, 'tokenMissing', tokens.viewer);
});

test('what an unknown path is, is not told without a token', async () => {
  const { file, tokens } = makeTokenFile();
  const { ask } = await startControlNode({ tokensFile: file });
  expect(await ask('/api/v1/nowhere')).toMatchObject({ status: 401 });
  expect(await ask('/api/v1/nowhere', { token: tokens.viewer })).toMatchObject({ status: 404 });
});

test('a wrong token, guessed until the address is locked out', async () => {
  const { file, tokens } = makeTokenFile();
  const server = await startControlNode({ tokensFile: file });
  const codes: unknown[] = [];
  for (let n = 0; n < 15; n++) {
    const { json } = await server.ask('/api/v1/session', { token: `trunkline_guess-${n}` });
    codes.push((json as { error: { code: string } }).error.code);
  }
  expect(codes.slice(0, 10)).toEqual(Array(10).fill('tokenUnknown'));
  expect(codes).toContain('lockedOut');
  // Not even the right token is looked at, or the guesser would learn from the difference.
  expect(await server.ask('/api/v1/session', { token: tokens.operator })).toMatchObject({
    status: 429,
    headers: { 'retry-after': expect.any(String) },
  });
  expect(JSON.stringify(server.audited)).not.toContain('guess');
  await expectUnharmed(server, 'lockedOut');
});

test('a guesser is locked out by what it tries on public paths as well', async () => {
  const { file, tokens } = makeTokenFile();
  const { ask } = await startControlNode({ tokensFile: file });
  for (let n = 0; n < 15; n++)
    expect(await ask('/readyz', { token: `trunkline_guess-${n}` })).toMatchObject({ status: 200 });
  expect(await ask('/api/v1/session', { token: tokens.viewer })).toMatchObject({ status: 429 });
});

test('reasons of health checks are for callers with a token', async () => {
  const { file, tokens } = makeTokenFile();
  const check = { name: 'mine', status: 'degraded', reason: 'The folder /secret is full.', affects: 'ready' } as const;
  const service = { name: 'mine', start: () => {}, close: () => {}, health: () => [check] };
  const { ask } = await startControlNode({ tokensFile: file }, { services: [service] });
  expect((await ask('/readyz')).text).not.toContain('secret');
  expect((await ask('/readyz', { token: tokens.viewer })).text).toContain('The folder /secret is full.');
});

test('the wrong role', async () => {
  const { file, tokens } = makeTokenFile();
  const server = await startControlNode({ tokensFile: file });
  expect(await server.ask('/api/v1/test/operator', { token: tokens.listener })).toMatchObject({ status: 404 });
  const status = await webSocketStatus(
    `${server.control.url.replace('http', 'ws')}/api/v1/interactions/call-1/audio`,
    {},
    [`trunkline.bearer.${tokens.viewer}`, 'trunkline.audio.v1'],
  );
  expect([403, 404]).toContain(status);
  const refusal = await server.ask('/api/v1/node/config', { token: tokens.listener });
  expect([403, 404]).toContain(refusal.status);
});

test('an expired token', async () => {
  const { file, tokens } = makeTokenFile();
  const { token, entry } = makeToken('old', 'operator', Date.now() - 2_000, Date.now() - 1_000);
  const kept = makeToken('kept', 'viewer', Date.now());
  writeFileSync(file, tokenFileText([entry, kept.entry]));
  const server = await startControlNode({ tokensFile: file });
  expect(await server.ask('/api/v1/session', { token })).toMatchObject({
    status: 401,
    json: { error: { code: 'tokenExpired' } },
  });
  expect(await server.ask('/api/v1/session', { token: tokens.viewer })).toMatchObject({ status: 401 });
  // A program that goes on polling with it locks nobody out.
  for (let n = 0; n < 20; n++) await server.ask('/api/v1/session', { token });
  await expectUnharmed(server, 'tokenExpired', kept.token);
});

test('a token that was revoked is refused after the reload, and others go on', async () => {
  const { file, tokens } = makeTokenFile();
  const server = await startControlNode({ tokensFile: file });
  const kept = makeToken('kept', 'viewer', Date.now());
  writeFileSync(file, tokenFileText([kept.entry]));
  expect(await server.ask('/api/v1/session', { token: tokens.viewer })).toMatchObject({ status: 200 });
  await server.node.reopen();
  expect(await server.ask('/api/v1/session', { token: tokens.viewer })).toMatchObject({ status: 401 });
  expect(await server.ask('/api/v1/session', { token: kept.token })).toMatchObject({ status: 200 });
});

test('a token file that was broken is reported, and the tokens that there were stay', async () => {
  const { file, tokens } = makeTokenFile();
  const server = await startControlNode({ tokensFile: file });
  const errors: Error[] = [];
  server.node.on('error', (error) => errors.push(error));
  writeFileSync(file, '{');
  await server.node.reopen();
  expect(errors).toEqual([expect.objectContaining({ code: 'CONFIG_INVALID' })]);
  expect(await server.ask('/api/v1/session', { token: tokens.viewer })).toMatchObject({ status: 200 });
});

test.each([
  '/../../../../etc/passwd',
  '/%2e%2e/%2e%2e/%2e%2e/etc/passwd',
  '/..%2f..%2f..%2fetc%2fpasswd',
  '/assets/..%5c..%5c..%5cetc/passwd',
  '/api/v1/../../package.json',
  '/api/v1/recordings/..%2f..%2f..%2fetc/audio.wav',
  '/api/v1/recordings/%2e%2e/session.json',
  '/api/v1/interactions/%00/audio',
  '/%00',
  '/%',
])('path traversal: %s', async (path) => {
  const server = await startControlNode();
  const socket = await rawConnection(server);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // Not through a client that would put the path in order.
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  await closed(socket);
  const answer = Buffer.concat(chunks).toString('utf8');
  expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
  expect(answer).not.toMatch(/root:|"name": "trunkline"/);
  expect(await server.ask('/livez')).toMatchObject({ status: 200 });
});

test('a body of 10 MB', async () => {
  const server = await startControlNode();
  const answer = await new Promise<number | string>((resolve) => {
    const outgoing = request(`${server.control.url}/api/v1/node/log-level`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'content-length': 10_000_000 },
    });
    outgoing.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    outgoing.end(Buffer.alloc(10_000_000, 0x20));
  });
  expect([413, 'EPIPE', 'ECONNRESET']).toContain(answer);
  await expectUnharmed(server, 'bodyTooLarge');
});

test('headers that come a byte at a time, and never end', async () => {
  const server = await startControlNode({ limits: { headerMs: 300, requestMs: 600 } });
  const socket = await rawConnection(server);
  socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
  const dripping = setInterval(() => socket.write('a'), 20);
  onTestFinished(() => clearInterval(dripping));
  await closed(socket);
  await expectUnharmed(server, 'slowRequest');
});

test('a body that comes a byte at a time', async () => {
  const server = await startControlNode({ limits: { headerMs: 300, requestMs: 600 } });
  const socket = await rawConnection(server);
  socket.write(
    'PUT /livez HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n',
  );
  const dripping = setInterval(() => socket.write(' '), 20);
  onTestFinished(() => clearInterval(dripping));
  await closed(socket);
  expect(await server.ask('/livez')).toMatchObject({ status: 200 });
});

test('a client that asks for much and reads nothing', async () => {
  const server = await startControlNode({ limits: { stalledMs: 300 } });
  const socket = await rawConnection(server);
  socket.pause();
  const ended = closed(socket);
  // More than the kernel keeps for it. The server stops reading requests when answers wait.
  const request = 'GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const asking = setInterval(() => socket.write(request.repeat(100)), 10);
  onTestFinished(() => clearInterval(asking));
  await until(() => (server.control.stats().refused['slowReader'] ?? 0) > 0, 'the end of the slow reader');
  clearInterval(asking);
  socket.resume();
  await ended;
  await expectUnharmed(server, 'slowReader');
});

test('connections without end', async () => {
  const server = await startControlNode({ limits: { connections: 4 } });
  const sockets = await Promise.all(Array.from({ length: 12 }, () => rawConnection(server)));
  await until(() => sockets.filter(({ closed }) => closed).length >= 8, 'the connections beyond the limit');
  expect(server.control.stats().refused['tooManyConnections']).toBeGreaterThanOrEqual(8);
  for (const socket of sockets) socket.destroy();
  await until(() => server.control.stats().connections === 0, 'the end of the others');
  await expectUnharmed(server, 'tooManyConnections');
});

test('requests without end', async () => {
  const server = await startControlNode();
  let refused = 0;
  for (let n = 0; n < 40 && refused === 0; n++) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => server.ask('/api/v1/session')));
    refused = answers.filter(({ status }) => status === 429).length;
  }
  expect(refused).toBeGreaterThan(0);
  expect(server.control.stats().refused['tooManyRequests']).toBe(refused);
});

test('a page of another site', async () => {
  const server = await startControlNode();
  const origin = 'https://evil.example.net';
  for (const headers of [{ origin }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }]) {
    const { status, json, headers: answered } = await server.ask('/api/v1/session', { headers });
    expect([status, json]).toEqual([403, { error: { code: 'crossSite', message: expect.any(String) } }]);
    expect(answered).not.toHaveProperty('access-control-allow-origin');
  }
  const preflight = await server.ask('/api/v1/session', { method: 'OPTIONS', headers: { origin } });
  expect(preflight.status).toBe(403);
  const url = `${server.control.url.replace('http', 'ws')}/api/v1/interactions/call-1/audio`;
  expect(await webSocketStatus(url, { origin })).toBe(403);
  await expectUnharmed(server, 'crossSite');
});

test('an origin that the settings allow may use the API, and no other', async () => {
  const origin = 'https://grafana.example.com';
  const server = await startControlNode({ allowedOrigins: [origin] });
  expect((await server.ask('/api/v1/session', { headers: { origin } })).headers).toMatchObject({
    'access-control-allow-origin': origin,
    vary: expect.stringContaining('Origin'),
  });
  const preflight = await server.ask('/api/v1/session', { method: 'OPTIONS', headers: { origin } });
  expect(preflight).toMatchObject({ status: 204, headers: { 'access-control-allow-origin': origin } });
  const other = await server.ask('/api/v1/session', { headers: { origin: 'https://evil.example.net' } });
  expect(other).toMatchObject({ status: 403 });
});

test('a name of another site that resolves to this machine (DNS rebinding)', async () => {
  const server = await startControlNode();
  for (const path of ['/', '/livez', '/api/v1/session']) {
    const answer = await server.ask(path, { headers: { host: 'evil.example.net:9464' } });
    expect(answer).toMatchObject({ status: 421, json: { error: { code: 'hostNotAllowed' } } });
  }
  const url = `${server.control.url.replace('http', 'ws')}/api/v1/interactions/call-1/audio`;
  expect(await webSocketStatus(url, { host: 'evil.example.net' })).toBe(421);
  await expectUnharmed(server, 'hostNotAllowed');
});

test('script in ids and names comes back as text, if at all', async () => {
  const { node, ask } = await startControlNode();
  const script = '<script>alert(1)</script>';
  for (const path of [
    `/api/v1/interactions/${encodeURIComponent(script)}`,
    `/api/v1/recordings/${encodeURIComponent(script)}`,
    `/${encodeURIComponent(script)}`,
    `/api/v1/session?q=${encodeURIComponent(script)}`,
  ]) {
    const { headers, text } = await ask(path);
    expect(text).not.toContain(script);
    expect(headers['content-type']).not.toContain('html');
    expect(headers['x-content-type-options']).toBe('nosniff');
  }
  expect(node.health().status).toBe('ok');
});

test('a call whose id is script is data of its own type to every reader', async () => {
  const calls = new TestCalls();
  const { ask } = await startControlNode({}, { sources: [calls] });
  const id = '<img src=x onerror=alert(1)>';
  calls.open(id);
  calls.push(id, 5);
  for (const path of ['/api/v1/interactions', `/api/v1/interactions/${encodeURIComponent(id)}`, '/metrics']) {
    const { status, headers, text } = await ask(path);
    expect([path, status]).toEqual([path, 200]);
    expect(headers['content-type']).toMatch(/^(?:application\/json|text\/plain)/);
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    });
    if (path === '/metrics') expect(text).not.toContain('onerror');
  }
});

test('a request that is no HTTP', async () => {
  const server = await startControlNode();
  const socket = await rawConnection(server);
  socket.resume();
  socket.write('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is no HTTP\r\n\r\n');
  await closed(socket);
  await expectUnharmed(server, 'malformedRequest');
});

test.each(['*', 'http://localhost/api/v1/events'])('an upgrade of %s, reset before it is answered', async (target) => {
  const server = await startControlNode();
  const socket = await rawConnection(server);
  const upgrade = 'Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  socket.write(`GET ${target} HTTP/1.1\r\n${upgrade}`);
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1\.1 400 /);
  await closed(socket);
  const another = await rawConnection(server);
  another.write(`GET ${target} HTTP/1.1\r\n${upgrade}`, () => another.resetAndDestroy());
  await closed(another);
  await until(() => server.control.stats().connections === 0, 'the end of the connections');
  await expectUnharmed(server, 'malformedRequest');
});

test('event streams and audio that wait behind another one, or behind an upgrade, end with their connection', async () => {
  const calls = new TestCalls();
  const server = await startControlNode({}, { sources: [calls] });
  calls.open('call');
  const host = 'Host: localhost\r\n';
  const events = `GET /api/v1/events HTTP/1.1\r\n${host}\r\n`;
  const audio = `GET /api/v1/interactions/call/audio.wav HTTP/1.1\r\n${host}\r\n`;
  const upgrade = `GET /x HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  for (const [requests, count] of [
    [events + events + audio, 3],
    [events + audio + upgrade, 2],
  ] as const) {
    const socket = await rawConnection(server);
    const before = server.control.stats().requests;
    socket.write(requests);
    await until(() => server.control.stats().requests >= before + count, 'the requests to be taken');
    socket.resetAndDestroy();
    await until(() => server.control.stats().connections === 0, 'the end of the connection');
    expect(server.control.stats()).toMatchObject({ eventClients: 0, listeners: 0 });
  }
});

test('a file that waits behind an event stream is closed with the connection, which is no error of the node', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-left-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeRecording(folder, 'a', { pcm: new Int16Array(1 << 20) });
  const server = await startControlNode({ recordings: folder });
  const errors: unknown[] = [];
  server.node.on('error', (error) => errors.push(error));
  const openFiles = () => readdirSync('/proc/self/fd').flatMap((fd) => linkOf(fd) ?? []);
  const host = 'Host: localhost\r\n\r\n';
  const file = `GET /api/v1/recordings/a/audio.wav HTTP/1.1\r\n${host}`;
  const socket = await rawConnection(server);
  socket.write(`GET /api/v1/events HTTP/1.1\r\n${host}${file}${file}`);
  await until(() => openFiles().includes(join(folder, 'a', 'audio.wav')), 'the file to be open');
  socket.resetAndDestroy();
  await until(() => !openFiles().includes(join(folder, 'a', 'audio.wav')), 'the file to be closed');
  expect(errors).toEqual([]);
});

function linkOf(descriptor: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return undefined;
  }
}
