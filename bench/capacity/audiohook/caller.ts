import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { systemClock } from '../../../src/core/clock.js';
import { requestHeaders } from '../../../src/simulator/audiohook/protocol-faults.js';
import { interactionId, uuid } from '../load/plan.js';
import { SocketWriter } from '../load/socket-writer.js';
import type { Conversation } from './frames.js';
import { HOOK_KEY, ORGANIZATION_ID, SAMPLE_RATE } from './plan.js';

const MEDIA = [{ type: 'audio', format: 'PCMU', channels: ['external', 'internal'], rate: SAMPLE_RATE }];

/** What becomes of callers; all of them tell the same one. Times are from when the thing was due. */
export interface CallEvents {
  opened(fromOpenUs: number, fromDueUs: number): void;
  pong(pingDueUs: number, us: number): void;
  error(name: CallError): void;
}

export type CallError =
  /** The upgrade was answered with something else. */
  | 'refused'
  /** No connection, or one that broke before `opened`. */
  | 'failed'
  /** The connection broke before `close` was answered. */
  | 'disconnected'
  /** The server asked for the end. */
  | 'askedToLeave'
  /** A message out of step, or not to be understood. */
  | 'violations'
  | 'unansweredPings'
  /** `close` was not answered in time. */
  | 'unclosed';

/**
 * One call as Genesys Cloud makes it. What is rare goes through `ws`; audio is written to the socket past it, ready
 * made. The two do not get into each other's way, for `ws` writes a whole frame within send().
 */
export class Caller {
  readonly index: number;
  readonly #events: CallEvents;
  readonly #conversation: Conversation;
  readonly #frameSamples: number;
  readonly #sessionId = randomUUID();
  #webSocket: WebSocket | undefined;
  #writer: SocketWriter | undefined;
  #state: 'waiting' | 'opening' | 'live' | 'closing' | 'over' = 'waiting';
  #dueUs = 0;
  #openSentUs = 0;
  #seq = 0;
  #serverseq = 0;
  // When those pings were due that wait for their answer.
  readonly #pings: number[] = [];
  #frames = 0;

  constructor(index: number, conversation: Conversation, frameSamples: number, events: CallEvents) {
    this.index = index;
    this.#conversation = conversation;
    this.#frameSamples = frameSamples;
    this.#events = events;
  }

  /** Audio may flow. */
  get isLive(): boolean {
    return this.#state === 'live';
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** @param dueUs when the call was to begin. */
  connect(url: string, dueUs: number): void {
    this.#state = 'opening';
    this.#dueUs = dueUs;
    const identity = {
      url: new URL(url),
      organizationId: ORGANIZATION_ID,
      sessionId: this.#sessionId,
      correlationId: randomUUID(),
      ...HOOK_KEY,
    };
    // Only a request that does fault has a header twice.
    const headers = requestHeaders(identity, systemClock.wallMs()) as Record<string, string>;
    const webSocket = new WebSocket(url, { headers, perMessageDeflate: false });
    this.#webSocket = webSocket;
    webSocket.on('upgrade', ({ socket }) => {
      this.#writer = new SocketWriter(socket);
    });
    webSocket.on('open', () => this.#open());
    webSocket.on('message', (data: Buffer) => this.#onMessage(data));
    webSocket.on('unexpected-response', (_request, response) => {
      response.destroy();
      this.#end('refused');
    });
    // The close that follows tells.
    webSocket.on('error', () => {});
    webSocket.on('close', () => this.#end(this.#state === 'opening' ? 'failed' : 'disconnected'));
  }

  /** The next frame of the conversation; false when the connection is gone. */
  speak(): boolean {
    const { frames, start } = this.#conversation;
    if (this.#state !== 'live' || this.#writer === undefined) return false;
    return this.#writer.write(frames[(start + this.#frames++) % frames.length] as Buffer);
  }

  ping(dueUs: number): void {
    if (this.#state !== 'live') return;
    this.#pings.push(dueUs);
    this.#sendMessage('ping', {});
  }

  close(): void {
    if (this.#state !== 'live') return;
    this.#state = 'closing';
    this.#sendMessage('close', { reason: 'end' });
  }

  /** Ends what is left without a word, and tells what was still owed. */
  abandon(): void {
    for (const _ of this.#pings) this.#events.error('unansweredPings');
    if (this.#state === 'closing') this.#end('unclosed');
    this.#state = 'over';
    this.#webSocket?.terminate();
  }

  #open(): void {
    this.#openSentUs = systemClock.nowUs();
    this.#sendMessage('open', {
      organizationId: ORGANIZATION_ID,
      conversationId: interactionId(this.index),
      participant: {
        id: uuid(`trunkline bench participant ${this.index}`),
        ani: '+15550100',
        aniName: 'Caller',
        dnis: '+15550199',
      },
      media: MEDIA,
      language: 'en-US',
    });
  }

  #onMessage(data: Buffer): void {
    const nowUs = systemClock.nowUs();
    const { type, seq } = JSON.parse(data.toString()) as { readonly type?: unknown; readonly seq?: unknown };
    if (seq !== this.#serverseq + 1) this.#events.error('violations');
    this.#serverseq++;
    switch (type) {
      case 'opened':
        this.#opened(nowUs);
        break;
      case 'pong':
        this.#pong(nowUs);
        break;
      case 'closed':
        this.#state = 'over';
        this.#webSocket?.close(1000);
        break;
      case 'disconnect':
      case 'reconnect':
        this.#events.error('askedToLeave');
        this.close();
    }
  }

  #opened(nowUs: number): void {
    if (this.#state !== 'opening') {
      this.#events.error('violations');
      return;
    }
    this.#state = 'live';
    this.#events.opened(nowUs - this.#openSentUs, nowUs - this.#dueUs);
  }

  #pong(nowUs: number): void {
    const dueUs = this.#pings.shift();
    if (dueUs === undefined) this.#events.error('violations');
    else this.#events.pong(dueUs, nowUs - dueUs);
  }

  #sendMessage(type: string, parameters: object): void {
    this.#seq++;
    const position = `PT${((this.#frames * this.#frameSamples) / SAMPLE_RATE).toFixed(3)}S`;
    const message = { version: '2', id: this.#sessionId, type, seq: this.#seq, serverseq: this.#serverseq };
    this.#webSocket?.send(JSON.stringify({ ...message, position, parameters }));
  }

  #end(error: CallError): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#events.error(error);
  }
}
