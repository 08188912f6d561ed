import { once } from 'node:events';
import { type ClientOptions, WebSocket } from 'ws';
import { requestHeaders } from '../../../src/simulator/audiohook/protocol-faults.js';
import { API_KEY, CLIENT_SECRET } from './node-rig.js';

export interface RawMessage {
  readonly version: string;
  readonly type: string;
  readonly id: string;
  readonly seq: number;
  readonly clientseq: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what came over the wire
  readonly parameters: any;
}

export interface RawOptions {
  /** The same conversation goes on. */
  readonly earlier?: RawCall | undefined;
  readonly sessionId?: string;
  readonly apiKey?: string;
  readonly clientSecret?: string | undefined;
  /** Added to the request, or in place of what it has. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the socket, such as `ca`. */
  readonly socket?: ClientOptions;
  /** What is signed instead of the path and the authority of the address. */
  readonly signedUrl?: string;
  readonly organizationId?: string;
  readonly conversationId?: string;
}

let made = 0;
/** A UUID that no other call of this process has. */
export function uuid(): string {
  made += 1;
  return `00000000-0000-4000-8000-${made.toString(16).padStart(12, '0')}`;
}

export const STEREO = { type: 'audio', format: 'PCMU', channels: ['external', 'internal'], rate: 8000 } as const;

/** A call that is played by hand, message for message: for every line of the protocol, and for what no proper client would do. */
export class RawCall {
  readonly conversationId: string;
  readonly organizationId: string;
  readonly sessionId: string;
  readonly received: RawMessage[] = [];
  /** The same as text, as it came over the wire. */
  readonly texts: string[] = [];
  binaries = 0;
  /** Of the close frame, once it has come. */
  closeCode: number | undefined;
  readonly socket: WebSocket;
  readonly #earlier: RawCall | undefined;
  #seq = 0;

  constructor(url: string, options: RawOptions = {}) {
    const { earlier } = options;
    this.#earlier = earlier;
    this.conversationId = options.conversationId ?? earlier?.conversationId ?? uuid();
    this.organizationId = options.organizationId ?? earlier?.organizationId ?? uuid();
    this.sessionId = options.sessionId ?? uuid();
    const identity = {
      url: new URL(options.signedUrl ?? url),
      organizationId: this.organizationId,
      sessionId: this.sessionId,
      correlationId: uuid(),
      apiKey: options.apiKey ?? API_KEY,
      clientSecret: 'clientSecret' in options ? options.clientSecret : CLIENT_SECRET,
    };
    const headers = { ...(requestHeaders(identity, Date.now()) as Record<string, string>), ...options.headers };
    this.socket = new WebSocket(url, { ...options.socket, headers });
    this.socket.on('message', (data, isBinary) => {
      if (isBinary) {
        this.binaries += 1;
        return;
      }
      this.texts.push(String(data));
      this.received.push(JSON.parse(String(data)) as RawMessage);
    });
    this.socket.on('close', (code) => {
      this.closeCode = code;
    });
    this.socket.on('error', () => {});
  }

  get types(): string[] {
    return this.received.map(({ type }) => type);
  }

  /** Resolves when the connection stands, with undefined, or with the status that refused it. */
  connected(): Promise<number | undefined> {
    return new Promise((resolve) => {
      this.socket.once('open', () => resolve(undefined));
      this.socket.once('unexpected-response', (_request, response) => {
        resolve(response.statusCode);
        response.resume();
        this.socket.terminate();
      });
    });
  }

  /** Parameters of a proper `open`: a stereo PCMU call. */
  openParameters(extra: object = {}): object {
    const earlier = this.#earlier;
    const continued = earlier && {
      id: earlier.sessionId,
      serverseq: earlier.received.length,
      clientseq: earlier.#seq,
    };
    return {
      organizationId: this.organizationId,
      conversationId: this.conversationId,
      participant: { id: uuid(), ani: '+15550100', aniName: 'Caller', dnis: '+15550199' },
      media: [STEREO],
      ...(continued === undefined ? {} : { continuedSessions: [continued] }),
      ...extra,
    };
  }

  /** Connects, opens and exchanges the first ping. */
  async open(extra: object = {}): Promise<this> {
    await this.connected();
    await this.ask('opened', 'open', this.openParameters(extra));
    await this.ask('pong', 'ping', {});
    return this;
  }

  sendMessage(type: string, parameters: object = {}, change: object = {}): void {
    this.#seq += 1;
    const serverseq = this.received.at(-1)?.seq ?? 0;
    const message = {
      version: '2',
      id: this.sessionId,
      type,
      seq: this.#seq,
      serverseq,
      position: 'PT0S',
      parameters,
      ...change,
    };
    this.socket.send(JSON.stringify(message));
  }

  async ask(answer: string, type: string, parameters: object = {}): Promise<RawMessage> {
    this.sendMessage(type, parameters);
    return this.next(answer);
  }

  /** The next message of that type from now on. */
  next(type: string): Promise<RawMessage> {
    return new Promise((resolve, reject) => {
      const look = (data: unknown): void => {
        const message = JSON.parse(String(data)) as RawMessage;
        if (message.type !== type) return;
        remove();
        resolve(message);
      };
      const fail = (): void => {
        remove();
        reject(new Error(`closed before ${type}; came: ${this.types.join(', ')}`));
      };
      const remove = (): void => {
        this.socket.off('message', look);
        this.socket.off('close', fail);
      };
      this.socket.on('message', look);
      this.socket.on('close', fail);
    });
  }

  /** What came since, when the server has taken everything that was sent before: it answers in order. */
  async settled(): Promise<string[]> {
    const before = this.received.length;
    await this.ask('pong', 'ping');
    return this.types.slice(before, -1);
  }

  /** 200 ms of one code on both sides. */
  frame(code: number): void {
    this.socket.send(Buffer.alloc(3200, code));
  }

  /** The connection is gone without a word. */
  abort(): void {
    this.socket.terminate();
  }

  async close(reason = 'end'): Promise<void> {
    await this.ask('closed', 'close', { reason });
    this.socket.close(1000);
    if (this.socket.readyState !== this.socket.CLOSED) await once(this.socket, 'close');
  }
}
