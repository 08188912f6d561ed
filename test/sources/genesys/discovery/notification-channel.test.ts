import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../../../../src/core/clock.js';
import {
  NotificationChannel,
  type NotificationChannelEvents,
} from '../../../../src/sources/genesys/discovery/notification-channel.js';
import type { Platform } from '../../../../src/sources/genesys/rest/platform.js';
import type { Rest } from '../../../../src/sources/genesys/rest/rest.js';
import { Transport } from '../../../../src/sources/genesys/rest/transport.js';

// Real sockets; only REST is played, as the SDK's answers have it.
let server: WebSocketServer;
let made: string[];
let subscribed: [string, number][];
let sockets: { path: string; socket: WebSocket }[];
let notified: unknown[];
let listening: number;
let lost: string[];
let channel: NotificationChannel;

beforeEach(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  made = [];
  subscribed = [];
  sockets = [];
  notified = [];
  listening = 0;
  lost = [];
  server.on('connection', (socket, { url = '' }) => sockets.push({ path: url, socket }));
});

afterEach(() => {
  channel.close();
  for (const client of server.clients) client.terminate();
  server.close();
});

async function start(options: { renewUs?: number; pingMs?: number } = {}): Promise<void> {
  const { port } = server.address() as AddressInfo;
  const notifications = {
    postNotificationsChannels: async () => {
      const id = `c${made.length}`;
      made.push(id);
      return { body: { id, connectUri: `ws://127.0.0.1:${port}/${id}`, expires: '' } };
    },
    putNotificationsChannelSubscriptions: async (id: string, topics: readonly unknown[]) => {
      subscribed.push([id, topics.length]);
    },
  };
  const rest = { request: (ask: (platform: Platform) => unknown) => ask({ notifications } as unknown as Platform) };
  const host: NotificationChannelEvents = {
    notified: (body) => notified.push(body),
    listening: () => listening++,
    lost: (reason) => lost.push(reason),
    failed: () => {},
  };
  const dependencies = {
    rest: rest as unknown as Rest,
    transport: new Transport(),
    clock: systemClock,
    random: () => 0,
  };
  channel = new NotificationChannel(['x', 'y'], { ...dependencies, ...options }, host);
  await channel.start();
}

test('only notifications of its topics are handed on', async () => {
  await start();
  const { socket } = sockets[0] as (typeof sockets)[number];
  for (const text of ['no JSON', '{}', '{"topicName":"channel.metadata","eventBody":{"message":"pong"}}'])
    socket.send(text);
  socket.send('{"topicName":"x","eventBody":{"id":"a"}}');
  await expect.poll(() => notified).toEqual([{ id: 'a' }]);
  expect(subscribed).toEqual([['c0', 2]]);
  expect(channel.status()).toMatchObject({ state: 'open', topics: 2, attempts: 0 });
});

test('a channel is replaced before its end, without a gap', async () => {
  await start({ renewUs: 100_000 });
  await expect.poll(() => made.length).toBeGreaterThan(2);
  for (const { path } of sockets.slice(0, 3)) expect(path).toMatch(/^\/c\d$/);
  // The next one listens before the one before it is closed.
  expect(listening).toBeGreaterThan(1);
  expect(channel.status().attempts).toBe(0);
  expect(lost).toEqual([]);
});

test('the platform says that it is about to close', async () => {
  await start();
  sockets[0]?.socket.send('{"topicName":"v2.system.socket_closing","eventBody":{}}');
  await expect.poll(() => sockets.map(({ path }) => path)).toEqual(['/c0', '/c1']);
});

test('a lost connection goes back to the same channel first, and then to a new one', async () => {
  await start();
  sockets[0]?.socket.terminate();
  await expect.poll(() => sockets.map(({ path }) => path)).toEqual(['/c0', '/c0']);
  await expect.poll(() => listening).toBe(2);
  expect(lost).toEqual(['closed with 1006']);
  server.once('connection', (socket) => socket.terminate());
  sockets[1]?.socket.terminate();
  await expect.poll(() => listening).toBeGreaterThanOrEqual(3);
});

test('one that no longer answers is dropped', async () => {
  await start({ pingMs: 50 });
  await expect.poll(() => sockets.length).toBeGreaterThan(1);
  expect(sockets[1]?.path).toBe('/c0');
});

test('one whose answer lies unread after a stall of this process is kept', async () => {
  await start({ pingMs: 100 });
  let pings = 0;
  sockets[0]?.socket.on('message', () => {
    pings += 1;
    sockets[0]?.socket.send('{"topicName":"channel.metadata","eventBody":{"message":"pong"}}');
    const untilMs = performance.now() + 400;
    while (pings === 1 && performance.now() < untilMs);
  });
  await expect.poll(() => pings, { timeout: 10_000 }).toBeGreaterThan(3);
  expect(sockets).toHaveLength(1);
  expect(lost).toEqual([]);
});
