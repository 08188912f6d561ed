import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../../../../src/core/clock.js';
import { Conversations } from '../../../../src/sources/genesys/rest/conversations.js';
import { TokenBucket } from '../../../../src/sources/genesys/rest/rate-limit.js';
import { resolveEndpoints } from '../../../../src/sources/genesys/rest/region.js';
import { Rest } from '../../../../src/sources/genesys/rest/rest.js';
import { SignIn } from '../../../../src/sources/genesys/rest/sign-in.js';
import { Transport } from '../../../../src/sources/genesys/rest/transport.js';
import { SubscriptionSource } from '../../../../src/sources/genesys/source.js';
import { hasOpenssl, makeCertificate } from '../../../support/certificate.js';
import { FakeIngest } from '../../../support/genesys/fake-ingest.js';
import { FakePlatform } from '../../../support/genesys/fake-platform.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-tls-'));
const { certFile: certificate, ...pair } = hasOpenssl ? makeCertificate(folder) : { certFile: '', cert: '', key: '' };

const closers: (() => void)[] = [];
const before = { ...process.env };
let platform: FakePlatform;
let source: SubscriptionSource | undefined;

beforeAll(async () => {
  platform = await FakePlatform.start();
});

afterEach(async () => {
  await source?.stop();
  source = undefined;
  for (const close of closers.splice(0)) close();
  for (const name of ['HTTPS_PROXY', 'NO_PROXY', 'no_proxy', 'NODE_TLS_REJECT_UNAUTHORIZED']) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});

afterAll(async () => {
  await platform.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What the source says when its media address is this one. */
async function complaint(mediaUrl: string): Promise<string> {
  const retry = { baseUs: 1_000, capUs: 1_000, maxAttempts: 1 };
  const { apiUrl } = platform;
  source = new SubscriptionSource(new FakeIngest(), {
    clientId: 'id',
    clientSecret: 'secret',
    apiUrl,
    mediaUrl,
    retry,
    handshakeUs: 200_000,
  });
  const said = once(source, 'error');
  await source.subscribe(['a']);
  const [{ message }] = (await said) as [Error];
  return message;
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe('each failure has a message of its own', () => {
  test('a name that does not resolve', async () => {
    expect(await complaint('ws://no-such-host.invalid/x')).toMatch(/host name cannot be resolved.*GENESYS_REGION/);
  });

  test('a refused connection', async () => {
    const port = await listening(createServer());
    closers.splice(0).forEach((close) => {
      close();
    });
    expect(await complaint(`ws://127.0.0.1:${port}/x`)).toMatch(/refused \(ECONNREFUSED\); check that the server runs/);
  });

  test('a handshake that does not end', async () => {
    const server = createServer();
    server.on('upgrade', () => {});
    expect(await complaint(`ws://127.0.0.1:${await listening(server)}/x`)).toMatch(
      /did not finish the WebSocket handshake/,
    );
  });

  test('a web page in place of an upgrade', async () => {
    const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'));
    const sentence = await complaint(`ws://127.0.0.1:${await listening(server)}/x`);
    expect(sentence).toMatch(/HTTP 200 and a web page instead of a WebSocket: check the media URL, and any proxy/);
  });

  test('TLS to what speaks none', async () => {
    const server = createServer();
    expect(await complaint(`wss://127.0.0.1:${await listening(server)}/x`)).toMatch(/TLS handshake failed \(EPROTO\)/);
  });

  test.skipIf(!hasOpenssl)('a certificate that nobody vouches for', async () => {
    const server = createTlsServer(pair);
    const sentence = await complaint(`wss://localhost:${await listening(server)}/x`);
    expect(sentence).toMatch(/certificate is not accepted \(DEPTH_ZERO_SELF_SIGNED_CERT\).*--ca-file/);
  });
});

describe.skipIf(!hasOpenssl)('over TLS', () => {
  async function mediaServer(): Promise<{ url: string; clients: WebSocket[] }> {
    const server = createTlsServer(pair);
    const clients: WebSocket[] = [];
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (client) => clients.push(client));
    closers.push(() => {
      for (const client of clients) client.terminate();
    });
    return { url: `wss://localhost:${await listening(server)}/x`, clients };
  }

  function subscribe(mediaUrl: string): void {
    const { apiUrl } = platform;
    const credentials = { clientId: 'id', clientSecret: 'secret' };
    source = new SubscriptionSource(new FakeIngest(), { ...credentials, apiUrl, mediaUrl, caFile: certificate });
    source.on('error', () => {});
    void source.subscribe(['a']);
  }

  /** Sets HTTPS_PROXY to a proxy on loopback; returns the addresses that tunnels through it lead to. */
  async function proxied(): Promise<string[]> {
    const tunnels: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, client: Socket) => {
      tunnels.push(request.url ?? '');
      const [host, port] = (request.url ?? '').split(':');
      const upstream = connect(Number(port), host);
      closers.push(() => upstream.destroy());
      upstream.on('error', () => client.destroy());
      client.on('error', () => upstream.destroy());
      upstream.once('connect', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        upstream.pipe(client).pipe(upstream);
      });
    });
    process.env['HTTPS_PROXY'] = `http://127.0.0.1:${await listening(proxy)}`;
    delete process.env['NO_PROXY'];
    delete process.env['no_proxy'];
    return tunnels;
  }

  test('REST goes through HTTPS_PROXY, its certificate checked behind it, and NO_PROXY leaves it out', async () => {
    // TLS in front of the platform.
    const server = createTlsServer(pair, (incoming, outgoing) => {
      const { method, url, headers } = incoming;
      const onward = request(`${platform.apiUrl}${url ?? ''}`, { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      incoming.pipe(onward);
    });
    const host = `localhost:${await listening(server)}`;
    const tunnels = await proxied();
    // Signs in and asks for a conversation, as a client of its own.
    const ask = async (caFile: string | undefined): Promise<string> => {
      const environment = { clock: systemClock, bucket: new TokenBucket(systemClock), sleep: async () => {} };
      const endpoints = resolveEndpoints({ apiUrl: `https://${host}` });
      const transport = new Transport({ caFile });
      const signIn = new SignIn({ clientId: 'id', clientSecret: 'secret', endpoints, transport }, environment);
      try {
        return await new Conversations(new Rest(signIn, environment), systemClock).availability('a');
      } finally {
        signIn.close();
      }
    };
    const seen = platform.requests.length;
    expect(await ask(certificate)).toBe('active');
    expect(platform.requests.slice(seen)).toEqual(['POST /oauth/token', 'GET /api/v2/conversations/a']);
    expect(tunnels.length).toBeGreaterThanOrEqual(1);
    expect(new Set(tunnels)).toEqual(new Set([host]));
    await expect(ask(undefined)).rejects.toThrow(/certificate is not accepted/);

    const soFar = tunnels.length;
    process.env['NO_PROXY'] = 'localhost';
    expect(await ask(certificate)).toBe('active');
    expect(tunnels).toHaveLength(soFar);

    // Nothing finds its way around a proxy that is gone.
    delete process.env['NO_PROXY'];
    process.env['HTTPS_PROXY'] = 'http://127.0.0.1:1';
    await expect(ask(certificate)).rejects.toThrow(/ECONNREFUSED/);
  });

  test('a CA of one’s own is trusted', async () => {
    const { url, clients } = await mediaServer();
    subscribe(url);
    await expect.poll(() => clients.length).toBe(1);
  });

  test('HTTPS_PROXY is used for media, and NO_PROXY left out', async () => {
    const { url, clients } = await mediaServer();
    const tunnels = await proxied();
    subscribe(url);
    await expect.poll(() => clients.length).toBe(1);
    expect(tunnels).toEqual([new URL(url).host]);
    await source?.stop();
    process.env['NO_PROXY'] = 'localhost';
    subscribe(url);
    await expect.poll(() => clients.length).toBe(2);
    expect(tunnels).toHaveLength(1);
  });
});

describe('settings that cannot be right', () => {
  test('verification is not switched off by accident', () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    expect(() => new Transport()).toThrow(/NODE_TLS_REJECT_UNAUTHORIZED=0.*--ca-file/);
    expect(() => new Transport({ insecureTls: true })).not.toThrow();
  });

  test('a CA file that is missing, or none', () => {
    expect(() => new Transport({ caFile: join(folder, 'nothing.pem') })).toThrow(/Cannot read the CA file/);
    writeFileSync(join(folder, 'note.txt'), 'hello');
    expect(() => new Transport({ caFile: join(folder, 'note.txt') })).toThrow(/no certificate in PEM form/);
  });

  test('a proxy that cannot be one', () => {
    process.env['HTTPS_PROXY'] = 'socks5://127.0.0.1:1';
    delete process.env['NO_PROXY'];
    delete process.env['no_proxy'];
    expect(() => new Transport().webSocketOptions('wss://media.example')).toThrow(/HTTPS_PROXY must be an address/);
  });
});
