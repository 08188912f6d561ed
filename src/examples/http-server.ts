import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AudioHookKey, audioHook, createNode } from '../index.js';

export interface HttpServerExample {
  /** The embedder's own pages. */
  readonly url: string;
  /** Where AudioHook clients connect. */
  readonly audioHookUrl: string;
  /** Ids of the calls so far. */
  readonly calls: readonly string[];
  close(): Promise<void>;
}

/**
 * AudioHook inside an HTTP server that serves other pages as well. The server is yours: you listen, answer the health
 * check and close it. With fastify, give `app.server`; with express, the server that `app.listen` returns.
 */
export async function startHttpServer(keys: readonly AudioHookKey[], port = 0): Promise<HttpServerExample> {
  const calls: string[] = [];
  const server: Server = createServer((request, response) => {
    if (request.url === '/health') {
      const health = hook.healthResponse();
      response.writeHead(health.status === 'ok' ? 200 : 503, { 'content-type': 'application/json' });
      response.end(JSON.stringify(health));
    } else response.end('the application\n');
  });
  const hook = audioHook({ httpServer: server, path: '/audiohook/ws', keys, drainMs: 2_000 });
  const node = await createNode({ sources: [hook] });
  node.on('sessionOpened', ({ interactionId }) => {
    if (interactionId !== undefined) calls.push(interactionId);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}`,
    audioHookUrl: `ws://127.0.0.1:${address.port}/audiohook/ws`,
    calls,
    close: async () => {
      // First the node, so that clients can leave in order; then the server.
      await node.close();
      server.close();
      server.closeAllConnections();
    },
  };
}
