import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { interactionId } from '../../bench/capacity/load/plan.js';
import { ConnectionFrames, type Voice } from '../../bench/capacity/subscription/frames.js';
import { MAX_TICKS, sequenceBase, timestampBase } from '../../bench/capacity/subscription/plan.js';
import { parseMessage } from '../../src/sources/genesys/protocol/wire.js';

/** Payloads of different lengths, as Opus has them. */
const VOICES: readonly Voice[] = [
  { index: 3, ticksPerPacket: 160, payloads: ['AAAA', 'BBBBBBBB', 'CCCC'], start: 1 },
  { index: 1999, ticksPerPacket: 960, payloads: ['D'.repeat(216)], start: 0 },
];

/** What a real client makes of raw bytes that a server writes past its own WebSocket object. */
async function received(chunks: readonly Buffer[], messages: number): Promise<string[]> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const sockets: Socket[] = [];
  server.on('connection', (_webSocket, request) => sockets.push(request.socket));
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const texts: string[] = [];
  const enough = new Promise<void>((resolve, reject) => {
    client.on('error', reject);
    client.on('message', (data, isBinary) => {
      texts.push(isBinary ? 'binary' : String(data));
      if (texts.length === messages) resolve();
    });
  });
  await once(client, 'open');
  for (const chunk of chunks) sockets[0]?.write(chunk);
  await enough;
  client.terminate();
  server.close();
  return texts;
}

it('sends each interaction its packet of each tick, with the payloads going round', async () => {
  const frames = new ConnectionFrames(VOICES, 4);
  const ticks = [0, 1, 2, 3, 4, 5];
  // A slot comes round again after four ticks, so each chunk must be copied here to be kept.
  const texts = await received(
    ticks.map((tick) => Buffer.from(frames.at(tick))),
    ticks.length * VOICES.length,
  );
  const expected = ticks.flatMap((tick) =>
    VOICES.map(({ index, ticksPerPacket, payloads, start }) => ({
      kind: 'packet',
      interactionId: interactionId(index),
      sequenceNumber: sequenceBase(index) + tick,
      timestamp: timestampBase(index) + tick * ticksPerPacket,
      payload: payloads[(start + (tick % 4)) % payloads.length],
    })),
  );
  expect(texts.map((text) => parseMessage(text))).toMatchObject(expected);
});

it('keeps the length of every frame whatever the tick', () => {
  const frames = new ConnectionFrames(VOICES, 3);
  const text = (tick: number): string => frames.at(tick).toString('latin1');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_TICKS + 100 }), (tick) => {
      const numbers = [...text(tick).matchAll(/"sequenceNumber":(\d+),"timestamp":(\d+),/g)];
      expect(numbers.map(([, sequence, timestamp]) => [Number(sequence), Number(timestamp)])).toEqual(
        VOICES.map(({ index, ticksPerPacket }) => [
          sequenceBase(index) + tick,
          timestampBase(index) + tick * ticksPerPacket,
        ]),
      );
    }),
    { numRuns: 200 },
  );
});

it('refills the same memory for the same slot, and another for the ticks between', () => {
  const frames = new ConnectionFrames(VOICES, 3);
  const first = frames.at(0);
  expect(frames.at(1)).not.toBe(first);
  expect(frames.at(3)).toBe(first);
});
