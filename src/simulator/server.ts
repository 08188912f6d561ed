import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import { WebSocketServer } from 'ws';
import { TrunklineError } from '../core/errors.js';
import type { Books } from './books.js';
import { conversationResource, errorBody, tokenError } from './conversation.js';
import type { Faults, HttpReply } from './faults.js';
import type { Interaction } from './interaction.js';
import { MediaConnection, type MediaContext } from './media-connection.js';
import type { TokenStore } from './tokens.js';

export const MEDIA_PATH = '/api/v2/media/streams';
const CONVERSATION_PATH = /^\/api\/v2\/conversations\/([^/]+)$/;
const PACKETS_PATH = /^\/books\/([^/]+)\/packets$/;
const MAX_FORM_BYTES = 16_384;
/** Room for a request that asks for far too much, so that it can be told so. */
const MAX_REQUEST_BYTES = 2 << 20;
/** Time for clients to answer a close before they are dropped. */
const FAREWELL_MS = 500;
const LINES_AT_A_TIME = 500;

export interface ServerContext extends MediaContext {
  readonly tokens: TokenStore;
  readonly faults: Faults;
  /** Wall clock of the start of all calls. */
  readonly startedAtMs: number;
  books(): Books;
  opened(connection: MediaConnection): void;
}

/** The simulator's one port: sign-in, conversations, books and the media WebSocket. */
export class SimulatorServer {
  readonly #http: Server;
  readonly #webSockets = new WebSocketServer({ noServer: true, maxPayload: MAX_REQUEST_BYTES, clientTracking: true });
  /** Every TCP connection, of whatever use. */
  readonly #streams = new Set<Duplex>();
  readonly #context: ServerContext;

  constructor(context: ServerContext) {
    this.#context = context;
    this.#http = createServer((request, response) => {
      // Only a client that leaves in the middle of its request makes this fail.
      this.#answer(request, response).catch(() => response.destroy());
    });
    this.#http.on('connection', (stream) => {
      this.#streams.add(stream);
      stream.on('close', () => this.#streams.delete(stream));
    });
    this.#http.on('upgrade', (request, stream, head) => this.#upgrade(request, stream, head));
  }

  /** Returns the port. @throws TrunklineError CONNECTION_FAILED when it cannot be had. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#http.once('error', (cause) => {
        const sentence = `The simulator cannot listen on ${host}:${port} (${cause.message}); choose another port, or 0 for any.`;
        reject(new TrunklineError('CONNECTION_FAILED', sentence, { cause }));
      });
      this.#http.listen(port, host, () => {
        const address = this.#http.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Stops listening. Media connections that are still open after a moment are dropped. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    for (const socket of this.#webSockets.clients) socket.close(1001);
    this.#http.closeIdleConnections();
    const drop = setTimeout(() => {
      for (const stream of this.#streams) stream.destroy();
    }, FAREWELL_MS);
    await closed;
    clearTimeout(drop);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pathname = pathOf(request);
    const packetsOf = request.method === 'GET' ? PACKETS_PATH.exec(pathname)?.[1] : undefined;
    if (packetsOf !== undefined) {
      this.#answerPackets(packetsOf, response);
      return;
    }
    const reply = await this.#reply(request, pathname);
    const text = JSON.stringify(reply.body ?? {});
    response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers }).end(text);
  }

  async #reply(request: IncomingMessage, pathname: string): Promise<HttpReply> {
    const { faults } = this.#context;
    const method = request.method ?? '';
    if (pathname === '/oauth/token') {
      if (method !== 'POST') return { status: 405, headers: { allow: 'POST' } };
      return faults.http?.('token', request) ?? (await this.#token(request));
    }
    const conversationId = CONVERSATION_PATH.exec(pathname)?.[1];
    if (conversationId !== undefined && method === 'GET') {
      return faults.http?.('conversation', request) ?? this.#conversation(request, conversationId);
    }
    if (pathname === '/books' && method === 'GET') return { status: 200, body: this.#context.books() };
    return { status: 404, body: errorBody(404, 'not.found', 'The requested resource does not exist.') };
  }

  async #token(request: IncomingMessage): Promise<HttpReply> {
    const { tokens } = this.#context;
    const form = await readForm(request);
    if (form?.get('grant_type') !== 'client_credentials') {
      return { status: 400, body: tokenError('unsupported_grant_type', 'only client_credentials is supported') };
    }
    if (!tokens.accepts(request.headers.authorization)) {
      return { status: 401, body: tokenError('invalid_client', 'authentication failed') };
    }
    const body = { access_token: tokens.issue(), token_type: 'bearer', expires_in: tokens.lifeSeconds };
    return { status: 200, headers: { 'cache-control': 'no-store' }, body };
  }

  #conversation(request: IncomingMessage, id: string): HttpReply {
    if (!this.#context.tokens.isValid(request.headers.authorization)) return UNAUTHORIZED;
    const interaction = this.#context.interactions.get(id);
    if (interaction === undefined) {
      return { status: 404, body: errorBody(404, 'not.found', 'Conversation not found.') };
    }
    return { status: 200, body: conversationResource(interaction, this.#context.startedAtMs) };
  }

  #answerPackets(id: string, response: ServerResponse): void {
    const interaction = this.#context.interactions.get(id);
    if (interaction?.sentPackets === undefined) {
      const why = interaction === undefined ? 'There is no such interaction.' : 'The simulator keeps no packets.';
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(errorBody(404, 'not.found', why)));
      return;
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    Readable.from(packetLines(interaction)).pipe(response);
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on('error', () => {});
    const { faults, tokens } = this.#context;
    const fault = faults.handshake?.(request);
    if (fault === 'stall') return;
    const pathname = pathOf(request);
    let refusal = fault;
    if (pathname !== MEDIA_PATH) refusal ??= { status: 404 };
    if (!tokens.isValid(request.headers.authorization)) refusal ??= UNAUTHORIZED;
    if (refusal !== undefined || !(stream instanceof Socket)) {
      refuse(stream, refusal ?? { status: 500 });
      return;
    }
    this.#webSockets.handleUpgrade(request, stream, head, (socket) => {
      this.#context.opened(new MediaConnection(socket, stream, this.#context));
    });
  }
}

const UNAUTHORIZED: HttpReply = {
  status: 401,
  body: errorBody(401, 'bad.credentials', 'Invalid login credentials.'),
};

/** Never throws, unlike URL, which a request line of any kind must not reach. */
function pathOf(request: IncomingMessage): string {
  return request.url?.split('?', 1)[0] ?? '/';
}

/** The fields of a form, or undefined when it is too long. */
async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  let text = '';
  for await (const chunk of request.setEncoding('latin1')) {
    text += chunk;
    if (text.length > MAX_FORM_BYTES) return undefined;
  }
  return new URLSearchParams(text);
}

/** Answers an upgrade with an ordinary HTTP response, and closes. */
function refuse(stream: Duplex, { status, headers = {}, body = {} }: HttpReply): void {
  const text = JSON.stringify(body);
  const fields = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  stream.once('finish', () => stream.destroy());
  stream.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\n${lines.join('')}\r\n${text}`);
}

/** NDJSON, one `[sequenceNumber, timestamp, payload, channel]` for each packet sent, in the order of sending. */
function* packetLines(interaction: Interaction): Generator<string> {
  const packets = interaction.sentPackets ?? [];
  for (let from = 0; from < packets.length; from += LINES_AT_A_TIME) {
    const some = packets.slice(from, from + LINES_AT_A_TIME);
    yield some.map((p) => `${JSON.stringify([p.sequence, p.timestamp, p.payload, p.channel])}\n`).join('');
  }
}
