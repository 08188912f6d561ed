import type { Interleaved } from '../../../src/sources/audiohook/protocol/deinterleave.js';
import { formatDuration } from '../../../src/sources/audiohook/protocol/duration.js';
import { sampleBytes } from '../../../src/sources/audiohook/protocol/media.js';
import { AudioHookSession } from '../../../src/sources/audiohook/session/session.js';
import {
  type AcceptOptions,
  type OpenRequest,
  SESSION_TIMING,
  type SessionOutput,
  type SessionTiming,
} from '../../../src/sources/audiohook/session/session-contract.js';

import type { PausedBy } from '../../../src/sources/audiohook/session/session-pauses.js';

export const SESSION_ID = '30b0e395-84d3-4570-ac13-9a62d8f514c0';
export const ORGANIZATION_ID = 'd7934305-0972-4844-938e-9060eef73d05';
export const CONVERSATION_ID = '090eaa2f-72fa-480a-83e0-8667ff89c0ec';
export const PARTICIPANT_ID = '883efee8-3d6c-4537-b500-6d7ca4b92fa0';
export const NULL_ID = '00000000-0000-0000-0000-000000000000';

export const STEREO = { type: 'audio', format: 'PCMU', channels: ['external', 'internal'], rate: 8000 };
export const MONO = { type: 'audio', format: 'PCMU', channels: ['external'], rate: 8000 };

export interface ServerMessage {
  version: string;
  type: string;
  id: string;
  seq: number;
  clientseq: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what came over the wire
  parameters: any;
}

export type Output =
  | { kind: 'send'; message: ServerMessage }
  | { kind: 'audio'; at: number; bytes: number[] }
  | { kind: 'mark'; state: string; at: number; length: number }
  | { kind: 'faulted'; fault: string }
  | { kind: 'pauseChanged'; by: PausedBy; paused: boolean }
  | { kind: 'openRequested' | 'flush' | 'finish' | 'hangUp' };

export function openParameters(extra: object = {}): object {
  return {
    organizationId: ORGANIZATION_ID,
    conversationId: CONVERSATION_ID,
    participant: { id: PARTICIPANT_ID, ani: '+1', aniName: 'A', dnis: '+2' },
    media: [STEREO, MONO],
    ...extra,
  };
}

export interface PeerOptions {
  timing?: Partial<SessionTiming>;
  accept?: AcceptOptions;
  decide?: (request: OpenRequest, session: AudioHookSession, nowUs: number) => void;
  /** Frames come by binary() only; otherwise masked, by wholeBinary(), as far as it takes them. */
  byWs?: boolean;
  /** Leave `close` unfinished. */
  slowFinish?: boolean;
}

/** A client in virtual time: numbers its messages as a client does and keeps everything that comes out in order. */
export class Peer implements SessionOutput {
  readonly session: AudioHookSession;
  readonly outputs: Output[] = [];
  nowUs = 1_000_000;
  seq = 0;
  serverseq = 0;
  positionSamples = 0;
  request: OpenRequest | undefined;
  /** Frames that wholeBinary() has taken. */
  whole = 0;
  readonly #options: PeerOptions;

  constructor(options: PeerOptions = {}) {
    this.#options = options;
    const identity = { sessionId: SESSION_ID, organizationId: ORGANIZATION_ID };
    this.session = new AudioHookSession(identity, this, this.nowUs, { ...SESSION_TIMING, ...options.timing });
  }

  send(text: string): void {
    const message = JSON.parse(text) as ServerMessage;
    this.serverseq = message.seq;
    this.outputs.push({ kind: 'send', message });
  }

  openRequested(request: OpenRequest): void {
    this.request = request;
    this.outputs.push({ kind: 'openRequested' });
    if (this.#options.decide === undefined) this.session.accept(this.#options.accept ?? {}, this.nowUs);
    else this.#options.decide(request, this.session, this.nowUs);
  }

  audio(bytes: Uint8Array, at: number): boolean {
    this.outputs.push({ kind: 'audio', at, bytes: [...bytes] });
    return true;
  }

  wholeAudio({ bytes, from, mask }: Interleaved, pairs: number, at: number): boolean {
    const { media } = this.request ?? {};
    if (media === undefined) throw new Error('audio without a medium');
    const length = pairs * sampleBytes(media) * media.channels.length;
    const plain = [...bytes.subarray(from, from + length)].map((byte, i) => byte ^ ((mask >>> ((i & 3) * 8)) & 0xff));
    this.outputs.push({ kind: 'audio', at, bytes: plain });
    this.whole += 1;
    return true;
  }

  flush(): void {
    this.outputs.push({ kind: 'flush' });
  }

  mark(state: string, at: number, length: number): void {
    this.outputs.push({ kind: 'mark', state, at, length });
  }

  pauseChanged(by: PausedBy, paused: boolean): void {
    this.outputs.push({ kind: 'pauseChanged', by, paused });
  }

  finishRequested(): void {
    this.outputs.push({ kind: 'finish' });
    if (this.#options.slowFinish !== true) this.session.finished(this.nowUs);
  }

  faulted(fault: string): void {
    this.outputs.push({ kind: 'faulted', fault });
  }

  hangUp(): void {
    this.outputs.push({ kind: 'hangUp' });
  }

  /** Sends a proper message and returns what the server answered to it in the same turn. */
  sendMessage(type: string, parameters: object = {}, envelope: object = {}): ServerMessage[] {
    this.seq += 1;
    return this.raw(
      JSON.stringify({
        version: '2',
        id: SESSION_ID,
        type,
        seq: this.seq,
        serverseq: this.serverseq,
        position: formatDuration(this.positionSamples, 8000),
        parameters,
        ...envelope,
      }),
    );
  }

  raw(text: string | Uint8Array): ServerMessage[] {
    return this.during(() => this.session.text(typeof text === 'string' ? Buffer.from(text) : text, this.nowUs));
  }

  frame(bytes: Uint8Array | number): Output[] {
    const from = this.outputs.length;
    const plain = typeof bytes === 'number' ? new Uint8Array(bytes) : bytes;
    if (this.#options.byWs === true || !this.#masked(plain)) this.session.binary(plain, this.nowUs);
    return this.outputs.slice(from);
  }

  #masked(plain: Uint8Array): boolean {
    const mask = Buffer.of(plain.length, 0x80, 0x7f, 0x11);
    const bytes = Buffer.concat([mask, plain.map((byte, i) => byte ^ (mask[i & 3] as number))]);
    return this.session.wholeBinary({ bytes, from: 4, mask: mask.readInt32LE() }, plain.length, this.nowUs);
  }

  /** What the server sent while `act` ran. */
  during(act: () => void): ServerMessage[] {
    const from = this.outputs.length;
    act();
    return this.outputs.slice(from).flatMap((output) => (output.kind === 'send' ? [output.message] : []));
  }

  advance(seconds: number): ServerMessage[] {
    return this.during(() => {
      for (let left = seconds * 1e6; left > 0; left -= 100_000) {
        this.nowUs += Math.min(left, 100_000);
        this.session.tick(this.nowUs);
      }
    });
  }

  /** Opens and exchanges the first ping, after which the server may say what it likes. */
  opened(extra: object = {}): this {
    this.sendMessage('open', openParameters(extra));
    this.sendMessage('ping');
    return this;
  }

  get sent(): ServerMessage[] {
    return this.outputs.flatMap((output) => (output.kind === 'send' ? [output.message] : []));
  }

  of<K extends Output['kind']>(kind: K): Extract<Output, { kind: K }>[] {
    return this.outputs.filter((output): output is Extract<Output, { kind: K }> => output.kind === kind);
  }
}

export const types = (messages: readonly ServerMessage[]): string[] => messages.map((message) => message.type);
