import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Attempt, Sender, type SenderOptions } from '../../src/webhooks/delivery/sender.js';
import { hasOpenssl, makeCertificate } from '../support/certificate.js';

let folder: string;
const servers: Server[] = [];
const senders: Sender[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-sender-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const sender of senders.splice(0)) sender.close();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  rmSync(folder, { recursive: true, force: true });
});

async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function send(options: Partial<SenderOptions> & { url: string }): Promise<Attempt> {
  const sender = new Sender({ timeoutMs: 5_000, concurrency: 2, ...options });
  senders.push(sender);
  return sender.send('{}', { 'webhook-id': 'msg_1' }, 0);
}

describe.runIf(hasOpenssl)('a receiver with TLS', () => {
  it('is trusted by the certificate of --ca-file, and refused without it', async () => {
    const { certFile, cert, key } = makeCertificate(folder);
    const port = await listening(createTlsServer({ cert, key }, (_request, response) => response.end()));
    const url = `https://localhost:${port}/`;
    expect(await send({ url })).toMatchObject({ result: 'failed', reason: expect.stringContaining('CERT') });
    expect(await send({ url, caFile: certFile })).toEqual({ result: 'accepted' });
  });
});

describe('a proxy of the environment', () => {
  it('is used, and not for what NO_PROXY names', async () => {
    const port = await listening(createServer((_request, response) => response.writeHead(204).end()));
    const through: string[] = [];
    const proxy = createServer();
    proxy.on('connect', ({ url = '' }, client) => {
      through.push(url);
      const upstream = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        upstream.pipe(client).pipe(upstream);
      });
      upstream.on('error', () => client.destroy());
      client.on('error', () => upstream.destroy());
    });
    const proxyPort = await listening(proxy);
    vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxyPort}`);
    vi.stubEnv('http_proxy', '');
    vi.stubEnv('NO_PROXY', '127.0.0.1');
    vi.stubEnv('no_proxy', '');
    expect(await send({ url: 'http://receiver.test/hooks' })).toEqual({ result: 'accepted' });
    expect(through).toEqual(['receiver.test:80']);
    expect(await send({ url: `http://127.0.0.1:${port}/` })).toEqual({ result: 'accepted' });
    expect(through).toHaveLength(1);
  });

  it('that cannot be one is refused with what to set', async () => {
    vi.stubEnv('HTTPS_PROXY', 'socks://127.0.0.1:1');
    vi.stubEnv('https_proxy', '');
    await expect(async () => send({ url: 'https://receiver.test/' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('what a failed attempt says', () => {
  it('is the status or the code of the error, and nothing of the address', async () => {
    const port = await listening(createServer((_request, response) => response.writeHead(503).end()));
    expect(await send({ url: `http://127.0.0.1:${port}/secret` })).toEqual({
      result: 'failed',
      reason: 'the receiver answered 503',
    });
    const attempt = await send({ url: 'http://127.0.0.1:9/secret' });
    expect(attempt).toEqual({ result: 'failed', reason: 'the receiver cannot be reached (ECONNREFUSED)' });
  });

  it.each([
    ['120', 120_000],
    ['Thu, 01 Jan 1970 00:01:00 GMT', 60_000],
    ['soon', undefined],
    ['99999999', 86_400_000],
  ])('of when to come back, Retry-After: %s, is kept for a day at most', async (value, ms) => {
    const answer = createServer((_request, response) => response.writeHead(429, { 'retry-after': value }).end());
    const attempt = await send({ url: `http://127.0.0.1:${await listening(answer)}/` });
    expect('retryAfterMs' in attempt ? attempt.retryAfterMs : undefined).toBe(ms);
  });
});
