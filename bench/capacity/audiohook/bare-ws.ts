import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { formatServerMessage, parseClientMessage } from '../../../src/sources/audiohook/protocol/wire.js';
import { BareSubject } from '../bare-subject.js';
import type { Subject } from '../roles.js';

/** The least that a `ws` server can do: say what a client must hear to go on, and throw the audio away. */
class BareServer extends BareSubject {
  readonly #server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 1024, perMessageDeflate: false });

  async start(): Promise<string> {
    this.#server.on('connection', (webSocket) => this.#serve(webSocket));
    await once(this.#server, 'listening');
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    for (const webSocket of this.#server.clients) webSocket.terminate();
    this.#server.close();
  }

  #serve(webSocket: WebSocket): void {
    let seq = 0;
    webSocket.on('error', () => {});
    webSocket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) return this.count();
      const message = parseClientMessage(data);
      if (message.type === 'fault') return webSocket.terminate();
      const { id, seq: clientseq } = message;
      seq++;
      switch (message.type) {
        case 'open': {
          const media = JSON.stringify(message.parameters.media);
          return webSocket.send(formatServerMessage('opened', id, seq, clientseq, { media }));
        }
        case 'ping':
          return webSocket.send(formatServerMessage('pong', id, seq, clientseq, {}));
        case 'close':
          return webSocket.send(formatServerMessage('closed', id, seq, clientseq, {}));
      }
    });
  }
}

export function makeBareServer(): Subject {
  return new BareServer();
}
