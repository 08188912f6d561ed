import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { onTestFinished } from 'vitest';
import WebSocket from 'ws';

/** Listens to live audio over a WebSocket. */
export class WebSocketListener {
  readonly socket: WebSocket;
  /** Text messages. */
  readonly messages: Record<string, unknown>[] = [];
  readonly parts: Buffer[] = [];
  closed: { code: number; reason: string } | undefined;

  constructor(url: string, protocols: readonly string[] = ['trunkline.audio.v1']) {
    this.socket = new WebSocket(url.replace(/^http/, 'ws'), [...protocols]);
    this.socket.on('error', () => {});
    this.socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.parts.push(data);
      else this.messages.push(JSON.parse(String(data)) as Record<string, unknown>);
    });
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
    });
    onTestFinished(() => this.socket.terminate());
  }

  async open(): Promise<this> {
    await once(this.socket, 'open');
    return this;
  }

  get samples(): Int16Array {
    return samplesOf(Buffer.concat(this.parts));
  }

  get length(): number {
    return this.parts.reduce((sum, { length }) => sum + length, 0) / 2;
  }
}

/** Opens a WAV file without end; `response` flows only when it is read. */
export async function openWav(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const outgoing = request(url, { agent: false, headers });
  outgoing.on('error', () => {});
  onTestFinished(() => void outgoing.destroy());
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  return response;
}

export function samplesOf(bytes: Buffer): Int16Array {
  return Int16Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(2 * i));
}

/** Samples of one side of two interleaved ones. */
export function sideOf(samples: Int16Array, side: 0 | 1): Int16Array {
  return samples.filter((_, i) => i % 2 === side);
}

/** Without the silence at its begin and its end. */
export function trimmed(samples: Int16Array): Int16Array {
  const from = samples.findIndex((sample) => sample !== 0);
  const to = samples.findLastIndex((sample) => sample !== 0);
  return from < 0 ? new Int16Array(0) : samples.subarray(from, to + 1);
}

/** Where `part` is in `whole`, byte for byte; −1 when it is not. */
export function indexIn(whole: Int16Array, part: Int16Array): number {
  const bytes = Buffer.from(whole.buffer, whole.byteOffset, whole.byteLength);
  const at = bytes.indexOf(Buffer.from(part.buffer, part.byteOffset, part.byteLength));
  return at < 0 ? -1 : at / 2;
}
