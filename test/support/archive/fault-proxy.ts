import { once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';

/**
 * What a proxy does to the connections through it.
 * `refuse`: closes each at once · `hang`: accepts and answers nothing · `busy`: answers 503 to each request ·
 * `cut`: closes all after so many bytes of clients · `slow`: passes so many bytes of the client a second
 */
export type Fault =
  | { readonly kind: 'refuse' | 'hang' | 'busy' }
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number };

const BUSY =
  'HTTP/1.1 503 Slow Down\r\ncontent-type: application/xml\r\nconnection: close\r\ncontent-length: 94\r\n\r\n' +
  `${'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>'.padEnd(94)}`;

/** A TCP proxy in front of an S3 server, which makes its faults. */
export class FaultProxy {
  fault: Fault | undefined;
  /** Bytes that came from clients. */
  bytes = 0;
  #bytesOfFault = 0;
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(targetPort: number) {
    this.#target = targetPort;
    this.#server = createServer((client) => this.#serve(client));
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get endpoint(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  /** From now on, also for connections that are open: those are closed. */
  become(fault: Fault | undefined): void {
    this.fault = fault;
    this.#bytesOfFault = 0;
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.become({ kind: 'refuse' });
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    const { fault } = this;
    this.#keep(client);
    if (fault?.kind === 'refuse') return void client.destroy();
    if (fault?.kind === 'hang') return void client.resume();
    if (fault?.kind === 'busy') return void client.once('data', () => client.end(BUSY));
    const server = new Socket().connect(this.#target, '127.0.0.1');
    this.#keep(server);
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroy());
    server.pipe(client);
    client.on('data', (bytes: Buffer) => {
      this.bytes += bytes.length;
      this.#bytesOfFault += bytes.length;
      if (fault?.kind === 'cut' && this.#bytesOfFault >= fault.afterBytes) return void client.destroy();
      server.write(bytes);
      if (fault?.kind !== 'slow') return;
      client.pause();
      setTimeout(() => client.resume(), (bytes.length * 1000) / fault.bytesPerSecond).unref();
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
