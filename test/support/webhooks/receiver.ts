import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** One request, verified. */
export interface Received {
  readonly id: string;
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly checkpoint?: string;
  readonly headers: IncomingHttpHeaders;
}

/** Answers one request; by default with 204. */
export type Answer = (received: Received, response: ServerResponse) => void;

/** A real HTTP server that verifies each request with the verifier of the specification's library. */
export class Receiver {
  readonly received: Received[] = [];
  /** Requests whose signature did not verify. */
  readonly refused: string[] = [];
  answer: Answer = (_received, response) => response.writeHead(204).end();
  atOnce = 0;
  mostAtOnce = 0;
  readonly #secret: string;
  #server: Server;
  #port = 0;

  constructor(secret = SECRET) {
    this.#secret = secret;
    this.#server = this.#makeServer();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hooks`;
  }

  get types(): string[] {
    return this.received.map(({ type }) => type);
  }

  /** Listens; again on the same port after stop(). */
  async start(): Promise<this> {
    if (!this.#server.listening) this.#server = this.#makeServer();
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #makeServer(): Server {
    return createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        this.#take(body, request.headers, response);
      });
    });
  }

  #take(body: string, headers: IncomingHttpHeaders, response: ServerResponse): void {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
    response.once('close', () => this.atOnce--);
    try {
      const payload = new Webhook(this.#secret).verify(body, headers as Record<string, string>);
      const { type, data, checkpoint } = payload as Pick<Received, 'type' | 'data' | 'checkpoint'>;
      const own = checkpoint === undefined ? {} : { checkpoint };
      const received = { id: String(headers['webhook-id']), type, data, ...own, headers };
      this.received.push(received);
      this.answer(received, response);
    } catch (error) {
      this.refused.push(String(error));
      response.writeHead(401).end();
    }
  }
}
