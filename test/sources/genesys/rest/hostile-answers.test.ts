import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../../src/core/clock.js';
import type { TrunklineError } from '../../../../src/core/errors.js';
import { Conversations } from '../../../../src/sources/genesys/rest/conversations.js';
import { TokenBucket } from '../../../../src/sources/genesys/rest/rate-limit.js';
import { resolveEndpoints } from '../../../../src/sources/genesys/rest/region.js';
import { Rest } from '../../../../src/sources/genesys/rest/rest.js';
import { SignIn, type SignInDependencies } from '../../../../src/sources/genesys/rest/sign-in.js';
import { Transport } from '../../../../src/sources/genesys/rest/transport.js';
import { FakePlatform, json } from '../../../support/genesys/fake-platform.js';

// With the real SDK. Waits between attempts are counted, not waited.
const LIMITS = { maxBodyBytes: 100_000, maxDepth: 20, totalMs: 300 };

let platform: FakePlatform;
let signIn: SignIn;
let waitsUs: number[];
let stopped: AbortController;
let reported: string[];

function make(limits = LIMITS): SignIn {
  const dependencies: SignInDependencies = {
    clock: systemClock,
    bucket: new TokenBucket(systemClock),
    random: () => 1,
    sleep: async (us, signal) => {
      signal?.throwIfAborted();
      waitsUs.push(us);
      if (waitsUs.length > 50) throw new Error('It would go on forever.');
    },
    signal: stopped.signal,
  };
  const endpoints = resolveEndpoints({ apiUrl: platform.apiUrl });
  const transport = new Transport();
  signIn = new SignIn({ clientId: 'me', clientSecret: 'secret', endpoints, transport, limits }, dependencies);
  signIn.onFailure = ({ message }) => reported.push(message);
  conversations = new Conversations(new Rest(signIn, dependencies), systemClock);
  return signIn;
}
let conversations: Conversations;

beforeEach(async () => {
  platform = await FakePlatform.start();
  waitsUs = [];
  reported = [];
  stopped = new AbortController();
  make();
});

afterEach(async () => {
  signIn.close();
  await platform.stop();
});

function answerToken(body: object, status = 200): void {
  platform.onToken = (_request, response) => {
    json(response, status, { token_type: 'bearer', expires_in: 3600, ...body });
    return true;
  };
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (thrown: TrunklineError) => `${thrown.code}: ${thrown.message}`,
  );

describe('a token that cannot be used', () => {
  test.each([
    ['a line break', 'a\r\nX-Evil: 1'],
    ['a character beyond ASCII', 'tökén'],
    ['a NUL', 'a\0b'],
    ['nothing', ''],
    ['a space', 'a b'],
    ['100 kB', 'a'.repeat(90_000)],
  ])('%s: the first sign-in fails at once and says so', async (_, token) => {
    answerToken({ access_token: token });
    expect(await failure(signIn.start())).toMatch(
      /^PROTOCOL_ERROR: Sign-in at .*: the answer contains no usable token/,
    );
    expect(waitsUs).toEqual([]);
  });

  test('a renewal is tried again, and the token that there is stays in use', async () => {
    const good = await signIn.getToken();
    answerToken({ access_token: 'a\r\nX-Evil: 1' });
    expect(await failure(signIn.renew(good))).toMatch(/^PROTOCOL_ERROR/);
    expect(waitsUs).toHaveLength(4);
    expect(await signIn.getToken()).toBe(good);
    expect(await conversations.availability('a')).toBe('active');
  });

  test.each([
    ['no number', 'soon'],
    ['missing', undefined],
    ['endless', 1e308],
  ])('a life that is %s', async (_, life) => {
    answerToken({ access_token: 'good', expires_in: life });
    expect(await failure(signIn.start())).toMatch(/^PROTOCOL_ERROR/);
  });
});

test.each([0, -5, 0.001])('a life of %d s: few sign-ins, and the token is used all the same', async (expiresIn) => {
  answerToken({ access_token: 'short', expires_in: expiresIn });
  await signIn.start();
  for (let i = 0; i < 20; i++) expect(await signIn.getToken()).toBe('short');
  const endMs = performance.now() + 1_200;
  await expect.poll(() => performance.now() > endMs, { timeout: 5_000, interval: 50 }).toBe(true);
  // After 0 s and 0.5 s; the next one comes after another second.
  expect(platform.requests.length).toBeLessThanOrEqual(3);
});

describe('the first sign-in', () => {
  test.each([
    [503, {}],
    [429, {}],
    [500, {}],
  ])('goes on after %i, and reports each attempt', async (status) => {
    let refusals = 0;
    platform.onToken = (_request, response) => {
      if (refusals++ >= 12) return false;
      json(response, status, {});
      return true;
    };
    await signIn.start();
    expect(platform.requests).toHaveLength(13);
    expect(waitsUs.at(-1)).toBe(30e6);
    expect(reported).toHaveLength(12);
    expect(reported[0]).toMatch(/It is tried again in 1\.0 s/);
  });

  test('goes on without network, until it is stopped', async () => {
    const { port } = platform;
    await platform.stop();
    const started = failure(signIn.start());
    await expect.poll(() => reported.length).toBeGreaterThan(6);
    stopped.abort();
    expect(await started).toMatch(/^CONNECTION_FAILED: Sign-in stopped/);
    expect(reported[0]).toContain(`127.0.0.1:${port}: the connection was refused`);
    platform = await FakePlatform.start();
  });

  test.each([400, 401, 403])('fails at once after %i', async (status) => {
    answerToken({}, status);
    expect(await failure(signIn.start())).toMatch(new RegExp(`^AUTH_FAILED: .*were refused \\(${status}\\)`));
    expect(platform.requests).toHaveLength(1);
  });

  test.each([
    ['a web page', '<html>Welcome</html>'],
    ['null', 'null'],
    ['a list', '[]'],
  ])('fails at once when %s answers', async (_, body) => {
    platform.onToken = (_request, response) => response.writeHead(200).end(body) !== undefined;
    expect(await failure(signIn.start())).toMatch(/^(PROTOCOL_ERROR|CONNECTION_FAILED)/);
    expect(platform.requests).toHaveLength(1);
  });
});

describe('limits of an answer', () => {
  /** A server of raw sockets; sign-ins are sent on to it. */
  async function raw(answer: (socket: Socket) => void): Promise<Server> {
    const server = createServer();
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.once('data', () => answer(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    platform.onToken = (_request, response) => {
      response.writeHead(307, { location: `http://127.0.0.1:${port}/` }).end();
      return true;
    };
    return server;
  }

  test('bytes, also behind compression', async () => {
    await signIn.start();
    const body = JSON.stringify({ id: 'a', padding: 'x'.repeat(500_000) });
    platform.conversation = (_id, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    expect(await failure(conversations.availability('a'))).toMatch(/^CONNECTION_FAILED: .*larger than 16 MiB/);
    platform.conversation = (_id, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync(JSON.stringify({ id: 'a', padding: 'x'.repeat(500_000) })));
    expect(await failure(conversations.availability('a'))).toMatch(/^CONNECTION_FAILED: .*larger than 16 MiB/);
  });

  test('depth', async () => {
    await signIn.start();
    const nested = (depth: number) => `{"id":"a","odd":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    const body = { text: nested(18) };
    platform.conversation = (_id, response) => response.writeHead(200).end(body.text);
    expect(await conversations.availability('a')).toBe('active');
    for (const text of [nested(30), nested(40_000), '{"a":'.repeat(19_000)]) {
      body.text = text;
      expect(await failure(conversations.availability('a'))).toMatch(/^CONNECTION_FAILED: .*levels deep/);
    }
    // Brackets in a text are none.
    body.text = JSON.stringify({ id: 'a', odd: `\\"${'['.repeat(100)}` });
    expect(await conversations.availability('a')).toBe('active');
  });

  test('total time of a sign-in whose answer drips', async () => {
    const server = await raw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
      const drips = setInterval(() => socket.write(' '), 20);
      socket.on('close', () => clearInterval(drips));
    });
    const startMs = performance.now();
    expect(await failure(signIn.getToken())).toMatch(/no complete answer within/);
    expect(platform.requests).toHaveLength(5);
    expect(performance.now() - startMs).toBeLessThan(5 * 300 + 2_000);
    server.closeAllConnections();
    server.close();
  });

  test('headers, which may drip as well', async () => {
    const server = await raw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const drips = setInterval(() => socket.write(`X-Odd: ${'x'.repeat(1_000)}\r\n`), 2);
      socket.on('close', () => clearInterval(drips));
    });
    expect(await failure(signIn.getToken())).toMatch(/^CONNECTION_FAILED: .*(16 KiB|no complete answer)/);
    server.closeAllConnections();
    server.close();
  });

  test('stopping ends a request that hangs', async () => {
    make({ ...LIMITS, totalMs: 60_000 });
    platform.onToken = () => true;
    const started = failure(signIn.start());
    await expect.poll(() => platform.requests.length).toBe(1);
    stopped.abort();
    expect(await started).toMatch(/^CONNECTION_FAILED: Sign-in stopped/);
  });
});
