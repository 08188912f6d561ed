import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { type Admission, pathOf } from './admission.js';
import type { ConnectionIdentity } from './connection-contract.js';
import type { AudioHookLimits, AudioHookServerOptions } from './server-options.js';

/** What a listener needs from its server. */
export interface ListenerDependencies {
  readonly path: string;
  readonly draining: boolean;
  readonly sessionsLive: number;
  connected(socket: WebSocket, identity: ConnectionIdentity): void;
  internalError(message: string): void;
}

/** The port: HTTP with or without TLS, the health check, and the upgrade of admitted requests to WebSockets. */
export class Listener {
  readonly #dependencies: ListenerDependencies;
  readonly #admission: Admission;
  readonly #options: AudioHookServerOptions;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;

  constructor(
    dependencies: ListenerDependencies,
    admission: Admission,
    options: AudioHookServerOptions,
    { headerMs, messageBytes }: AudioHookLimits,
  ) {
    this.#dependencies = dependencies;
    this.#admission = admission;
    this.#options = options;
    const http = {
      headersTimeout: headerMs,
      requestTimeout: headerMs,
      keepAliveTimeout: headerMs,
      // Node looks for late headers only every 30 s unless told otherwise.
      connectionsCheckingInterval: Math.max(100, headerMs / 4),
    };
    const { tls } = options;
    this.#http =
      tls === undefined ? createServer(http) : createTlsServer({ ...http, ...tls, handshakeTimeout: headerMs });
    this.#http.on('request', this.#onRequest);
    this.#http.on('upgrade', this.#onUpgrade);
    this.#http.on('tlsClientError', this.#onTlsFailure);
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: messageBytes,
      // The session checks it, and answers with `disconnect` instead of closing the connection.
      skipUTF8Validation: true,
    });
  }

  /** @throws TrunklineError CONNECTION_FAILED when it cannot listen on the port. */
  async listen(): Promise<{ readonly host: string; readonly port: number }> {
    const { port, host } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error): void => {
        reject(
          new TrunklineError(
            'CONNECTION_FAILED',
            `Cannot listen on port ${port}: ${messageOf(error)}. Choose another port or host.`,
            { cause: error },
          ),
        );
      };
      this.#http.once('error', onError);
      this.#http.listen({ port, host, backlog: 1024 }, () => {
        this.#http.off('error', onError);
        this.#http.on('error', (error) => this.#dependencies.internalError(messageOf(error)));
        resolve();
      });
    });
    const bound = this.#http.address() as AddressInfo;
    return { host: bound.address, port: bound.port };
  }

  /** Stops listening and closes plain HTTP connections; resolves when the last connection is closed. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeAllConnections();
    return closed;
  }

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const { draining, sessionsLive } = this.#dependencies;
    const path = pathOf(request.url);
    if (path === '/health') {
      response.writeHead(draining ? 503 : 200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(`{"status":"${draining ? 'draining' : 'ok'}","sessions":${sessionsLive}}\n`);
      return;
    }
    const expectsUpgrade = path === this.#dependencies.path;
    response.writeHead(expectsUpgrade ? 426 : 404, expectsUpgrade ? { upgrade: 'websocket' } : {});
    response.end();
  };

  readonly #onTlsFailure = ({ code = '' }: NodeJS.ErrnoException, socket: TLSSocket): void => {
    // Load balancers open and close connections every few seconds to check the port; that is no failure.
    if (code !== 'ECONNRESET') this.#admission.tlsFailed(code, socket);
  };

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // The peer may vanish at any time before ws takes over.
    socket.on('error', ignoreError);
    try {
      this.#upgrade(request, socket, head);
    } catch (thrown) {
      this.#dependencies.internalError(messageOf(thrown));
      socket.destroy();
    }
  };

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const verdict = this.#admission.admit(request);
    if ('status' in verdict) {
      this.#admission.refuse(request, socket, verdict);
      return;
    }
    // Calls back within this turn, or answers 400 by itself when this is not a valid WebSocket request.
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#dependencies.connected(webSocket, verdict));
  }
}

function ignoreError(): void {}
