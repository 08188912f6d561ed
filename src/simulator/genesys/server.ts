import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { z } from 'zod';
import { TrunklineError } from '../../core/errors.js';
import { conversationDetails, conversationResource, errorBody, tokenError } from './conversation.js';
import type { FaultBoard } from './fault-board.js';
import { FAULT } from './fault-commands.js';
import type { Endpoint, Faults, HttpReply } from './faults.js';
import type { Interaction } from './interaction.js';
import type { Ledger } from './ledger.js';
import { MediaConnection, type MediaContext } from './media-connection.js';
import { CHANNEL_PATH, CHANNELS_PATH, type NotificationHub, SUBSCRIPTIONS_PATH } from './notification-hub.js';
import type { RequestLog } from './request-log.js';
import type { TokenStore } from './tokens.js';

export const MEDIA_PATH = '/api/v2/media/streams';
const CONVERSATION_PATH = /^\/api\/v2\/conversations\/([^/]+)$/;
const DETAILS_PATH = '/api/v2/analytics/conversations/details/query';
const PACKETS_PATH = /^\/books\/([^/]+)\/packets$/;
const MAX_FORM_BYTES = 16_384;
/** Large enough for a request with far too many interactions to be read and refused. */
const MAX_REQUEST_BYTES = 2 << 20;
/** Time for clients to answer a close before they are dropped. */
const CLOSE_WAIT_MS = 500;
const LINES_AT_A_TIME = 500;

export interface ServerContext extends MediaContext {
  readonly tokens: TokenStore;
  readonly faults: Faults;
  readonly board: FaultBoard;
  readonly hub: NotificationHub;
  readonly log: RequestLog;
  /** Ids of the queues and users that there are. */
  readonly queues: readonly string[];
  readonly users: readonly string[];
  /** Wall clock of the start of all calls. */
  readonly startedAtMs: number;
  ledger(): Ledger;
  opened(connection: MediaConnection): void;
}

const QUEUES_PATH = '/api/v2/routing/queues';
const USERS_PATH = '/api/v2/users';

/** A page of queues or users: of those that are asked for, the ones that there are. */
function entitiesOf(known: readonly string[], request: IncomingMessage): object {
  const asked = new URL(request.url ?? '/', 'http://localhost').searchParams
    .getAll('id')
    .join(',')
    .toLowerCase()
    .split(',');
  return { entities: known.filter((id) => asked.includes(id.toLowerCase())).map((id) => ({ id, name: id })) };
}

/** The simulator's one port: sign-in, conversations, ledger and the media WebSocket. */
export class SimulatorServer {
  readonly #http: Server;
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_REQUEST_BYTES,
    clientTracking: true,
    // A connection that fell silent answers no ping; the others do it themselves.
    autoPong: false,
  });
  /** Every TCP connection. */
  readonly #streams = new Set<Duplex>();
  readonly #context: ServerContext;
  #isClosed = false;
  #restarting: Promise<void> | undefined;

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
      const refused = (cause: Error): void => {
        const sentence = `The simulator cannot listen on ${host}:${port} (${cause.message}); choose another port, or 0 for any.`;
        reject(new TrunklineError('CONNECTION_FAILED', sentence, { cause }));
      };
      this.#http.once('error', refused);
      this.#http.listen(port, host, () => {
        this.#http.off('error', refused);
        const address = this.#http.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Stops listening. Media connections that are still open after a moment are dropped. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    for (const socket of this.#webSockets.clients) socket.close(1001);
    this.#http.closeIdleConnections();
    const drop = setTimeout(() => {
      for (const stream of this.#streams) stream.destroy();
    }, CLOSE_WAIT_MS);
    await closed;
    clearTimeout(drop);
  }

  /** Resets every connection, and listens again on the same port after a while. A server that is down cannot go down. */
  restart(host: string, port: number, downMs: number): Promise<void> {
    this.#restarting ??= this.#restart(host, port, downMs).finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  async #restart(host: string, port: number, downMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    for (const stream of this.#streams) {
      if (stream instanceof Socket) stream.resetAndDestroy();
      else stream.destroy();
    }
    await closed;
    await delay(downMs);
    if (!this.#isClosed) await this.listen(host, port);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pathname = pathOf(request);
    response.once('close', () => this.#context.log.add(request.method ?? '', pathname, response.statusCode));
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
    const { hub, interactions, log } = this.#context;
    const method = request.method ?? '';
    if (pathname === '/oauth/token') {
      if (method !== 'POST') return { status: 405, headers: { allow: 'POST' } };
      return this.#fault('token', request) ?? (await this.#token(request));
    }
    const conversationId = CONVERSATION_PATH.exec(pathname)?.[1];
    if (conversationId !== undefined && method === 'GET') {
      return this.#fault('conversation', request) ?? this.#conversation(request, conversationId);
    }
    const channelId = SUBSCRIPTIONS_PATH.exec(pathname)?.[1];
    if (channelId !== undefined || (pathname === CHANNELS_PATH && method === 'POST')) {
      const refused = this.#fault('notification', request) ?? this.#unauthorized(request);
      if (refused !== undefined) return refused;
      if (channelId === undefined) return hub.create(`ws://${request.headers.host ?? 'localhost'}`);
      return hub.subscriptions(method, channelId, (await readText(request, MAX_REQUEST_BYTES)) ?? '');
    }
    if (pathname === DETAILS_PATH && method === 'POST') {
      const refused = this.#fault('analytics', request) ?? this.#unauthorized(request);
      if (refused !== undefined) return refused;
      const query = (await readText(request, MAX_REQUEST_BYTES)) ?? '';
      const found = [...interactions.values()].filter(({ call }) => {
        if (call === undefined || call.phase === 'planned' || call.phase === 'over') return false;
        return [call.queueId, call.userId].some((id) => id !== undefined && query.includes(JSON.stringify(id)));
      });
      const paging = PAGING.safeParse(parseJson(query)).data?.paging ?? { pageSize: 25, pageNumber: 1 };
      const from = (paging.pageNumber - 1) * paging.pageSize;
      const page = found.slice(from, from + paging.pageSize);
      return { status: 200, body: conversationDetails(page, this.#context.startedAtMs) };
    }
    const known = this.#known(pathname);
    if (known !== undefined && method === 'GET') {
      const refused = this.#fault('analytics', request) ?? this.#unauthorized(request);
      return refused ?? { status: 200, body: entitiesOf(known, request) };
    }
    if (pathname === '/books' && method === 'GET') return { status: 200, body: this.#context.ledger() };
    if (pathname === '/requests' && method === 'GET') return { status: 200, body: { requests: log.requests } };
    if (pathname === '/faults' && method === 'POST') return this.#setFaults(request);
    return { status: 404, body: errorBody(404, 'not.found', 'The requested resource does not exist.') };
  }

  #known(pathname: string): readonly string[] | undefined {
    if (pathname === QUEUES_PATH) return this.#context.queues;
    return pathname === USERS_PATH ? this.#context.users : undefined;
  }

  #fault(endpoint: Endpoint, request: IncomingMessage): HttpReply | undefined {
    const { faults, board } = this.#context;
    return faults.http?.(endpoint, request) ?? board.http(endpoint, request);
  }

  #unauthorized(request: IncomingMessage): HttpReply | undefined {
    return this.#context.tokens.isValid(request.headers.authorization) ? undefined : UNAUTHORIZED;
  }

  /** One fault, or an array of them. */
  async #setFaults(request: IncomingMessage): Promise<HttpReply> {
    let value: unknown;
    try {
      value = JSON.parse((await readText(request, MAX_REQUEST_BYTES)) ?? '');
    } catch {
      return { status: 400, body: errorBody(400, 'bad.request', 'The body is not JSON.') };
    }
    const parsed = z.array(FAULT).safeParse(Array.isArray(value) ? value : [value]);
    if (!parsed.success) return { status: 400, body: errorBody(400, 'bad.request', z.prettifyError(parsed.error)) };
    // After the answer: a restart would cut it off.
    setImmediate(() => {
      for (const fault of parsed.data) this.#context.board.set(fault);
    });
    return { status: 200, body: { set: parsed.data.length } };
  }

  async #token(request: IncomingMessage): Promise<HttpReply> {
    const { tokens } = this.#context;
    const form = new URLSearchParams(await readText(request, MAX_FORM_BYTES));
    if (form.get('grant_type') !== 'client_credentials') {
      return { status: 400, body: tokenError('unsupported_grant_type', 'only client_credentials is supported') };
    }
    if (!tokens.accepts(request.headers.authorization)) {
      return { status: 401, body: tokenError('invalid_client', 'authentication failed') };
    }
    const body = { access_token: tokens.issue(), token_type: 'bearer', expires_in: tokens.lifeSeconds };
    return { status: 200, headers: { 'cache-control': 'no-store' }, body };
  }

  #conversation(request: IncomingMessage, id: string): HttpReply {
    const refused = this.#unauthorized(request);
    if (refused !== undefined) return refused;
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
    const { faults, board, hub, log, tokens } = this.#context;
    const pathname = pathOf(request);
    const channelId = CHANNEL_PATH.exec(pathname)?.[1];
    const fault = channelId === undefined ? (faults.handshake?.(request) ?? board.handshake(request)) : undefined;
    if (fault === 'stall') {
      log.add('GET', pathname, 0);
      return;
    }
    let refusal = fault;
    if (channelId === undefined) {
      if (pathname !== MEDIA_PATH) refusal ??= { status: 404 };
      if (!tokens.isValid(request.headers.authorization)) refusal ??= UNAUTHORIZED;
    } else if (hub.isDown) refusal = { status: 503 };
    else if (!hub.has(channelId)) refusal = { status: 404 };
    if (refusal !== undefined || !(stream instanceof Socket)) {
      log.add('GET', pathname, refusal?.status ?? 500);
      refuse(stream, refusal ?? { status: 500 });
      return;
    }
    log.add('GET', pathname, 101);
    this.#webSockets.handleUpgrade(request, stream, head, (socket) => {
      if (channelId !== undefined) hub.connected(channelId, socket, stream);
      else this.#context.opened(new MediaConnection(socket, stream, this.#context));
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

const PAGING = z.object({
  paging: z.object({ pageSize: z.number().int().min(1).max(100), pageNumber: z.number().int().min(1) }),
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The body of a request, or undefined when it is too long. */
async function readText(request: IncomingMessage, maxChars: number): Promise<string | undefined> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > maxChars) return undefined;
  }
  return text;
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
