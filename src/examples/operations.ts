import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { control, createNode, type NodeOptions } from '../index.js';

export interface OperationsExample {
  /** The embedder's own pages. */
  readonly url: string;
  /** Health, metrics, API and console of the node. */
  readonly operationsUrl: string;
  close(): Promise<void>;
}

/**
 * The control server inside an HTTP server that serves other pages as well, below a path of its own. The server is yours:
 * you listen and close it; who may do what is still checked by the control server.
 *
 * @param tokensFile Made with `trunkline token create`; without it only this machine is served.
 */
export async function startOperations(options: NodeOptions, tokensFile?: string): Promise<OperationsExample> {
  const operations = control({
    noServer: true,
    basePath: '/trunkline',
    ...(tokensFile === undefined ? {} : { tokensFile }),
  });
  const node = await createNode({ ...options, services: [operations] });
  const server = createServer((request, response) => {
    // False: the request is for another path, and nothing has been done.
    if (!operations.handle(request, response)) response.end('the application\n');
  });
  server.on('upgrade', (request, socket, head) => {
    if (!operations.handleUpgrade(request, socket, head)) socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    operationsUrl: `${url}/trunkline`,
    close: async () => {
      await node.close();
      server.close();
      server.closeAllConnections();
    },
  };
}
