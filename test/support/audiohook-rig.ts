import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import { sessionSchema } from '../../src/record/session.js';
import { type AudioHookCallBooks, expectedPcm } from '../../src/simulator/audiohook-books.js';
import { requestHeaders } from '../../src/simulator/audiohook-mischief.js';
import type { AudioHookSound } from '../../src/simulator/audiohook-sound.js';

export const API_KEY = 'e2e-key';
export const CLIENT_SECRET = 'dHJ1bmtsaW5lIGUyZSBzZWNyZXQ=';
export const KEYS = [{ apiKey: API_KEY, clientSecret: CLIENT_SECRET }];

/** Recordings in a capture's folder. */
export function recordingsIn(out: string): string[] {
  return readdirSync(out).filter((name) => name !== 'audit.jsonl');
}

export function sessionOf(out: string, interactionId: string) {
  return sessionSchema.parse(JSON.parse(readFileSync(join(out, interactionId, 'session.json'), 'utf8')));
}

/** One side of a recording with the plain header of 44 bytes. */
export function recordedPcm(out: string, interactionId: string, channel: 0 | 1): Int16Array {
  const wav = readFileSync(join(out, interactionId, 'audio.wav'));
  expect(wav.readUInt32LE(40)).toBe(wav.length - 44);
  const channels = wav.readUInt16LE(22);
  const length = (wav.length - 44) / 2 / channels;
  return Int16Array.from({ length }, (_, i) => wav.readInt16LE(44 + (i * channels + channel) * 2));
}

/** Sound, length and marked spans of a recording, all as the client's books have them. */
export function expectRecorded(out: string, books: AudioHookCallBooks, sound: AudioHookSound): void {
  const id = books.conversationId;
  const sides = books.media?.channels ?? [];
  const session = sessionOf(out, id);
  expect(session).toMatchObject({ interactionId: id, channels: sides.length, sampleRate: 8000, decodeErrors: 0 });
  expect(session.bytesReceived).toBe(books.bytesSent);
  expect(session.incomplete).toBeUndefined();
  for (const channel of sides.length === 2 ? ([0, 1] as const) : ([0] as const)) {
    const name = sides.length === 2 ? (['external', 'internal'] as const)[channel] : sides[0];
    const due = expectedPcm(books, sound, name ?? 'external');
    const got = recordedPcm(out, id, channel);
    expect(got.length, `length of ${name} of ${id}`).toBe(due.length);
    const wrong = got.findIndex((sample, i) => sample !== due[i]);
    expect(wrong, `first sample of ${name} of ${id} that differs`).toBe(-1);
    const marked = session.spans.filter((span) => span.channel === channel && /paused|discarded/.test(span.state));
    expect(marked).toEqual(markedIn(books, channel));
    // Spans follow one another from the start to the end, without hole or overlap.
    const all = session.spans.filter((span) => span.channel === channel);
    expect(all.map(({ startMs }) => startMs)).toEqual([0, ...all.slice(0, -1).map(({ endMs }) => endMs)]);
    expect(all.at(-1)?.endMs).toBe(books.positionSamples / 8);
  }
}

function markedIn(books: AudioHookCallBooks, channel: 0 | 1) {
  return books.stretches
    .filter(({ kind }) => kind !== 'audio')
    .map(({ kind, startSamples, lengthSamples }) => ({
      state: kind,
      channel,
      startMs: startSamples / 8,
      endMs: (startSamples + lengthSamples) / 8,
    }));
}

let calls = 0;
function uuid(): string {
  calls += 1;
  return `00000000-0000-4000-8000-${calls.toString(16).padStart(12, '0')}`;
}

export interface RawMessage {
  readonly type: string;
  readonly seq: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what came over the wire
  readonly parameters: any;
}

/** A call that is played by hand, message for message, for what no proper client would do. */
export class RawCall {
  readonly conversationId: string;
  readonly received: RawMessage[] = [];
  readonly #socket: WebSocket;
  readonly #sessionId = uuid();
  readonly #organizationId: string;
  readonly #earlier: RawCall | undefined;
  #seq = 0;

  /** With `earlier` the same conversation goes on. */
  constructor(url: string, earlier?: RawCall) {
    this.#earlier = earlier;
    this.conversationId = earlier?.conversationId ?? uuid();
    this.#organizationId = earlier === undefined ? uuid() : earlier.#organizationId;
    const identity = {
      url: new URL(url),
      organizationId: this.#organizationId,
      sessionId: this.#sessionId,
      correlationId: uuid(),
      apiKey: API_KEY,
      clientSecret: CLIENT_SECRET,
    };
    this.#socket = new WebSocket(url, { headers: requestHeaders(identity, Date.now()) as Record<string, string> });
    this.#socket.on('message', (data) => this.received.push(JSON.parse(String(data)) as RawMessage));
    this.#socket.on('error', () => {});
  }

  /** Opens as a stereo PCMU call and exchanges the first ping. */
  async open(): Promise<void> {
    await new Promise((resolve) => this.#socket.once('open', resolve));
    const earlier = this.#earlier;
    await this.ask('opened', 'open', {
      organizationId: this.#organizationId,
      conversationId: this.conversationId,
      participant: { id: uuid(), ani: '+15550100', aniName: 'Caller', dnis: '+15550199' },
      media: [{ type: 'audio', format: 'PCMU', channels: ['external', 'internal'], rate: 8000 }],
      ...(earlier === undefined
        ? {}
        : {
            continuedSessions: [
              { id: earlier.#sessionId, serverseq: earlier.received.length, clientseq: earlier.#seq },
            ],
          }),
    });
    await this.ask('pong', 'ping', {});
  }

  say(type: string, parameters: object): void {
    this.#seq += 1;
    const serverseq = this.received.at(-1)?.seq ?? 0;
    const message = {
      version: '2',
      id: this.#sessionId,
      type,
      seq: this.#seq,
      serverseq,
      position: 'PT0S',
      parameters,
    };
    this.#socket.send(JSON.stringify(message));
  }

  async ask(answer: string, type: string, parameters: object): Promise<RawMessage> {
    this.say(type, parameters);
    return this.next(answer);
  }

  /** The next message of that type from now on. */
  next(type: string): Promise<RawMessage> {
    return new Promise((resolve) => {
      const look = (data: unknown): void => {
        const message = JSON.parse(String(data)) as RawMessage;
        if (message.type !== type) return;
        this.#socket.off('message', look);
        resolve(message);
      };
      this.#socket.on('message', look);
    });
  }

  /** 200 ms of one code on both sides. */
  frame(code: number): void {
    this.#socket.send(Buffer.alloc(3200, code));
  }

  /** The connection is gone without a word. */
  abort(): void {
    this.#socket.terminate();
  }

  async close(): Promise<void> {
    await this.ask('closed', 'close', { reason: 'end' });
    this.#socket.close(1000);
  }
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never came: ${what}`);
}
