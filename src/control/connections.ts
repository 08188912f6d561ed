import type { Server as HttpServer, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Server as TlsServer } from 'node:tls';
import type { Clock } from '../core/clock.js';
import { US_PER_MS } from '../core/units.js';

/** What a client must take in each period of `stalledMs`, when something waits for it: a slow mobile line has more. */
const LEAST_BYTES = 16_384;

interface Watched {
  /** Bytes that have left this process, when that was last enough. */
  sentBytes: number;
  sinceUs: number;
}

/** Why a connection was cut off. */
type Cut = 'slowReader' | 'slowRequest' | 'malformedRequest' | 'bodyTooLarge' | 'tooManyConnections';

/**
 * The connections of the server. A client that takes what is sent to it too slowly is cut off: what waits for it would
 * be memory that it keeps for as long as it likes.
 */
export class Connections {
  readonly #clock: Clock;
  readonly #stalledUs: number;
  readonly #sockets = new Map<Socket, Watched>();
  readonly #cut: Partial<Record<Cut, number>> = {};
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock, stalledMs: number) {
    this.#clock = clock;
    this.#stalledUs = stalledMs * US_PER_MS;
  }

  get open(): number {
    return this.#sockets.size;
  }

  get cut(): Readonly<Partial<Record<Cut, number>>> {
    return this.#cut;
  }

  /** Watches the connections of a server until close(). */
  watch(server: HttpServer | HttpsServer): void {
    // Of a TLS server, the sockets above the encryption: only they know what waits.
    const event = server instanceof TlsServer ? 'secureConnection' : 'connection';
    server.on(event, (socket: Socket) => {
      this.#sockets.set(socket, { sentBytes: 0, sinceUs: this.#clock.nowUs() });
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('drop', () => this.count('tooManyConnections'));
    this.#timer = setInterval(() => this.#look(), Math.max(20, this.#stalledUs / US_PER_MS / 4)).unref();
  }

  count(reason: Cut): void {
    this.#cut[reason] = (this.#cut[reason] ?? 0) + 1;
  }

  /** Counts a request that no route can take, and closes its connection with a status such as `400 Bad Request`. */
  refuse(socket: Duplex, reason: Cut, status: string): void {
    this.count(reason);
    socket.on('error', () => {});
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  #look(): void {
    const nowUs = this.#clock.nowUs();
    for (const [socket, watched] of this.#sockets) {
      const waiting = socket.writableLength;
      const sentBytes = socket.bytesWritten - waiting;
      if (waiting === 0 || sentBytes - watched.sentBytes >= LEAST_BYTES) {
        watched.sentBytes = sentBytes;
        watched.sinceUs = nowUs;
      } else if (nowUs - watched.sinceUs > this.#stalledUs) {
        this.count('slowReader');
        socket.destroy();
      }
    }
  }
}

/** By connection, the responses that have not been closed. */
const OPEN_RESPONSES = new WeakMap<Socket, Set<ServerResponse>>();

/**
 * Closes a response with its connection. Node does so only with the one that is being sent: those that wait behind it
 * (pipelining), and those of a connection that has become a WebSocket, would stay open for ever.
 */
export function closeWithConnection(socket: Socket, response: ServerResponse): void {
  const known = OPEN_RESPONSES.get(socket);
  const responses = known ?? new Set<ServerResponse>();
  responses.add(response);
  response.once('close', () => responses.delete(response));
  if (known !== undefined) return;
  OPEN_RESPONSES.set(socket, responses);
  socket.once('close', () => {
    for (const one of responses) {
      one.destroy();
      // Without a connection of its own, destroy() does not emit it.
      one.emit('close');
    }
  });
}
