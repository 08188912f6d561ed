import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { checkCertifiedKey } from '../../../../src/core/network/certificate.js';
import { requestHeaders } from '../../../../src/simulator/audiohook/protocol-faults.js';
import { uuid } from '../../../support/audiohook/raw-call.js';
import { type Rig, rig, SECRET } from '../../../support/audiohook/server-rig.js';
import { hasOpenssl, makeCertificate } from '../../../support/certificate.js';

const DAY_MS = 86_400_000;
const HEADER_MS = 1_000;
const folder = mkdtempSync(join(tmpdir(), 'trunkline-tls-'));
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A bare connection; `closed` resolves with what came back when the server has ended it. */
function dial(port: number): { socket: Socket; closed: Promise<Buffer> } {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  // A reset is an end as well, so that once(), which rejects on errors, would not do.
  socket.on('error', () => {});
  const closed = new Promise<Buffer>((resolve) => socket.once('close', () => resolve(Buffer.concat(parts))));
  return { socket, closed };
}

/** The bytes of a proper ClientHello. */
async function clientHello(): Promise<Buffer> {
  const parts: Buffer[] = [];
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      parts.push(chunk);
      done();
    },
  });
  const client = tlsConnect({ socket: wire, servername: 'localhost' });
  client.on('error', () => {});
  while (parts.length === 0) await new Promise(setImmediate);
  client.destroy();
  return Buffer.concat(parts);
}

/**
 * A TLS client whose writes are held back while `held`, and then go out as one; what the handshake ends with and the
 * first bytes behind it thus arrive together.
 */
function corked(port: number): { wire: Duplex; flush(): void; raw: Socket } {
  const { socket: raw } = dial(port);
  let parts: Buffer[] = [];
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      parts.push(chunk);
      done();
    },
  });
  raw.on('data', (chunk: Buffer) => wire.push(chunk));
  raw.on('close', () => wire.push(null));
  const flush = (): void => {
    raw.write(Buffer.concat(parts));
    parts = [];
  };
  return { wire, flush, raw };
}

function upgrade({ url }: Rig): string {
  const identity = {
    url: new URL(url),
    ...{ organizationId: uuid(), sessionId: uuid(), correlationId: uuid(), apiKey: 'key', clientSecret: SECRET },
  };
  const headers = {
    Host: new URL(url).host,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...(requestHeaders(identity, Date.now()) as Record<string, string>),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${new URL(url).pathname} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

describe.skipIf(!hasOpenssl)('with a certificate, the server', () => {
  async function secure(): Promise<Rig> {
    const { cert, key } = makeCertificate(folder);
    const one = await rig({ tls: { cert, key }, limits: { headerMs: HEADER_MS } });
    return { ...one, url: one.url.replace('ws:', 'wss:') };
  }

  /** Calls beside whatever goes on; nothing of it may have cost them anything. */
  async function expectUndisturbed({ call, url, errors, server }: Rig): Promise<void> {
    const { calls } = await call({ url, insecure: true, sessions: 2 });
    for (const one of calls) expect(one).toMatchObject({ outcome: 'closed', violations: [] });
    expect(errors).toEqual([]);
    await expect.poll(() => server.counters()).toMatchObject({ internalErrors: 0, sessionsLive: 0 });
  }

  it('ends what speaks no TLS, and what stops during its handshake', async () => {
    const one = await secure();
    const hello = await clientHello();
    const plain = dial(one.port);
    plain.socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    const mute = dial(one.port);
    const half = dial(one.port);
    half.socket.write(hello.subarray(0, hello.length >> 1));
    const greeted = dial(one.port);
    greeted.socket.write(hello);
    const slow = dial(one.port);
    let at = 0;
    const drip = setInterval(() => slow.socket.write(hello.subarray(at, ++at)), HEADER_MS / 20);
    const good = expectUndisturbed(one);
    const ended = await Promise.all([plain, mute, half, greeted, slow].map(({ closed }) => closed));
    clearInterval(drip);
    expect(at).toBeLessThan(hello.length);
    expect(ended[0]?.toString('latin1')).not.toContain('HTTP');
    await good;
    expect(one.rejected.map(({ reason, code }) => `${reason} ${code}`).sort()).toEqual(
      ['ERR_SSL_HTTP_REQUEST', ...Array(4).fill('ERR_TLS_HANDSHAKE_TIMEOUT')].map((code) => `tls ${code}`),
    );
  });

  it('ends what has shaken hands and then says nothing, or says it too slowly', async () => {
    const one = await secure();
    const greet = () => {
      const socket = tlsConnect({ port: one.port, host: '127.0.0.1', rejectUnauthorized: false });
      sockets.push(socket);
      socket.on('error', () => {});
      socket.resume();
      const closed = new Promise((resolve) => socket.once('close', resolve));
      return { socket, closed, shaken: once(socket, 'secureConnect') };
    };
    const silent = greet();
    const slow = greet();
    await Promise.all([silent.shaken, slow.shaken]);
    const request = upgrade(one);
    let at = 0;
    const drip = setInterval(() => slow.socket.write(request.slice(at, ++at)), HEADER_MS / 20);
    const good = expectUndisturbed(one);
    await Promise.all([silent.closed, slow.closed]);
    clearInterval(drip);
    expect(at).toBeLessThan(request.length);
    await good;
  });

  it('takes a request that arrives together with the end of the handshake, and a message with the request', async () => {
    const one = await secure();
    const { wire, flush, raw } = corked(one.port);
    const client = tlsConnect({ socket: wire, rejectUnauthorized: false });
    client.on('error', () => {});
    let text = '';
    client.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    await new Promise(setImmediate);
    flush();
    await once(client, 'secureConnect');
    // A ping frame of WebSocket, masked with zeros, right behind the request; and nothing has been sent since the hello.
    client.write(Buffer.concat([Buffer.from(upgrade(one)), Buffer.from([0x89, 0x82, 0, 0, 0, 0, 0x68, 0x69])]));
    await new Promise(setImmediate);
    flush();
    const pump = setInterval(flush, 5);
    await expect.poll(() => text).toContain('\r\n\r\n\x8a\x02hi');
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    clearInterval(pump);
    expect(one.server.counters().sessionsLive).toBe(1);
    // Half a frame, and gone.
    client.write(Buffer.from([0x82, 0xfe, 0x06]));
    await new Promise(setImmediate);
    flush();
    raw.resetAndDestroy();
    await expect.poll(() => one.server.counters().sessionsLive).toBe(0);
    await expectUndisturbed(one);
  });

  it('reports a client that does not trust the certificate, and nobody who only checks whether the port is open', async () => {
    const one = await secure();
    const looked = dial(one.port);
    await once(looked.socket, 'connect');
    looked.socket.end();
    await looked.closed;
    // Node's own client says nothing of it and leaves.
    const wary = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${one.port}`, '-verify_return_error'], {
      stdio: 'ignore',
    });
    await once(wary, 'close');
    await expect.poll(() => one.server.counters().rejected).toEqual({ tls: 1 });
    expect(one.rejected).toMatchObject([
      { reason: 'tls', code: expect.stringMatching(/ALERT/), remoteAddress: '127.0.0.1' },
    ]);
    expect(one.rejected[0]).not.toHaveProperty('status');
  });

  it('goes on under hundreds of handshakes that lead to nothing', async () => {
    const one = await secure();
    let shaken = 0;
    const good = expectUndisturbed(one);
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        Array.from({ length: 30 }, (_, i) => {
          const raw = dial(one.port).socket;
          const socket = tlsConnect({ socket: raw, rejectUnauthorized: false });
          socket.on('error', () => {});
          socket.once('secureConnect', () => {
            shaken++;
            if (i % 3 === 0) socket.destroy();
            else if (i % 3 === 1) raw.resetAndDestroy();
            else socket.end('GET / HTTP/1.1\r\n');
          });
          socket.resume();
          return once(raw, 'close');
        }),
      );
    }
    expect(shaken).toBe(300);
    await good;
  });
});

describe.skipIf(!hasOpenssl)('a certificate and its key', () => {
  it('are refused with a sentence when they are none, do not belong together, or do not hold now', () => {
    const one = makeCertificate(folder);
    const other = makeCertificate(folder, 'other');
    const nowMs = Date.now();
    const check =
      (pair: { cert: string; key: string }, atMs = nowMs) =>
      () =>
        checkCertifiedKey(pair, atMs);
    expect(check(one)).not.toThrow();
    expect(check({ ...one, cert: one.cert + other.cert })).not.toThrow();
    expect(check({ ...one, cert: 'garbage' })).toThrow(/certificate cannot be read; give a chain in PEM/);
    expect(check({ ...one, cert: one.key })).toThrow(/certificate cannot be read/);
    expect(check({ ...one, key: 'garbage' })).toThrow(/private key cannot be read/);
    expect(check({ ...one, key: other.key })).toThrow(/not that of the certificate/);
    expect(check({ ...one, cert: one.cert + other.cert.slice(0, 200) })).toThrow(/chain cannot be used/);
    expect(check(one, nowMs + 3 * DAY_MS)).toThrow(/expired on .*; renew it/);
    expect(check(one, nowMs - DAY_MS)).toThrow(/holds from .* on only/);
  });
});
