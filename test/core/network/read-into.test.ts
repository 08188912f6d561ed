import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { readInto } from '../../../src/core/network/read-into.js';
import { until } from '../../support/until.js';

const open: (Socket | Server)[] = [];
afterEach(() => {
  for (const one of open.splice(0)) 'destroy' in one ? one.destroy() : one.close();
});

/** A connection: the client's end, and the end that a server has accepted. */
async function pair(): Promise<{ client: Socket; accepted: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  open.push(server, client, accepted);
  return { client, accepted };
}

describe('a socket that a server has accepted', () => {
  it('reads into the memory it is given, and still ends', async () => {
    const { client, accepted } = await pair();
    const memory = Buffer.alloc(1024);
    let text = '';
    const data: Buffer[] = [];
    accepted.on('data', (part: Buffer) => data.push(part));
    const taken = (length: number): boolean => {
      text += memory.toString('latin1', 0, length);
      return true;
    };
    expect(readInto(accepted, memory, taken)).toBe(true);
    client.write('first');
    await until(() => text === 'first', 'the first write');
    client.end(' last');
    await once(accepted, 'end');
    expect(text).toBe('first last');
    expect(data).toEqual([]);
  });

  it('gives no more than the memory holds at a time', async () => {
    const { client, accepted } = await pair();
    const memory = Buffer.alloc(100);
    const lengths: number[] = [];
    readInto(accepted, memory, (length) => lengths.push(length) > 0);
    accepted.resume();
    client.write(Buffer.alloc(1000));
    await until(() => lengths.reduce((sum, length) => sum + length, 0) === 1000, 'all bytes');
    expect(Math.max(...lengths)).toBe(100);
  });

  it('is not read after false until it is resumed', async () => {
    const { client, accepted } = await pair();
    const memory = Buffer.alloc(10);
    let read = 0;
    readInto(accepted, memory, (length) => {
      read += length;
      return false;
    });
    accepted.resume();
    client.write(Buffer.alloc(30));
    for (const expected of [10, 20, 30]) {
      await until(() => read === expected, `${expected} bytes`);
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      expect(read).toBe(expected);
      accepted.resume();
    }
  });

  it('is left alone when it reads into memory already, or has no connection any more', async () => {
    const { accepted } = await pair();
    expect(readInto(accepted, Buffer.alloc(10), () => true)).toBe(true);
    expect(readInto(accepted, Buffer.alloc(10), () => true)).toBe(false);
    const { accepted: closed } = await pair();
    closed.destroy();
    expect(readInto(closed, Buffer.alloc(10), () => true)).toBe(false);
  });
});
