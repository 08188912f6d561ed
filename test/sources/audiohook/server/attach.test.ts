import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { AudioHookServer } from '../../../../src/sources/audiohook/server/server.js';
import type { AudioHookServerOptions } from '../../../../src/sources/audiohook/server/server-options.js';
import { KEYS } from '../../../support/audiohook/node-rig.js';
import { RawCall } from '../../../support/audiohook/raw-call.js';
import { RecordingIngest } from '../../../support/audiohook/recording-ingest.js';
import { hasOpenssl, makeCertificate } from '../../../support/certificate.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** An embedder's server with routes of its own. */
async function embedder(
  http: Server | TlsServer = createServer(),
): Promise<{ http: Server | TlsServer; port: number }> {
  http.on('request', (request, response) => response.end(`route ${request.url}`));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  });
  return { http, port: (http.address() as AddressInfo).port };
}

/** An echo on another path, as ws documents it. */
function echo(http: Server | TlsServer, path: string): void {
  const sockets = new WebSocketServer({ noServer: true });
  http.on('upgrade', (request, socket, head) => {
    if (request.url !== path) return;
    sockets.handleUpgrade(request, socket, head, (one) => one.on('message', (data) => one.send(String(data))));
  });
}

function attached(options: Partial<AudioHookServerOptions>): { server: AudioHookServer; ingest: RecordingIngest } {
  const ingest = new RecordingIngest();
  const server = new AudioHookServer(ingest, { keys: KEYS, refusalDelayMs: 10, ...options });
  closing.push(() => server.close());
  return { server, ingest };
}

const fetchText = async (port: number, path: string): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}${path}`)).text();

function echoed(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    socket.on('open', () => socket.send('hello'));
    socket.on('message', (data) => {
      resolve(String(data));
      socket.close();
    });
    socket.on('error', reject);
  });
}

describe('attached to an HTTP server of the embedder', () => {
  it('takes sessions on its path, and leaves routes and other WebSockets alone', async () => {
    const { http, port } = await embedder();
    echo(http, '/echo');
    const { server, ingest } = attached({ httpServer: http, path: '/calls' });
    expect(await server.listen()).toEqual({ host: '127.0.0.1', port });
    const call = await new RawCall(`ws://127.0.0.1:${port}/calls`).open();
    call.frame(0x80);
    expect(await echoed(port, '/echo')).toBe('hello');
    expect(await fetchText(port, '/')).toBe('route /');
    // The health check is the embedder's, from health().
    expect(await fetchText(port, '/health')).toBe('route /health');
    expect(server.health()).toEqual({ status: 'ok', sessions: 1 });
    await call.close();
    expect(ingest.streams[0]?.pcm(0).length).toBe(1_600);
    expect(server.counters()).toMatchObject({ sessionsOpened: 1, rejected: {} });
  });

  it('works with the embedder listening only afterwards, and lets it go on after close()', async () => {
    const http = createServer();
    const { server } = attached({ httpServer: http });
    expect(await server.listen()).toBeUndefined();
    const { port } = await embedder(http);
    expect(server.address).toEqual({ host: '127.0.0.1', port });
    await (await new RawCall(`ws://127.0.0.1:${port}/audiohook/ws`).open()).close();
    await server.close();
    expect(await fetchText(port, '/still')).toBe('route /still');
    expect(http.listenerCount('upgrade')).toBe(0);
  });

  it('refuses with its own reasons, and answers a WebSocket that nobody else takes', async () => {
    const { http, port } = await embedder();
    const { server } = attached({ httpServer: http, path: '/calls' });
    await server.listen();
    expect(await new RawCall(`ws://127.0.0.1:${port}/calls`, { apiKey: 'other' }).connected()).toBe(401);
    expect(await new RawCall(`ws://127.0.0.1:${port}/elsewhere`).connected()).toBe(404);
    expect(server.counters().rejected).toEqual({ keyUnknown: 1, path: 1 });
  });

  it.skipIf(!hasOpenssl)('works on an HTTPS server', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-attach-'));
    closing.push(() => rmSync(folder, { recursive: true }));
    const tls = makeCertificate(folder);
    const { http, port } = await embedder(createTlsServer(tls));
    const { server } = attached({ httpServer: http });
    await server.listen();
    const call = new RawCall(`wss://localhost:${port}/audiohook/ws`, { socket: { ca: tls.cert } });
    await call.open();
    expect(call.types).toEqual(['opened', 'pong']);
    await call.close();
  });
});

describe('handleUpgrade()', () => {
  it('takes what the embedder passes on for its path, and nothing else', async () => {
    const { http, port } = await embedder();
    const { server } = attached({ noServer: true, path: '/calls' });
    expect(await server.listen()).toBeUndefined();
    const passed: [string | undefined, boolean][] = [];
    http.on('upgrade', (request, socket, head) => {
      const taken = server.handleUpgrade(request, socket, head);
      passed.push([request.url, taken]);
      if (!taken) socket.end('HTTP/1.1 418 Teapot\r\nConnection: close\r\n\r\n');
    });
    await (await new RawCall(`ws://127.0.0.1:${port}/calls?tenant=1`).open()).close();
    expect(await new RawCall(`ws://127.0.0.1:${port}/other`).connected()).toBe(418);
    expect(passed).toEqual([
      ['/calls?tenant=1', true],
      ['/other', false],
    ]);
    expect(server.counters()).toMatchObject({ sessionsConnected: 1, rejected: {} });
  });
});

describe('the health check', () => {
  it('says what is failing', async () => {
    const problems: string[] = [];
    const { server } = attached({ port: 0, problems: () => problems });
    const address = await server.listen();
    const health = (): Promise<[number | undefined, unknown]> =>
      new Promise((resolve) => {
        get({ host: '127.0.0.1', port: address?.port, path: '/health' }, (response: IncomingMessage) => {
          response.on('data', (data) => resolve([response.statusCode, JSON.parse(String(data))]));
        });
      });
    expect(await health()).toEqual([200, { status: 'ok', sessions: 0 }]);
    problems.push('recordings cannot be written');
    expect(await health()).toEqual([503, { status: 'failing', sessions: 0, problems }]);
    problems.pop();
    expect(await health()).toEqual([200, { status: 'ok', sessions: 0 }]);
  });

  it('listens on loopback unless told otherwise', async () => {
    const { server } = attached({ port: 0 });
    expect(await server.listen()).toMatchObject({ host: '127.0.0.1' });
  });
});
