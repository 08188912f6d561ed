import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AUTHENTICATION_FAULTS, requestHeaders } from '../../../../src/simulator/audiohook/protocol-faults.js';
import { uuid } from '../../../support/audiohook/raw-call.js';
import { exchange, rig, SECRET } from '../../../support/audiohook/server-rig.js';

const REFUSED = 'HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/** Lines of an upgrade request, so that a header may come twice. */
function upgrade(headers: readonly (readonly [string, string | readonly string[]])[], path = '/audiohook/ws'): string {
  const lines = headers.flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`));
  return [`GET ${path} HTTP/1.1`, 'Connection: Upgrade', 'Upgrade: websocket', ...lines, '', ''].join('\r\n');
}

const WEBSOCKET = [
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ['Sec-WebSocket-Version', '13'],
] as const;

interface Signing {
  readonly fault?: (typeof AUTHENTICATION_FAULTS)[number];
  readonly apiKey?: string;
  readonly secret?: string;
  readonly signature?: string;
}

/** A whole signed request, as the caller of the simulator signs it. */
function signed(port: number, { fault, apiKey = 'key', secret = SECRET, signature }: Signing = {}): string {
  const identity = {
    url: new URL(`ws://127.0.0.1:${port}/audiohook/ws`),
    organizationId: uuid(),
    sessionId: uuid(),
    correlationId: uuid(),
    apiKey,
    clientSecret: secret,
  };
  const headers = requestHeaders(identity, Date.now(), fault);
  if (signature !== undefined) headers['signature'] = signature;
  return upgrade([['Host', `127.0.0.1:${port}`], ...WEBSOCKET, ...Object.entries(headers)]);
}

describe('refused requests', () => {
  it('are answered with the same bytes whatever is wrong; the reason is in our log, and the next good one is let in', async () => {
    const { port, rejected, server, call } = await rig();
    // Let in once, refused ever after.
    expect((await call({ fault: 'replay' })).outcomes.closed).toBe(1);
    const answers = await Promise.all(AUTHENTICATION_FAULTS.map((fault) => exchange(port, signed(port, { fault }))));
    expect(answers).toEqual(AUTHENTICATION_FAULTS.map(() => REFUSED));
    const wrongSecret = await exchange(port, signed(port, { secret: 'd3Jvbmc=' }));
    const otherKey = await exchange(port, signed(port, { apiKey: 'kex' }));
    const noKey = await exchange(port, upgrade([['Host', 'a'], ...WEBSOCKET]));
    const empty = await exchange(port, upgrade([['Host', 'a'], ['X-API-KEY', ''], ...WEBSOCKET]));
    const garbled = await exchange(port, signed(port, { signature: '?' }));
    expect([wrongSecret, otherKey, noKey, empty, garbled]).toEqual(Array(5).fill(REFUSED));
    expect(rejected.map(({ reason }) => reason).sort()).toEqual(
      [
        ...['signatureMismatch', 'signatureLength', 'signatureLength', 'keyUnknown', 'unsigned', 'replayed', 'tooOld'],
        ...['created', 'componentMissing', 'headerDuplicated', 'nonceShort'],
        ...['signatureMismatch', 'keyUnknown', 'keyMissing', 'keyMissing', 'headerMalformed'],
      ].sort(),
    );
    expect(rejected.every(({ status }) => status === 401)).toBe(true);
    expect((await call({})).outcomes.closed).toBe(1);
    expect(server.counters()).toMatchObject({ sessionsConnected: 2, internalErrors: 0 });
  });

  it('every header that counts may come once only', async () => {
    const { port, rejected } = await rig();
    const names = ['host', 'audiohook-organization-id', 'audiohook-session-id', 'audiohook-correlation-id'];
    for (const name of [...names, 'x-api-key', 'signature', 'signature-input']) {
      const request = signed(port).replace(new RegExp(`^(${name}: .*\r\n)`, 'im'), '$1$1');
      expect([name, await exchange(port, request)]).toEqual([name, REFUSED]);
    }
    expect(rejected.map(({ reason }) => reason)).toEqual(Array(7).fill('headerDuplicated'));
  });

  it('a signature of any wrong length, and any text in its place, harms nobody', async () => {
    const { port, rejected, server, call } = await rig({ refusalDelayMs: 0, limits: { failuresPerSecond: 1_000 } });
    const lengths = Array.from({ length: 201 }, (_, length) => length);
    for (const length of lengths) {
      const signature = `sig1=:${randomBytes(length).toString('base64')}:`;
      expect([length, await exchange(port, signed(port, { signature }))]).toEqual([length, REFUSED]);
    }
    const wrong = lengths.map((length) => (length === 32 ? 'signatureMismatch' : 'signatureLength'));
    expect(rejected.map(({ reason }) => reason)).toEqual(wrong);
    const text = fc.string({ unit: fc.constantFrom(...'sig1=:()";, \t?*-AZaz09+/%'), maxLength: 60 });
    const any = fc.asyncProperty(text, async (signature) => {
      expect(await exchange(port, signed(port, { signature }))).toBe(REFUSED);
    });
    await fc.assert(any, { numRuns: 100 });
    expect((await call({})).outcomes.closed).toBe(1);
    expect(server.counters().internalErrors).toBe(0);
  });

  it('are answered only after a while, so that nobody can try many', async () => {
    const { port } = await rig({ refusalDelayMs: 200 });
    const from = performance.now();
    const kinds = ['badSignature', 'wrongKey', 'unsigned'] as const;
    const answers = await Promise.all(kinds.map((fault) => exchange(port, signed(port, { fault }))));
    expect(answers).toEqual(Array(3).fill(REFUSED));
    // Not how fast: that it was no sooner.
    expect(performance.now() - from).toBeGreaterThanOrEqual(195);
  });

  it('a request that is signed and good, but is no WebSocket, is not let in', async () => {
    const { port, server } = await rig();
    const request = signed(port).replace(/Sec-WebSocket-Key: .*\r\n/, '');
    expect(await exchange(port, request)).toMatch(/^HTTP\/1\.1 400 /);
    expect(server.counters()).toMatchObject({ sessionsConnected: 0, sessionsLive: 0 });
  });
});
