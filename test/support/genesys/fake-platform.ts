import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

type Responder = (request: IncomingMessage, response: ServerResponse) => void;

/** A media server with sign-in and conversations beside it, as obedient or as odd as a test needs it. */
export class FakePlatform {
  readonly sockets: WebSocket[] = [];
  /** All JSON messages of the client, in order. */
  readonly received: Record<string, unknown>[] = [];
  readonly requests: string[] = [];
  readonly tokens: string[] = [];
  tokenSeconds = 3600;
  /** Takes the place of the usual answer; false: the usual one. */
  onToken: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  conversation: (id: string, response: ServerResponse, request: IncomingMessage) => void = (id, response) =>
    json(response, 200, { id, participants: [{ calls: [{ state: 'connected' }] }] });
  onUpgrade:
    | ((request: IncomingMessage) => { status: number; headers?: Record<string, string> } | undefined)
    | undefined;
  onMessage: (socket: WebSocket, message: Record<string, unknown>, platform: FakePlatform) => void = () => {};
  readonly #server: Server;
  readonly #media = new WebSocketServer({ noServer: true });

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', this.#request);
    server.on('upgrade', (request, socket, head) => {
      this.requests.push('upgrade');
      const refusal = this.onUpgrade?.(request);
      if (refusal !== undefined) {
        const headers = Object.entries(refusal.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
        socket.end(`HTTP/1.1 ${refusal.status} No\r\n${headers.join('')}Connection: close\r\n\r\n`);
        return;
      }
      this.#media.handleUpgrade(request, socket, head, (client) => {
        this.sockets.push(client);
        client.on('error', () => {});
        client.on('message', (data) => {
          const message = JSON.parse(data.toString()) as Record<string, unknown>;
          this.received.push(message);
          this.onMessage(client, message, this);
        });
      });
    });
  }

  static async start(): Promise<FakePlatform> {
    const server = createServer();
    const platform = new FakePlatform(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return platform;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get mediaUrl(): string {
    return `ws://127.0.0.1:${this.port}/api/v2/media/streams`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  readonly #request: Responder = (request, response) => {
    const path = request.url ?? '';
    this.requests.push(`${request.method} ${path}`);
    if (path === '/oauth/token') {
      if (this.onToken(request, response)) return;
      const token = `token-${this.tokens.length}`;
      this.tokens.push(token);
      json(response, 200, { access_token: token, token_type: 'bearer', expires_in: this.tokenSeconds });
      return;
    }
    const id = /^\/api\/v2\/conversations\/([^/]+)$/.exec(path)?.[1];
    if (id === undefined) json(response, 404, { status: 404 });
    else this.conversation(decodeURIComponent(id), response, request);
  };
}

export function json(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
