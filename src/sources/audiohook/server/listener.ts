import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type TLSSocket, Server as TlsServer } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import type { CertifiedKey } from '../../../core/network/certificate.js';
import { pathOf } from '../protocol/public-address.js';
import type { Admission, AdmittedClient } from './admission.js';
import type { AudioHookHealth } from './server-events.js';
import type { AudioHookLimits, AudioHookServerOptions } from './server-options.js';

/** What a listener needs from its server. */
export interface ListenerDependencies {
  readonly path: string;
  health(): AudioHookHealth;
  /** @param transport what the WebSocket reads from. */
  connected(socket: WebSocket, transport: Duplex, client: AdmittedClient): void;
  internalError(message: string): void;
}

/**
 * Where connections come from: an HTTP server of its own with the health check, or the embedder's server, of which only
 * the WebSocket requests for one path are taken. Admitted requests are upgraded to WebSockets.
 */
export class Listener {
  readonly #dependencies: ListenerDependencies;
  readonly #admission: Admission;
  readonly #options: AudioHookServerOptions;
  /** Undefined when the embedder calls handleUpgrade(). */
  readonly #http: HttpServer | HttpsServer | undefined;
  readonly #isOwn: boolean;
  readonly #sockets: WebSocketServer;

  constructor(
    dependencies: ListenerDependencies,
    admission: Admission,
    options: AudioHookServerOptions,
    limits: AudioHookLimits,
  ) {
    this.#dependencies = dependencies;
    this.#admission = admission;
    this.#options = options;
    this.#isOwn = options.port !== undefined;
    this.#http = this.#isOwn ? ownServer(options, limits) : options.httpServer;
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      // The connection answers pings, so that they count for its limits.
      autoPong: false,
      maxPayload: limits.messageBytes,
      // The session checks it, and answers with `disconnect` instead of closing the connection.
      skipUTF8Validation: true,
    });
  }

  /**
   * Starts to take connections; returns the address, if there is one yet.
   * @throws TrunklineError CONNECTION_FAILED when it cannot listen on the port.
   */
  async listen(): Promise<AddressInfo | undefined> {
    const http = this.#http;
    if (http === undefined) return undefined;
    http.on('upgrade', this.#onUpgrade);
    if (this.#isOwn) {
      http.on('request', this.#onRequest);
      http.on('tlsClientError', this.#onTlsFailure);
      await this.#bind(http);
    }
    return this.address();
  }

  /** Undefined when the server does not listen, or not on a port. */
  address(): AddressInfo | undefined {
    const address = this.#http?.address();
    return typeof address === 'object' ? (address ?? undefined) : undefined;
  }

  /**
   * Stops taking connections. Its own server stops listening and closes plain HTTP connections, and this resolves when
   * the last connection is closed; the embedder's server goes on.
   */
  close(): Promise<void> {
    const http = this.#http;
    http?.off('upgrade', this.#onUpgrade);
    if (http === undefined || !this.#isOwn) return Promise.resolve();
    const closed = new Promise<void>((resolve) => http.close(() => resolve()));
    http.closeAllConnections();
    return closed;
  }

  /** New connections get this certificate. Ignored by a server of the embedder, and by one without TLS. */
  useCertificate(tls: CertifiedKey): void {
    if (this.#isOwn && this.#http instanceof TlsServer) this.#http.setSecureContext(tls);
  }

  /** Takes a WebSocket request, or refuses it. False, and nothing done, when it is for another path. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    if (pathOf(request.url ?? '/') !== this.#dependencies.path) return false;
    this.#upgradeSafely(request, socket, head);
    return true;
  }

  async #bind(http: HttpServer | HttpsServer): Promise<void> {
    const { port, host = this.#options.tls === undefined ? '127.0.0.1' : undefined } = this.#options;
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
      http.once('error', onError);
      http.listen({ port, host, backlog: 1024 }, () => {
        http.off('error', onError);
        http.on('error', (error) => this.#dependencies.internalError(messageOf(error)));
        resolve();
      });
    });
  }

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const path = pathOf(request.url ?? '/');
    if (path === '/health') {
      const health = this.#dependencies.health();
      const status = health.status === 'ok' ? 200 : 503;
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(`${JSON.stringify(health)}\n`);
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
    const isOurs = pathOf(request.url ?? '/') === this.#dependencies.path;
    // Another path of the embedder's server is for its other listeners. Without one, the request would get no answer.
    if (isOurs || this.#isOwn || this.#http?.listenerCount('upgrade') === 1) {
      this.#upgradeSafely(request, socket, head);
    }
  };

  #upgradeSafely(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // The peer may close the connection at any time before ws takes over.
    socket.on('error', ignoreError);
    try {
      this.#upgrade(request, socket, head);
    } catch (thrown) {
      this.#dependencies.internalError(messageOf(thrown));
      socket.destroy();
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const verdict = this.#admission.admit(request);
    if ('status' in verdict) {
      this.#admission.refuse(request, socket, verdict);
      return;
    }
    // Calls back within this turn, or answers 400 by itself when this is not a valid WebSocket request.
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) =>
      this.#dependencies.connected(webSocket, socket, verdict),
    );
  }
}

function ownServer({ tls }: AudioHookServerOptions, { headerMs }: AudioHookLimits): HttpServer | HttpsServer {
  const http = {
    headersTimeout: headerMs,
    requestTimeout: headerMs,
    keepAliveTimeout: headerMs,
    // Node looks for late headers only every 30 s unless configured otherwise.
    connectionsCheckingInterval: Math.max(100, headerMs / 4),
  };
  return tls === undefined ? createServer(http) : createTlsServer({ ...http, ...tls, handshakeTimeout: headerMs });
}

function ignoreError(): void {}
