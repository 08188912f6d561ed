import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requestHeaders } from '../../../../src/simulator/audiohook/protocol-faults.js';
import { NonceFile } from '../../../../src/sources/audiohook/server/nonce-file.js';
import { uuid } from '../../../support/audiohook/raw-call.js';
import { exchange, rig, SECRET } from '../../../support/audiohook/server-rig.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-nonces-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The text of a signed request for any port, which a proxy in front of both processes has passed on. */
function signedRequest(wallMs = Date.now()): string {
  const identity = {
    url: new URL('ws://hooks.example.com/audiohook/ws'),
    organizationId: uuid(),
    sessionId: uuid(),
    correlationId: uuid(),
    apiKey: 'key',
    clientSecret: SECRET,
  };
  const headers = Object.entries(requestHeaders(identity, wallMs)).map(([name, value]) => `${name}: ${value}\r\n`);
  return (
    'GET /audiohook/ws HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${headers.join('')}\r\n`
  );
}

/** The status; a connection that is taken is cut by closing the server. */
async function statusOf(options: Parameters<typeof rig>[0], requests: readonly string[]): Promise<string[]> {
  const { port, server } = await rig({ timing: { openWaitUs: 50_000, closeWaitUs: 50_000 }, ...options });
  const answers: string[] = [];
  for (const request of requests) answers.push((await exchange(port, request)).slice(9, 12));
  await server.close();
  return answers;
}

describe('a signed request that is sent again after a restart', () => {
  it('is refused by a server that keeps its nonces, and others are not', async () => {
    const nonceFile = join(folder, 'nonces');
    const [first, second, fresh] = [signedRequest(), signedRequest(Date.now() + 2_000), signedRequest()];
    expect(await statusOf({ nonceFile }, [first, second, first])).toEqual(['101', '101', '401']);
    expect(await statusOf({ nonceFile }, [first, second, fresh])).toEqual(['401', '401', '101']);
    expect(await statusOf({ nonceFile }, [fresh])).toEqual(['401']);
  });

  it('is refused by one that keeps none, if it was signed before the start', async () => {
    const before = signedRequest(Date.now() - 2_000);
    const { port, server } = await rig({ refusalDelayMs: 0 });
    expect((await exchange(port, before)).slice(9, 12)).toBe('401');
    expect(server.counters().rejected).toEqual({ beforeStart: 1 });
    expect(await statusOf({}, [signedRequest()])).toEqual(['101']);
    // With the file, what an earlier process did not accept may come now.
    expect(await statusOf({ nonceFile: join(folder, 'nonces') }, [signedRequest(Date.now() - 2_000)])).toEqual(['101']);
  });
});

describe('the nonce file', () => {
  const path = (): string => join(folder, 'nonces');
  const failures: string[] = [];
  const open = (): NonceFile => new NonceFile(path(), (message) => failures.push(message));

  it('is for its owner only, and holds no key and no nonce in the clear', async () => {
    const request = signedRequest();
    await statusOf({ nonceFile: path() }, [request]);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    const nonce = /nonce="([^"]+)"/.exec(request)?.[1] ?? 'none';
    expect(readFileSync(path(), 'utf8')).not.toContain(nonce);
    expect(readFileSync(path(), 'utf8')).not.toContain('key');
  });

  it('gives back what has not expired, oldest first, whatever else is in it', () => {
    writeFileSync(path(), 'late 3000\nold 900\n\ngarbage\nnot-a-number x\nsoon 2000\ntorn 25');
    const file = open();
    expect(file.read(1_000)).toEqual([
      ['soon', 2_000],
      ['late', 3_000],
    ]);
    file.append(['new', 4_000], () => []);
    file.close();
    expect(readFileSync(path(), 'utf8')).toBe('soon 2000\nlate 3000\nnew 4000\n');
  });

  it('is rewritten before it grows without end', () => {
    const file = open();
    for (let i = 0; i < 100_000; i++) file.append([`n${i}`, i], () => []);
    file.append(['last', 1], () => [['last', 1]]);
    file.close();
    expect(readFileSync(path(), 'utf8')).toBe('last 1\n');
    expect(failures).toEqual([]);
  });

  it('that cannot be written is an error at the start, with its name', async () => {
    const nonceFile = join(folder, 'missing', 'nonces');
    await expect(rig({ nonceFile })).rejects.toMatchObject({
      code: 'FILE_FAILED',
      message: expect.stringContaining(nonceFile),
    });
  });
});
