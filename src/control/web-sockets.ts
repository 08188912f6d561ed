import { Buffer } from 'node:buffer';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Access, pathOf } from './access/access.js';
import type { Caller, Role } from './access/roles.js';
import { ControlError, errorBody } from './errors.js';

/** Clients send nothing but control frames and small messages. */
const MAX_MESSAGE_BYTES = 4_096;
/** RFC 6455, 7.4.1: the token is no longer good. */
const CLOSE_POLICY = 1008;

/** A WebSocket that has been admitted, and what its request says. */
export interface WebSocketCall {
  /** The values of `:name` in the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly caller: Caller;
  /** Resolves with the open connection. Call it once; whatever is thrown before is the answer to the request. */
  accept(): WebSocket;
}

export interface WebSocketRoute {
  /** Such as `/api/v1/interactions/:id/audio`. */
  readonly pattern: string;
  readonly role: Role;
  /** Whether a ticket in the query will do instead of a token. */
  readonly ticket?: boolean;
  /** The subprotocol that the server speaks, when the client offers it. */
  readonly protocol: string;
  /** @throws ControlError before accept(), to refuse. */
  handle(call: WebSocketCall): void;
}

/** The WebSockets of the control server. They pass the same access control as all other requests. */
export class WebSocketRoutes {
  readonly #access: Access;
  readonly #routes: { readonly route: WebSocketRoute; readonly matcher: RegExp }[] = [];
  readonly #server: WebSocketServer;
  readonly #sockets = new Set<WebSocket>();
  readonly #onError: (thrown: unknown) => void;

  /** @param onError Takes what a handler throws that is no refusal. */
  constructor(access: Access, onError: (thrown: unknown) => void) {
    this.#access = access;
    this.#onError = onError;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      // Never the one with the token in it, which would be repeated in the answer.
      handleProtocols: (offered) => {
        const known = this.#routes.map(({ route }) => route.protocol);
        return [...offered].find((one) => known.includes(one)) ?? false;
      },
    });
  }

  get open(): number {
    return this.#sockets.size;
  }

  add(route: WebSocketRoute): void {
    const source = route.pattern.replace(/:(\w+)/g, '(?<$1>[^/]+)');
    this.#routes.push({ route, matcher: new RegExp(`^${source}$`) });
  }

  /** Takes the arguments of a server's `upgrade` event, and answers in any case. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // The peer may close the connection at any time before ws takes over.
    socket.on('error', () => {});
    try {
      this.#upgrade(request, socket, head);
    } catch (thrown) {
      if (!(thrown instanceof ControlError)) this.#onError(thrown);
      const refusal =
        thrown instanceof ControlError ? thrown : new ControlError(500, 'internal', 'The request failed; see the log.');
      answer(socket, refusal);
    }
  }

  /** Closes every connection, as when the server goes away. */
  close(): void {
    for (const socket of this.#sockets) socket.close(1001);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = pathOf(request);
    const found = this.#routes.find(({ matcher }) => matcher.test(path));
    if (found === undefined) {
      // Access first: what exists is told only to those who may know.
      this.#access.admit(request, { role: 'viewer', pattern: '(unknown)' });
      throw new ControlError(404, 'notFound', 'There is no WebSocket at this path.');
    }
    const { route, matcher } = found;
    const caller = this.#access.admit(request, route);
    const params = decoded(matcher.exec(path)?.groups ?? {});
    const query = new URLSearchParams((request.url ?? '').slice(path.length));
    route.handle({ params, query, caller, accept: () => this.#accept(request, socket, head, caller) });
  }

  #accept(request: IncomingMessage, socket: Duplex, head: Buffer, caller: Caller): WebSocket {
    let opened: WebSocket | undefined;
    // Calls back within this turn, or answers 400 by itself when this is not a valid WebSocket request.
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      opened = webSocket;
    });
    if (opened === undefined) throw new ControlError(400, 'badRequest', 'This is not a valid WebSocket request.');
    const webSocket = opened;
    this.#sockets.add(webSocket);
    webSocket.on('error', () => {});
    const release = this.#access.hold(caller, () => webSocket.close(CLOSE_POLICY));
    webSocket.once('close', () => {
      this.#sockets.delete(webSocket);
      release();
    });
    return webSocket;
  }
}

function decoded(groups: Readonly<Record<string, string>>): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    throw new ControlError(400, 'badRequest', 'The path is not valid.');
  }
}

function answer(socket: Duplex, { statusCode, errorCode, message }: ControlError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(errorBody(errorCode, message));
  const head = [
    `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? ''}`,
    ...['Connection: close', 'Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`],
    ...['Cache-Control: no-store', 'X-Content-Type-Options: nosniff'],
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
