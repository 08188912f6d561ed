import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { type Clock, systemClock } from '../../../src/core/clock.js';
import { runAudioHookClient } from '../../../src/simulator/audiohook/client.js';

/** So that a patience of seconds is over in a moment. */
const FAST: Clock = { nowUs: () => systemClock.nowUs() * 20, wallMs: () => systemClock.wallMs() };

const servers: WebSocketServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers `open`, or nothing at all, and never anything else. */
async function callOn(answersOpen: boolean) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  servers.push(server);
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => {
      const message = isBinary ? undefined : (JSON.parse(String(data)) as { type: string; id: string });
      if (!answersOpen || message?.type !== 'open') return;
      const opened = { version: '2', type: 'opened', id: message.id, seq: 1, clientseq: 1, parameters: { media: [] } };
      socket.send(JSON.stringify(opened));
    });
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `ws://127.0.0.1:${port}/`;
  return (await runAudioHookClient({ url, apiKey: 'key', sessions: 1, seconds: 8, clock: FAST })).calls[0];
}

it.each([
  [false, ['no opened within 5 s']],
  [true, ['no pong within 5 s', 'no closed within 5 s']],
])(
  'holds a server that answers open (%s) and nothing else to its five seconds, and gives it up',
  async (answersOpen, violations) => {
    expect(await callOn(answersOpen)).toMatchObject({ outcome: 'lost', violations });
  },
);

it('says why there was no connection', async () => {
  const calls = await runAudioHookClient({ url: 'ws://127.0.0.1:1/', apiKey: 'key', sessions: 1, seconds: 1 });
  expect(calls.calls[0]).toMatchObject({ outcome: 'failed', error: expect.stringContaining('ECONNREFUSED') });
});
