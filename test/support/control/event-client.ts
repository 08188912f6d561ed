import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { until } from '../until.js';

/** One event of a stream of server-sent events. */
export interface ReceivedEvent {
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** Reads a stream of server-sent events over a socket, as the standard has it. */
export class EventClient {
  readonly events: ReceivedEvent[] = [];
  readonly comments: string[] = [];
  /** As a browser would send it when it connects again. */
  lastId = '';
  isOver = false;
  bytes = 0;
  readonly request: ClientRequest;
  response: IncomingMessage | undefined;
  #rest = '';

  constructor(url: string, headers: Record<string, string> = {}) {
    this.request = request(url, { agent: false, headers });
    this.request.on('error', () => {
      this.isOver = true;
    });
    this.request.end();
  }

  /** Resolves when the response has begun. Unless `read` is false, events are read from then on. */
  async open({ read = true } = {}): Promise<this> {
    const [response] = (await once(this.request, 'response')) as [IncomingMessage];
    this.response = response;
    response.on('error', () => {});
    response.on('close', () => {
      this.isOver = true;
    });
    if (!read) return this;
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.#take(text));
    await until(() => this.lastId !== '' || this.isOver, 'the first id of the event stream');
    return this;
  }

  ofType(type: string): Record<string, unknown>[] {
    return this.events.filter(({ event }) => event === type).map(({ data }) => data);
  }

  close(): void {
    this.request.destroy();
  }

  #take(text: string): void {
    this.bytes += text.length;
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) this.#block(block);
  }

  #block(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      if (colon === 0) this.comments.push(line.slice(1));
      else fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart());
    }
    this.lastId = fields.get('id') ?? this.lastId;
    const data = fields.get('data');
    if (data === undefined) return;
    const event = fields.get('event') ?? 'message';
    this.events.push({ id: this.lastId, event, data: JSON.parse(data) as Record<string, unknown> });
  }
}
