import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { Clock } from '../../core/clock.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { errorBody } from './conversation.js';
import type { HttpReply } from './faults.js';

/** The platform's limits. */
const MAX_CHANNELS = 20;
const MAX_TOPICS = 1_000;
const CHANNEL_LIFE_MS = 24 * 3_600 * MS_PER_SECOND;
const HEARTBEAT_MS = 30 * MS_PER_SECOND;
export const CHANNEL_PATH = /^\/channels\/([^/]+)$/;
export const CHANNELS_PATH = '/api/v2/notifications/channels';
export const SUBSCRIPTIONS_PATH = /^\/api\/v2\/notifications\/channels\/([^/]+)\/subscriptions$/;

const TOPICS = z.array(z.object({ id: z.string().min(1).max(500) }));

interface Channel {
  readonly id: string;
  readonly expires: string;
  topics: Set<string>;
  socket: WebSocket | undefined;
  stream: Socket | undefined;
}

/** Notification channels, as the platform has them: made and subscribed by REST, delivered over a WebSocket. */
export class NotificationHub {
  /** Until then, nothing is delivered and nothing kept. */
  silentUntilUs = Number.NEGATIVE_INFINITY;
  #downUntilUs = Number.NEGATIVE_INFINITY;
  readonly #clock: Clock;
  readonly #channels = new Map<string, Channel>();
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  /** @param origin Where this server is reached by WebSocket, such as ws://127.0.0.1:8080. */
  create(origin: string): HttpReply {
    const id = `streaming-0-${randomUUID()}`;
    const expires = new Date(this.#clock.wallMs() + CHANNEL_LIFE_MS).toISOString();
    // The platform closes the oldest channel when there are too many.
    const oldest = this.#channels.values().next();
    if (this.#channels.size >= MAX_CHANNELS && oldest.done !== true) this.#drop(oldest.value);
    this.#channels.set(id, { id, expires, topics: new Set(), socket: undefined, stream: undefined });
    return { status: 200, body: { connectUri: `${origin}/channels/${id}`, id, expires } };
  }

  /** GET, POST (adds), PUT (replaces) or DELETE of a channel's topics. */
  subscriptions(method: string, channelId: string, body: string): HttpReply {
    const channel = this.#channels.get(channelId);
    if (channel === undefined) return { status: 404, body: errorBody(404, 'not.found', 'Channel not found.') };
    if (method === 'DELETE') channel.topics.clear();
    if (method === 'PUT' || method === 'POST') {
      const parsed = TOPICS.safeParse(parseJson(body));
      if (!parsed.success) return { status: 400, body: errorBody(400, 'bad.request', z.prettifyError(parsed.error)) };
      const topics = new Set(method === 'POST' ? channel.topics : []);
      for (const { id } of parsed.data) topics.add(id);
      if (topics.size > MAX_TOPICS) {
        return { status: 400, body: errorBody(400, 'bad.request', `A channel has at most ${MAX_TOPICS} topics.`) };
      }
      channel.topics = topics;
    }
    return { status: 200, body: { entities: [...channel.topics].map((id) => ({ id })) } };
  }

  has(channelId: string): boolean {
    return this.#channels.has(channelId);
  }

  /** A client has connected to its channel; an earlier connection of it is closed. */
  connected(channelId: string, socket: WebSocket, stream: Socket): void {
    const channel = this.#channels.get(channelId);
    if (channel === undefined) {
      socket.close(1008);
      return;
    }
    channel.socket?.close(1001);
    channel.socket = socket;
    channel.stream = stream;
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT_MS);
    socket.on('ping', (data) => socket.pong(data));
    socket.on('message', (data) => {
      const message = parseJson(String(data));
      const asksForPong = typeof message === 'object' && message !== null && 'message' in message;
      if (asksForPong && message.message === 'ping') this.#send(channel, 'channel.metadata', { message: 'pong' });
    });
    socket.on('close', () => {
      if (channel.socket === socket) channel.socket = undefined;
    });
    socket.on('error', () => {});
  }

  publish(topics: readonly string[], eventBody: object): void {
    if (this.#clock.nowUs() < this.silentUntilUs) return;
    for (const channel of this.#channels.values()) {
      for (const topic of topics) if (channel.topics.has(topic)) this.#send(channel, topic, eventBody);
    }
  }

  /** Whether connections are refused for now. */
  get isDown(): boolean {
    return this.#clock.nowUs() < this.#downUntilUs;
  }

  /** Resets every connection and lets none in while the silence lasts; the channels live on. */
  cut(): void {
    this.#downUntilUs = this.silentUntilUs;
    for (const { stream } of this.#channels.values()) stream?.resetAndDestroy();
  }

  /** Ends a silence. */
  recover(): void {
    this.silentUntilUs = Number.NEGATIVE_INFINITY;
    this.#downUntilUs = Number.NEGATIVE_INFINITY;
  }

  close(): void {
    clearInterval(this.#heartbeat);
    for (const channel of this.#channels.values()) channel.socket?.close(1001);
  }

  #beat(): void {
    for (const channel of this.#channels.values()) {
      this.#send(channel, 'channel.metadata', { message: 'WebSocket Heartbeat' });
    }
  }

  #send(channel: Channel, topicName: string, eventBody: object): void {
    const metadata = { CorrelationId: randomUUID() };
    channel.socket?.send(JSON.stringify({ topicName, version: '2', eventBody, metadata }));
  }

  #drop(channel: Channel): void {
    channel.socket?.close(1001);
    this.#channels.delete(channel.id);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
