import type { ServerResponse } from 'node:http';
import type { WebSocket } from 'ws';
import { WAV_MAX_DATA_BYTES, wavHeader } from '../../audio/wav.js';
import type { AudioFormat } from './audio-format.js';
import type { AudioOutput, ListenEnd } from './live-audio.js';

const CLOSE = { NORMAL: 1000, GOING_AWAY: 1001 } as const;

/**
 * PCM over a WebSocket. The first message is text, `{ "sampleRate", "channels", "format": "s16le" }`; each binary message
 * after it is PCM. Before a gap comes `{ "missedMs" }`. It is closed with 1000 and the reason when the stream has ended.
 */
export class WebSocketOutput implements AudioOutput {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, { sampleRate, channels }: AudioFormat) {
    this.#socket = socket;
    socket.send(JSON.stringify({ sampleRate, channels, format: 's16le' }));
  }

  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  write(pcm: Buffer): void {
    this.#socket.send(pcm);
  }

  missed(milliseconds: number): void {
    this.#socket.send(JSON.stringify({ missedMs: milliseconds }));
  }

  end(reason: ListenEnd): void {
    this.#socket.close(reason === 'closing' ? CLOSE.GOING_AWAY : CLOSE.NORMAL, reason);
  }

  destroy(): void {
    this.#socket.terminate();
  }
}

/** A WAV file whose header states the greatest length there is: players play it as it comes. */
export class WavOutput implements AudioOutput {
  readonly #response: ServerResponse;

  /** @param response Its head has been written. */
  constructor(response: ServerResponse, format: AudioFormat) {
    this.#response = response;
    response.write(wavHeader(format, WAV_MAX_DATA_BYTES));
  }

  get unsentBytes(): number {
    return this.#response.writableLength;
  }

  write(pcm: Buffer): void {
    this.#response.write(pcm);
  }

  /** There is no place for it in a WAV file; the audit has it. */
  missed(): void {}

  end(): void {
    this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }
}
