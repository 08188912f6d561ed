import type { WebSocket } from 'ws';
import type { SessionFault } from './protocol-faults.js';

/** What a call lets its fault do. */
export interface SessionFaultTarget {
  readonly socket: WebSocket;
  /** `change` replaces fields of the envelope; without `parameters` the message has none. */
  sendMessage(type: string, parameters: object | undefined, change?: object): void;
  skipNumber(): void;
  newId(): string;
  pause(): void;
  resume(): void;
}

const SILENT_CLIENT_BYTES = 1 << 20;
/** Messages of a flood at a time, so that the run's other calls keep theirs. */
const FLOOD_PER_TICK = 1_000;
const ONE_BYTE = new Uint8Array(1);

type Once = (call: SessionFaultTarget) => void;

/** What is done wrong a single time, after `opened`. */
const ONCE: Partial<Record<SessionFault, Once>> = {
  badJson: ({ socket }) => socket.send('{"version":"2"'),
  hugeText: (call) => call.sendMessage('ping', { filler: 'x'.repeat(70_000) }),
  skipSeq: (call) => {
    call.skipNumber();
    call.sendMessage('ping', {});
  },
  wrongVersion: (call) => call.sendMessage('ping', {}, { version: '1' }),
  wrongId: (call) => call.sendMessage('ping', {}, { id: call.newId() }),
  missingParameters: (call) => call.sendMessage('ping', undefined),
  halfSample: ({ socket }) => socket.send(new Uint8Array(321)),
  unknownType: (call) => call.sendMessage('telepathy', {}),
  unknownField: (call) =>
    call.sendMessage('error', { code: 400, message: 'with an unknown field', novelty: true }, { novelty: true }),
  duplicatePaused: (call) => {
    call.pause();
    call.pause();
    call.resume();
  },
  discardedAhead: (call) => call.sendMessage('discarded', { start: 'PT3600S', discarded: 'PT0S' }),
  error: (call) => call.sendMessage('error', { code: 500, message: 'Internal client error' }),
};

/** What is done wrong all the time, as fast as the socket takes it; TCP holds this end up when the server does. */
const FLOOD: Partial<Record<SessionFault, Once>> = {
  tinyFrames: ({ socket }) => socket.send(ONE_BYTE),
  neverRead: (call) => {
    call.socket.pause();
    call.sendMessage('ping', {});
  },
};

/** True when late answers are the client's own doing. */
export function isFlood(fault: string | undefined): boolean {
  return fault !== undefined && fault in FLOOD;
}

/** Does one kind of fault: once, or whenever there is time. */
export class SessionFaults {
  readonly #once: Once | undefined;
  readonly #flood: Once | undefined;
  #done = false;

  constructor(fault: SessionFault) {
    this.#once = ONCE[fault];
    this.#flood = FLOOD[fault];
  }

  tick(call: SessionFaultTarget): void {
    if (this.#flood !== undefined) {
      for (let i = 0; i < FLOOD_PER_TICK && call.socket.bufferedAmount < SILENT_CLIENT_BYTES; i++) this.#flood(call);
    }
    if (this.#done) return;
    this.#done = true;
    this.#once?.(call);
  }
}
