import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Conversations } from '../../bench/capacity/audiohook/frames.js';
import { maskedFrame, textFrame } from '../../bench/capacity/load/websocket.js';
import { decodePcmu } from '../../src/audio/codecs/g711.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';

type Side = 'client' | 'server';

/** What a real peer makes of raw bytes that the other side writes past its own WebSocket object. */
async function received(by: Side, chunks: readonly Buffer[], messages: number): Promise<Buffer[]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const upgraded = once(client, 'upgrade') as Promise<[{ readonly socket: Socket }]>;
  const [serverEnd, request] = (await once(server, 'connection')) as [WebSocket, { readonly socket: Socket }];
  const [{ socket: clientSocket }] = await upgraded;
  const [reader, socket] = by === 'server' ? [serverEnd, clientSocket] : [client, request.socket];
  const got: Buffer[] = [];
  const enough = new Promise<void>((resolve, reject) => {
    reader.on('error', reject);
    reader.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary !== (by === 'server')) reject(new Error('a message of the wrong type'));
      got.push(data);
      if (got.length === messages) resolve();
    });
  });
  if (client.readyState !== WebSocket.OPEN) await once(client, 'open');
  for (const chunk of chunks) socket.write(chunk);
  await enough;
  client.terminate();
  server.close();
  return got;
}

const LENGTHS = [1, 2, 3, 4, 125, 126, 320, 3_200, 65_535];

it('frames texts of every length class so that a real client reads them', async () => {
  const texts = LENGTHS.map((length) => 'x'.repeat(length));
  const got = await received('client', [Buffer.concat(texts.map(textFrame))], texts.length);
  expect(got.map(String)).toEqual(texts);
  expect(() => textFrame('x'.repeat(65_536))).toThrow(RangeError);
});

it('masks binary messages of every length class so that a real server reads them', async () => {
  const payloads = LENGTHS.map((length) => Buffer.from(Array.from({ length }, (_, i) => (i * 37 + length) & 0xff)));
  const frames = payloads.map((payload) => maskedFrame(payload, [1, 0x80, 0xff, 0x5a]));
  const got = await received('server', frames, frames.length);
  expect(got.map((data, i) => data.equals(payloads[i] as Buffer))).toEqual(payloads.map(() => true));
  expect(() => maskedFrame(Buffer.alloc(65_536), [1, 2, 3, 4])).toThrow(RangeError);
});

it('does not change what it masks', () => {
  const payload = Buffer.from([1, 2, 3, 4, 5]);
  maskedFrame(payload, [9, 9, 9, 9]);
  expect([...payload]).toEqual([1, 2, 3, 4, 5]);
});

it.each([20, 200])('makes stereo conversations in frames of %i ms that a real server takes apart', async (frameMs) => {
  const conversations = new Conversations(frameMs * 1_000);
  const { frames, start } = conversations.conversation(3);
  expect(start).toBeLessThan(frames.length);
  const got = await received('server', frames, frames.length);
  const samples = frameMs * 8;
  expect(new Set(got.map(({ length }) => length))).toEqual(new Set([samples * 2]));
  const energies = [0, 1].map((side) => {
    const codes = Buffer.concat(got).filter((_, i) => i % 2 === side);
    const pcm = new SampleMemory(new ArrayBuffer(2 * codes.length));
    decodePcmu(SampleMemory.copyOf(codes), 0, codes.length, pcm, 0);
    return pcm.samples.reduce((sum, sample) => sum + sample ** 2, 0) / codes.length;
  });
  // Both sides speak, and not the same.
  expect(Math.min(...energies)).toBeGreaterThan(10_000);
  expect(energies[0]).not.toBe(energies[1]);
  // All who say the same share one set of frames: a thousand calls cost no more memory than five.
  expect(conversations.conversation(8).frames).toBe(frames);
});
