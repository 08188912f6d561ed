import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { type Clock, systemClock } from '../../../src/core/clock.js';
import { type AudioHookClientOptions, runAudioHookClient } from '../../../src/simulator/audiohook/client.js';

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

interface Sent {
  readonly type: string;
  readonly id: string;
  readonly position: string;
  readonly parameters: Record<string, unknown>;
}

/** A server that answers every message as the protocol wants it, and keeps them all. */
async function politeServer(): Promise<{ url: string; sent: Sent[] }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  servers.push(server);
  const sent: Sent[] = [];
  server.on('connection', (socket) => {
    let seq = 0;
    const answer = (type: string, to: Sent & { seq: number }, parameters: object): void => {
      seq += 1;
      socket.send(JSON.stringify({ version: '2', type, id: to.id, seq, clientseq: to.seq, parameters }));
    };
    socket.on('message', (data, isBinary) => {
      if (isBinary) return;
      const message = JSON.parse(String(data)) as Sent & { seq: number; parameters: { media?: unknown[] } };
      sent.push(message);
      if (message.type === 'open') answer('opened', message, { media: message.parameters.media?.slice(0, 1) });
      if (message.type === 'ping') answer('pong', message, {});
      if (message.type === 'close') answer('closed', message, {});
    });
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, sent };
}

function callTo(url: string, options: Partial<AudioHookClientOptions>) {
  return runAudioHookClient({ url, apiKey: 'key', sessions: 1, seconds: 3, clock: FAST, ...options });
}

it('sums positions in floating point, as some clients do', async () => {
  const { url, sent } = await politeServer();
  await callTo(url, { fault: 'summedPositions', frameMs: 20, pingSeconds: 0.1 });
  let seconds = 0;
  for (let frame = 0; frame < 150; frame++) seconds += 0.02;
  expect(seconds).not.toBe(3);
  expect(sent.at(-1)).toMatchObject({ type: 'close', position: `PT${seconds}S` });
});

it('leaves fields null that nobody needs', async () => {
  const { url, sent } = await politeServer();
  const { calls } = await callTo(url, { fault: 'nullFields' });
  expect(calls[0]).toMatchObject({ outcome: 'closed', violations: [] });
  expect(sent[0]).toMatchObject({
    type: 'open',
    parameters: { participant: { ani: null, aniName: null, dnis: null }, language: null, continuedSessions: null },
  });
});

it('closes during a pause without a message, and has the pause in its ledger', async () => {
  const { url, sent } = await politeServer();
  const { calls } = await callTo(url, { fault: 'closeWhilePaused', pauses: [{ atSeconds: 1, lastsSeconds: 60 }] });
  expect(sent.map(({ type }) => type).filter((type) => type !== 'ping')).toEqual(['open', 'paused', 'close']);
  expect(sent.at(-1)?.position).toBe('PT3.000000S');
  expect(calls[0]?.stretches.at(-1)).toMatchObject({ kind: 'paused', startSamples: 8000, lengthSamples: 16_000 });
});

it('rejoins with the session id that it had', async () => {
  const { url, sent } = await politeServer();
  const { calls } = await callTo(url, { fault: 'sameSessionId', lossAtSeconds: 1, rejoin: true });
  expect(calls[0]).toMatchObject({ outcome: 'closed' });
  expect(calls[0]?.sessionIds).toHaveLength(1);
  const opens = sent.filter(({ type }) => type === 'open');
  expect(opens.map(({ id }) => id)).toEqual([opens[0]?.id, opens[0]?.id]);
  expect(opens[1]?.parameters).toHaveProperty('continuedSessions');
});
