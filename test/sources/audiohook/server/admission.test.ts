import { describe, expect, it } from 'vitest';
import { API_KEY, CLIENT_SECRET } from '../../../support/audiohook/node-rig.js';
import { RawCall, type RawOptions } from '../../../support/audiohook/raw-call.js';
import { exchange, rig as serverRig } from '../../../support/audiohook/server-rig.js';

const KEYS = [{ apiKey: API_KEY, clientSecret: CLIENT_SECRET }];

async function rig(options: Parameters<typeof serverRig>[0] = {}) {
  const made = await serverRig({ keys: KEYS, refusalDelayMs: 10, ...options });
  const warnings: { reason: string; detail?: string }[] = [];
  made.server.on('warning', (warning) => warnings.push(warning));
  return { ...made, warnings, dial: (more: RawOptions = {}) => new RawCall(made.url, more) };
}

const unsigned = (port: number): string =>
  `GET /audiohook/ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

describe('requests that cannot sign', () => {
  it('do not lock out those that can, from the same address', async () => {
    const { dial, port, server } = await rig({ limits: { handshakesPerSecond: 50, failuresPerSecond: 10 } });
    const flood: Promise<string>[] = [];
    const legitimate: Promise<number | undefined>[] = [];
    for (let i = 0; i < 40; i++) {
      for (let n = 0; n < 25; n++) flood.push(exchange(port, unsigned(port)));
      legitimate.push(dial().connected());
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(await Promise.all(legitimate)).toEqual(Array(40).fill(undefined));
    const statuses = (await Promise.all(flood)).map((text) => text.slice(9, 12));
    expect(new Set(statuses)).toEqual(new Set(['401', '429']));
    const { rejected } = server.counters();
    expect(rejected).toEqual({ keyMissing: expect.any(Number), addressFailures: expect.any(Number) });
    expect((rejected.keyMissing ?? 0) + (rejected.addressFailures ?? 0)).toBe(1_000);
    expect(rejected.addressFailures).toBeGreaterThan(900);
  });

  it('are warned of once for each reason', async () => {
    const { port, dial, warnings } = await rig({ limits: { failuresPerSecond: 2 } });
    for (let i = 0; i < 20; i++) await exchange(port, unsigned(port));
    await dial({ apiKey: 'unknown' }).connected();
    expect(warnings.map(({ reason }) => reason)).toEqual(['rejected:keyMissing', 'rejected:addressFailures']);
  });
});

describe('requests that can sign', () => {
  it('have an allowance for each key', async () => {
    const other = { apiKey: 'other', clientSecret: 'b3RoZXI=' };
    const { dial, server } = await rig({ keys: [...KEYS, other], limits: { handshakesPerSecond: 1 } });
    const busy = await Promise.all(Array.from({ length: 6 }, () => dial().connected()));
    expect(busy.filter((status) => status === 429).length).toBeGreaterThanOrEqual(3);
    expect(await dial(other).connected()).toBeUndefined();
    expect(server.counters().rejected).toMatchObject({ handshakeRate: expect.any(Number) });
  });

  it('do not pay for failures behind the same address', async () => {
    const { dial } = await rig({ limits: { failuresPerSecond: 1 } });
    for (let i = 0; i < 8; i++) await dial({ clientSecret: 'd3Jvbmc=' }).connected();
    expect(await dial().connected()).toBeUndefined();
  });
});

describe('behind a proxy that rewrites Host or path', () => {
  const signedUrl = 'wss://hooks.example.com/tenant/one?x=1';

  it.each<[string, Parameters<typeof serverRig>[0], Record<string, string>]>([
    ['settings', { publicAuthority: 'hooks.example.com', publicPath: '/tenant/one' }, {}],
    ['the former name of the setting', { authority: 'Hooks.Example.com:443', publicPath: '/tenant/one' }, {}],
    [
      'X-Forwarded-Host and X-Original-URI of a trusted proxy',
      { trustedProxies: ['loopback'] },
      { 'x-forwarded-host': 'hooks.example.com', 'x-original-uri': '/tenant/one?x=1' },
    ],
    [
      'Forwarded, and a path by settings',
      { trustedProxies: ['127.0.0.0/8'], publicPath: '/tenant/one' },
      { forwarded: 'for="[2001:db8::1]:4711";host="hooks.example.com";proto=https, for=10.0.0.1;host=inner' },
    ],
  ])('signatures hold with %s', async (_name, options, headers) => {
    const { url } = await rig(options);
    const call = new RawCall(`${url}?x=1`, { signedUrl, headers });
    expect(await call.connected()).toBeUndefined();
  });

  it('a prefix that the proxy takes off is put back', async () => {
    const { url } = await rig({ trustedProxies: ['loopback'], publicAuthority: 'hooks.example.com' });
    const call = new RawCall(url, {
      signedUrl: 'wss://hooks.example.com/tenant/audiohook/ws',
      headers: { 'x-forwarded-prefix': '/tenant/' },
    });
    expect(await call.connected()).toBeUndefined();
  });

  it('headers of anybody else are not believed', async () => {
    const headers = { 'x-forwarded-host': 'hooks.example.com', 'x-original-uri': '/tenant/one?x=1' };
    for (const trustedProxies of [[], ['10.0.0.0/8', '::1']]) {
      const { url } = await rig({ trustedProxies });
      expect(await new RawCall(`${url}?x=1`, { signedUrl, headers }).connected()).toBe(401);
    }
  });

  it('a mismatch says what was checked and what arrived, without query or key', async () => {
    const { url, port, rejected, warnings } = await rig();
    await new RawCall(`${url}?token=secret`, {
      signedUrl,
      headers: { 'x-forwarded-host': 'hooks.example.com' },
    }).connected();
    const detail = rejected[0]?.detail ?? '';
    expect(rejected[0]?.reason).toBe('signatureMismatch');
    expect(detail).toBe(
      `checked as signed for authority "127.0.0.1:${port}" and path "/audiohook/ws"; arrived with path "/audiohook/ws", ` +
        `host "127.0.0.1:${port}", x-forwarded-host "hooks.example.com"`,
    );
    expect(warnings[0]).toMatchObject({ reason: 'rejected:signatureMismatch', detail });
  });

  it('the address of the client is that of the last hop that is no trusted proxy', async () => {
    const { dial, rejected } = await rig({ trustedProxies: ['loopback', '10.0.0.0/8'] });
    const bad = { apiKey: 'unknown' };
    const forwardedFor = '6.6.6.6, 203.0.113.7, 10.1.2.3';
    await dial({ ...bad, headers: { 'x-forwarded-for': forwardedFor } }).connected();
    await dial({ ...bad, headers: { forwarded: 'for="[2001:db8::7]:99", for=10.0.0.9' } }).connected();
    await dial(bad).connected();
    expect(rejected.map(({ remoteAddress }) => remoteAddress)).toEqual(['203.0.113.7', '2001:db8::7', '127.0.0.1']);
  });

  it.each(['10.0.0.0/33', 'proxy.example.com', '10.0.0.0/8/8', '', '10.0.0.0/x'])(
    'a trusted proxy %j is refused at once',
    async (proxy) => {
      await expect(serverRig({ trustedProxies: [proxy] })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    },
  );
});
