import { createServer } from 'node:http';
import { type AddressInfo, Server } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { control } from '../../src/control/control.js';
import { createNode } from '../../src/node/create-node.js';
import { ask, makeTokenFile, startControlNode } from '../support/control/control-node.js';

test('a node answers that it lives and takes calls', async () => {
  const { ask: get } = await startControlNode();
  const live = await get('/livez');
  expect(live.status).toBe(200);
  expect(live.json).toMatchObject({ status: 'ok' });
  const ready = await get('/readyz');
  expect(ready.status).toBe(200);
  const names = (ready.json as { checks: { name: string }[] }).checks.map(({ name }) => name);
  expect(names).toEqual(['node', 'eventLoop', 'threads.shard0', 'sinks']);
});

test('a node that drains lives, and takes no calls', async () => {
  const { node, ask: get } = await startControlNode();
  await node.drain();
  expect((await get('/livez')).status).toBe(200);
  const ready = await get('/readyz');
  expect(ready.status).toBe(503);
  expect(ready.json).toMatchObject({
    status: 'failing',
    checks: expect.arrayContaining([{ name: 'node', status: 'failing', reason: expect.stringMatching(/draining/) }]),
  });
});

test('a node that starts says so, and is ready when its sources have started', async () => {
  let started: (() => void) | undefined;
  const source = {
    name: 'slow',
    start: () =>
      new Promise<void>((resolve) => {
        started = resolve;
      }),
    drain: async () => {},
    close: async () => {},
    status: () => ({}),
    pause: () => false,
    resume: () => false,
  };
  const service = control({ port: 0 });
  const node = await createNode({ sources: [source], services: [service], engine: { shards: 1 }, start: false });
  onTestFinished(() => node.close());
  const starting = node.start();
  await expect.poll(() => started).toBeDefined();
  expect(await ask(`${service.url}/readyz`)).toMatchObject({ status: 503 });
  started?.();
  await starting;
  expect(await ask(`${service.url}/readyz`)).toMatchObject({ status: 200 });
});

test('every answer has the headers that keep browsers from doing harm with it', async () => {
  const { ask: get } = await startControlNode();
  for (const path of ['/livez', '/api/v1/session', '/nowhere', '/api/v1/nowhere']) {
    expect((await get(path)).headers).toMatchObject({
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    });
  }
});

test('the description of the API is OpenAPI 3.1 and names what each path answers', async () => {
  const { ask: get } = await startControlNode();
  const { status, json } = await get('/api/v1/openapi.json');
  expect(status).toBe(200);
  expect(json).toMatchObject({
    openapi: '3.1.0',
    paths: { '/readyz': { get: { responses: { 200: {}, 503: {} } } }, '/api/v1/session': { get: {} } },
  });
});

test('errors have one shape, and the headers of every answer', async () => {
  const { ask: get, control: service } = await startControlNode();
  for (const path of ['/%E0%A4%A', '/api/v1/interactions/%E0%A4%A']) {
    expect(await get(path)).toMatchObject({
      status: 400,
      headers: { 'x-content-type-options': 'nosniff' },
      json: { error: { code: 'badRequest', message: expect.any(String) } },
    });
  }
  expect(service.stats().refused).toMatchObject({ malformedRequest: 2 });
  expect(await get('/api/v1/nowhere')).toMatchObject({
    status: 404,
    json: { error: { code: 'notFound', message: expect.any(String) } },
  });
});

test('the session says who the caller is', async () => {
  const { ask: local } = await startControlNode();
  expect((await local('/api/v1/session')).json).toEqual({ name: 'local', role: 'operator', tokensRequired: false });
  const { file, tokens } = makeTokenFile();
  const { ask: remote } = await startControlNode({ tokensFile: file });
  expect((await remote('/api/v1/session', { token: tokens.viewer })).json).toEqual({
    name: 'viewer-1',
    role: 'viewer',
    tokensRequired: true,
  });
});

test('a port that is in use ends the start with advice, or another one is taken', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as AddressInfo;
  await expect(startControlNode({ port })).rejects.toMatchObject({
    code: 'CONNECTION_FAILED',
    message: expect.stringMatching(/--control-port/),
  });
  const { control: service } = await startControlNode({ port, orAnyPort: true });
  expect(new URL(service.url).port).not.toBe(String(port));
});

test('without tokens it listens on this machine only', () => {
  expect(() => control({ host: '0.0.0.0' })).toThrow(/token create/);
  expect(() => control({ host: '::' })).toThrow(/token create/);
  expect(() => control({ host: '127.0.0.1' })).not.toThrow();
});

test('a server that is closed before it listens does not listen afterwards', async () => {
  const service = control({ port: 0 });
  const { listen } = Server.prototype;
  onTestFinished(() => {
    Server.prototype.listen = listen;
  });
  const node = await createNode({ services: [service], engine: { shards: 1, native: 'off' }, start: false });
  let server: Server | undefined;
  // Closes between the call of listen(), which looks the address up first, and its callback.
  Server.prototype.listen = function (this: Server, ...values: unknown[]): Server {
    if (server === undefined) {
      server = this;
      void service.close();
    }
    return Reflect.apply(listen, this, values) as Server;
  } as Server['listen'];
  await node.start();
  expect(server?.listening).toBe(false);
  await node.close();
});
