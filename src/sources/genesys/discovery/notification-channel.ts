import { WebSocket } from 'ws';
import { z } from 'zod';
import type { Clock } from '../../../core/clock.js';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { MS_PER_SECOND, US_PER_MS, US_PER_SECOND } from '../../../core/units.js';
import { bodyOf } from '../rest/conversations.js';
import { networkAdvice, readFailure, requestError } from '../rest/platform.js';
import type { Rest } from '../rest/rest.js';
import { backoffUs, type Random, type RetryPolicy } from '../rest/retry.js';
import type { Transport } from '../rest/transport.js';

/** Limits of the platform for each client. */
export const CHANNEL_LIMITS = { channels: 20, topics: 1_000 } as const;

/** A channel lives 24 h; the next one is made with an hour to spare. */
const RENEW_US = 23 * 3_600 * US_PER_SECOND;
const PING_MS = 30 * MS_PER_SECOND;
const HANDSHAKE_MS = 10 * MS_PER_SECOND;
const MAX_EVENT_BYTES = 4 << 20;
// Without notifications no call is found: there is no last attempt.
const RECONNECT: RetryPolicy = { baseUs: US_PER_SECOND, capUs: 30 * US_PER_SECOND, maxAttempts: Infinity };

const created = z.object({ id: z.string().min(1), connectUri: z.url({ protocol: /^wss?$/ }) });
const notification = z.object({ topicName: z.string(), eventBody: z.unknown() });

export interface NotificationChannelDependencies {
  readonly rest: Rest;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  /** How long a channel is used; for tests. */
  readonly renewUs?: number | undefined;
  readonly pingMs?: number | undefined;
}

export interface NotificationChannelEvents {
  notified(eventBody: unknown): void;
  /** The channel delivers again, or for the first time; what came before may have been missed. */
  listening(): void;
  /** It no longer does; what comes until it is `listening` again may be missed. */
  lost(reason: string): void;
  failed(error: TrunklineError): void;
}

export interface ChannelStatus {
  readonly state: 'connecting' | 'open' | 'waiting' | 'closed';
  readonly topics: number;
  /** Since the channel was made; undefined before. */
  readonly ageMs: number | undefined;
  readonly attempts: number;
  readonly lastError: string;
}

interface Link {
  readonly connectUri: string;
  readonly madeUs: number;
  socket: WebSocket | undefined;
}

/** Keeps one set of topics subscribed: makes a channel, listens, reconnects, and replaces the channel before its end. */
export class NotificationChannel {
  readonly #topics: readonly string[];
  readonly #dependencies: NotificationChannelDependencies;
  readonly #events: NotificationChannelEvents;
  #link: Link | undefined;
  #state: ChannelStatus['state'] = 'connecting';
  #attempts = 0;
  #lastError = '';
  #retry: NodeJS.Timeout | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    topics: readonly string[],
    dependencies: NotificationChannelDependencies,
    events: NotificationChannelEvents,
  ) {
    this.#topics = topics;
    this.#dependencies = dependencies;
    this.#events = events;
  }

  /** Resolves when the first channel delivers. @throws TrunklineError AUTH_FAILED when that cannot be. */
  async start(): Promise<void> {
    try {
      this.#adopt(await this.#make());
    } catch (error) {
      if (error instanceof TrunklineError && error.code === 'AUTH_FAILED') throw error;
      this.#again(error);
    }
  }

  status(): ChannelStatus {
    const { clock } = this.#dependencies;
    return {
      state: this.#state,
      topics: this.#topics.length,
      ageMs: this.#link === undefined ? undefined : (clock.nowUs() - this.#link.madeUs) / US_PER_MS,
      attempts: this.#attempts,
      lastError: this.#lastError,
    };
  }

  close(): void {
    this.#closed = true;
    this.#state = 'closed';
    clearTimeout(this.#retry);
    clearTimeout(this.#renewal);
    this.#link?.socket?.terminate();
  }

  /** A new channel with all topics, connected. */
  async #make(): Promise<Link> {
    const { rest, clock } = this.#dependencies;
    try {
      const answer = await rest.request(({ notifications }) => notifications.postNotificationsChannels());
      const { id, connectUri } = created.parse(bodyOf(answer));
      const topics = this.#topics.map((topic) => ({ id: topic }));
      await rest.request(({ notifications }) => notifications.putNotificationsChannelSubscriptions(id, topics));
      const link: Link = { connectUri, madeUs: clock.nowUs(), socket: undefined };
      link.socket = await this.#connect(connectUri);
      return link;
    } catch (error) {
      if (error instanceof TrunklineError) throw error;
      if (error instanceof z.ZodError) {
        throw new TrunklineError('PROTOCOL_ERROR', 'The answer contains no notification channel; check the API URL.');
      }
      throw requestError('Opening a notification channel', readFailure(error));
    }
  }

  #connect(connectUri: string): Promise<WebSocket> {
    const { transport } = this.#dependencies;
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(connectUri, {
        ...transport.webSocketOptions(connectUri),
        handshakeTimeout: HANDSHAKE_MS,
        maxPayload: MAX_EVENT_BYTES,
        perMessageDeflate: false,
      });
      let answer = '';
      // The timeout of ws begins again with each byte that comes.
      const late = setTimeout(() => socket.terminate(), HANDSHAKE_MS);
      // Before `open` is seen by anybody, a first message may have come.
      socket.on('message', (data) => this.#receive(String(data)));
      socket.once('open', () => {
        clearTimeout(late);
        resolve(socket);
      });
      socket.on('unexpected-response', (request, response) => {
        answer = `the server answered with HTTP ${response.statusCode ?? 0} instead of a WebSocket.`;
        request.destroy();
        socket.terminate();
      });
      socket.on('error', (error) => {
        clearTimeout(late);
        const advice = answer === '' ? networkAdvice((error as NodeJS.ErrnoException).code ?? '') : answer;
        reject(new TrunklineError('CONNECTION_FAILED', `Connecting to the notification channel: ${advice}`));
      });
    });
  }

  /** Listens on a link from now on, and lets the one before it go. */
  #adopt(link: Link): void {
    const { socket } = link;
    if (this.#closed || socket === undefined) {
      socket?.terminate();
      return;
    }
    const before = this.#link?.socket;
    this.#link = link;
    this.#state = 'open';
    this.#attempts = 0;
    const { clock, pingMs = PING_MS } = this.#dependencies;
    let hasAnswered = true;
    let pingedUs = clock.nowUs();
    const pings = setInterval(() => {
      // A tick that is late shows a stall of this process: the answer may lie unread in the socket.
      const isLate = clock.nowUs() - pingedUs > 2 * pingMs * US_PER_MS;
      if (!hasAnswered && !isLate) socket.terminate();
      hasAnswered = false;
      pingedUs = clock.nowUs();
      socket.send(PING);
    }, pingMs);
    socket.on('message', () => {
      hasAnswered = true;
    });
    socket.once('close', (code) => {
      clearInterval(pings);
      if (this.#link?.socket !== socket || this.#closed) return;
      this.#lastError = `closed with ${code}`;
      this.#again(undefined);
    });
    before?.close();
    clearTimeout(this.#renewal);
    const renewUs = this.#dependencies.renewUs ?? RENEW_US;
    const leftMs = (link.madeUs + renewUs - this.#dependencies.clock.nowUs()) / US_PER_MS;
    this.#renewal = setTimeout(() => void this.#renew(), Math.max(0, leftMs)).unref();
    this.#events.listening();
    // Closed in the meantime, before `close` was listened for.
    if (socket.readyState > WebSocket.OPEN && this.#link?.socket === socket) {
      clearInterval(pings);
      this.#again(undefined);
    }
  }

  #receive(text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return;
    }
    const read = notification.safeParse(value);
    if (!read.success) return;
    const { topicName, eventBody } = read.data;
    // The platform announces that it is about to close, and answers pings, as notifications.
    if (topicName === 'v2.system.socket_closing') void this.#renew();
    else if (topicName !== 'channel.metadata') this.#events.notified(eventBody);
  }

  async #renew(): Promise<void> {
    try {
      this.#adopt(await this.#make());
    } catch (error) {
      this.#report(error);
      // The old one still delivers; when it no longer does, its end leads here again.
      if (!this.#closed) this.#renewal = setTimeout(() => void this.#renew(), 60 * MS_PER_SECOND).unref();
    }
  }

  #again(error: unknown): void {
    if (error !== undefined) this.#report(error);
    if (this.#closed) return;
    if (this.#state === 'open') this.#events.lost(this.#lastError);
    this.#state = 'waiting';
    const delayUs = backoffUs(RECONNECT, Math.min(this.#attempts, 10), this.#dependencies.random);
    this.#attempts++;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#reconnect(), delayUs / US_PER_MS);
  }

  async #reconnect(): Promise<void> {
    this.#state = 'connecting';
    try {
      const link = this.#link;
      // The first time the channel itself is likely to live on; after that a new one is made.
      if (link !== undefined && this.#attempts === 1) {
        this.#adopt({ ...link, socket: await this.#connect(link.connectUri) });
      } else this.#adopt(await this.#make());
    } catch (error) {
      this.#again(error);
    }
  }

  #report(error: unknown): void {
    this.#lastError = messageOf(error);
    if (this.#closed) return;
    this.#events.failed(
      error instanceof TrunklineError ? error : new TrunklineError('CONNECTION_FAILED', messageOf(error)),
    );
  }
}

const PING = JSON.stringify({ message: 'ping' });
