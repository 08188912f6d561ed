import type { Buffer } from 'node:buffer';
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { parseOptions } from '../config/options.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import { nodeParts } from '../node/parts/node-parts.js';
import type { Service, ServiceContext } from '../node/service.js';
import { Access, isLoopback } from './access/access.js';
import { Connections } from './connections.js';
import type { ControlDependencies } from './dependencies.js';
import { InteractionView } from './live/interaction-view.js';
import { Live } from './live/live.js';
import { type ControlOptions, type ControlSettings, controlSchema } from './options.js';
import { readCertifiedKey } from './tls.js';

const EXPIRY_LOOK_MS = 5_000;

/** What the control server has counted, and what it does at the moment. */
export interface ControlStats {
  readonly connections: number;
  readonly webSockets: number;
  readonly requests: number;
  /** Clients of the event stream. */
  readonly eventClients: number;
  /** Those who listen to live audio. */
  readonly listeners: number;
  /** Requests and connections that were refused or cut off, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

/** What there is while it runs. */
interface Running {
  readonly server: HttpServer | HttpsServer;
  readonly access: Access;
  readonly connections: Connections;
  readonly dependencies: ControlDependencies;
  /** Takes the path below `basePath`. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  readonly closing: AbortController;
  requests: number;
}

/** The HTTP server for operations: health, metrics, API, live audio and console. Made by control(). */
export class Control implements Service {
  readonly name: string;
  readonly #settings: ControlSettings;
  #running: Running | undefined;
  #isClosed = false;

  /** @throws TrunklineError CONFIG_INVALID for options that cannot be right. */
  constructor(options: ControlOptions = {}) {
    this.#settings = parseOptions('control()', controlSchema, options) as ControlSettings;
    this.name = this.#settings.name;
    const { host, noServer, tokensFile } = this.#settings;
    if (noServer || tokensFile !== undefined || isLoopback(host) || host === 'localhost') return;
    throw new TrunklineError(
      'CONFIG_INVALID',
      `Without tokens the control server listens on this machine only, not on ${host}: everybody who reaches it could ` +
        'listen to calls. Make tokens with "trunkline token create", and name their file.',
    );
  }

  /**
   * Listens.
   * @throws TrunklineError CONNECTION_FAILED when the port cannot be had; CONFIG_INVALID when the tokens or the
   *   certificate cannot be read.
   */
  async start(context: ServiceContext): Promise<void> {
    const settings = this.#settings;
    const { clock } = context;
    const access = new Access({
      clock,
      tokensFile: settings.tokensFile,
      allowedHosts: new Set(settings.allowedHosts),
      allowedOrigins: new Set(settings.allowedOrigins),
      audit: (action, fields, interactionId) => context.audit(action, fields, interactionId),
    });
    const tls = settings.tls && readCertifiedKey(settings.tls, clock.wallMs());
    // Loaded only when it is used: it takes a tenth of a second.
    const { makeApp, makeHttpServer } = await import('./server.js');
    const { WebSocketRoutes } = await import('./web-sockets.js');
    const { NodeMetrics } = await import('./metrics/node-metrics.js');
    const closing = new AbortController();
    const interactions = new InteractionView(clock);
    const metrics = new NodeMetrics({
      ...nodeParts(context.node),
      clock,
      interactions,
      stats: () => context.node.stats(),
      health: () => context.node.health(),
    });
    for (const sink of [interactions, metrics.sink]) context.addSink(sink);
    context.node.on('paused', (event) => interactions.paused(event));
    context.node.on('oneWayAudio', (event) => interactions.oneWayAudio(event));
    context.node.on('oneWayAudioEnded', (event) => interactions.oneWayAudio(event));
    closing.signal.addEventListener('abort', () => metrics.close());
    metrics.start();
    const expiries = setInterval(() => access.closeInvalid(), EXPIRY_LOOK_MS).unref();
    closing.signal.addEventListener('abort', () => clearInterval(expiries));
    const connections = new Connections(clock, settings.limits.stalledMs);
    const audit: ControlDependencies['audit'] = ({ principal, address }, action, fields = {}, interactionId?) => {
      const actor = principal === undefined ? {} : { actor: principal.name };
      context.audit(action, { ...fields, ...actor, remoteAddress: address }, interactionId);
    };
    const dependencies: ControlDependencies = {
      ...context,
      settings,
      access,
      interactions,
      metrics,
      webSockets: new WebSocketRoutes(access, (error) => context.report(error)),
      live: new Live({ node: context.node, clock, stalledMs: settings.limits.stalledMs, audit }),
      closing: closing.signal,
      audit,
    };
    const server = makeHttpServer(settings.limits, tls);
    const app = await makeApp(server, dependencies, connections);
    const running = { server, access, connections, dependencies, handle: app.routing, closing, requests: 0 };
    this.#running = running;
    server.on('request', () => {
      running.requests++;
    });
    server.on('upgrade', (request, socket, head) => {
      // Such as `GET * HTTP/1.1`. Without a listener for its errors, a peer that resets the connection ends the process.
      if (!this.handleUpgrade(request, socket, head)) {
        connections.refuse(socket, 'malformedRequest', '400 Bad Request');
      }
    });
    if (this.#isClosed) await this.close();
    else if (!settings.noServer) {
      connections.watch(server);
      await this.#listen(server, context);
      // It may have been closed before it listened.
      if (this.#isClosed) await stopListening(running);
    }
  }

  /** Where it listens, such as `http://127.0.0.1:9464`. @throws TrunklineError ENGINE_CLOSED while it does not. */
  get url(): string {
    const address = this.#running?.server.address() as AddressInfo | null | undefined;
    if (address == null) throw new TrunklineError('ENGINE_CLOSED', 'The control server is not listening.');
    const { address: host, port } = address;
    const name = host === '::' || host === '0.0.0.0' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
    return `${this.#settings.tls === undefined ? 'http' : 'https'}://${name}:${port}${this.#settings.basePath}`;
  }

  /**
   * Takes a request of the embedder's HTTP server. False, and nothing done, when it is for a path outside of `basePath`,
   * or the node has not been started.
   */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const running = this.#running;
    if (running === undefined || !this.#isBelow(request)) return false;
    running.requests++;
    const { basePath } = this.#settings;
    // The console's files are named relative to its page, whose address therefore ends with a slash.
    if (basePath !== '' && request.url === basePath) response.writeHead(308, { location: `${basePath}/` }).end();
    else running.handle(request, response);
    return true;
  }

  /** The same for a WebSocket, with the arguments of the server's `upgrade` event. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const running = this.#running;
    if (running === undefined || !this.#isBelow(request)) return false;
    request.url = request.url?.slice(this.#settings.basePath.length) || '/';
    running.dependencies.webSockets.upgrade(request, socket, head);
    return true;
  }

  stats(): ControlStats {
    const running = this.#running;
    return {
      connections: running?.connections.open ?? 0,
      webSockets: running?.dependencies.webSockets.open ?? 0,
      requests: running?.requests ?? 0,
      eventClients: running?.dependencies.live.events.stats().clients ?? 0,
      listeners: running?.dependencies.live.listeners.stats().listeners ?? 0,
      refused: this.refusals(),
    };
  }

  refusals(): Readonly<Record<string, number>> {
    const running = this.#running;
    return { ...running?.access.refused, ...running?.connections.cut, ...running?.dependencies.live.refusals() };
  }

  /**
   * Reads tokens and certificate again; what cannot be read is reported, and what there was stays in use.
   * @throws TrunklineError CONFIG_INVALID
   */
  reopen(): void {
    const running = this.#running;
    if (running === undefined) return;
    running.access.reload();
    const { tls } = this.#settings;
    if (tls === undefined || !('setSecureContext' in running.server)) return;
    running.server.setSecureContext(readCertifiedKey(tls, running.dependencies.clock.wallMs()));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    running.closing.abort();
    running.dependencies.live.close();
    running.dependencies.webSockets.close();
    await stopListening(running);
  }

  #isBelow({ url = '' }: IncomingMessage): boolean {
    const { basePath } = this.#settings;
    return url.startsWith(basePath) && /^(?:[/?]|$)/.test(url.slice(basePath.length));
  }

  async #listen(server: HttpServer | HttpsServer, { logger, report }: ServiceContext): Promise<void> {
    const { port, host, orAnyPort } = this.#settings;
    try {
      await bound(server, port, host);
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isTaken || !orAnyPort) {
        const advice = 'Choose another one with --control-port, or 0 for no control server.';
        const message = `The control server cannot listen on ${host} port ${port}: ${messageOf(error)}. ${advice}`;
        throw new TrunklineError('CONNECTION_FAILED', message, { cause: error });
      }
      logger.warn({ port }, 'the port of the control server is in use; another one is taken');
      await bound(server, 0, host);
    }
    server.on('error', (error) => report(error));
  }
}

async function stopListening({ server, connections }: Running): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  connections.close();
  await closed;
}

function bound(server: HttpServer | HttpsServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: 128 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * An HTTP server for operations: `/livez`, `/readyz`, `/metrics`, the API below `/api/v1`, and the console. Without
 * tokens it serves this machine only.
 *
 * @example
 * const operations = control({ port: 9464 });
 * const node = await createNode({ sources, sinks, services: [operations] });
 * console.log(operations.url);
 *
 * @throws TrunklineError CONFIG_INVALID for options that cannot be right.
 */
export function control(options: ControlOptions = {}): Control {
  return new Control(options);
}
