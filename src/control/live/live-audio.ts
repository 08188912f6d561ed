import type { Clock } from '../../core/clock.js';
import type { EndReason } from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { MS_PER_SECOND, US_PER_MS } from '../../core/units.js';
import type { ListenStream } from '../../sinks/monitor/listen-stream.js';
import type { AudioFormat } from './audio-format.js';

/** The client's side of live audio: a WebSocket or an HTTP response. */
export interface AudioOutput {
  /** Bytes that have been written and not yet taken by the socket. */
  readonly unsentBytes: number;
  write(pcm: Buffer): void;
  /** Audio was left out because the client is too slow. */
  missed(milliseconds: number): void;
  /** No more audio comes; what has been written is still sent. */
  end(reason: ListenEnd): void;
  /** Cuts the connection. */
  destroy(): void;
}

/** Why a client's audio ended: the end of its stream, or of the server. */
export type ListenEnd = EndReason | 'closing';

export interface LiveAudioOptions {
  /** Audio that waits for a slow client before the oldest is dropped; default LIMITS.audioBufferMs. */
  readonly bufferMs?: number;
  /** A client that takes nothing for so long is cut off. */
  readonly stalledMs: number;
}

/** Most that is left to the socket: what is in there can no longer be dropped. */
const UNSENT_MS = 200;
/** How often waiting audio is offered to the socket again. */
const RETRY_MS = 50;

/**
 * Live audio of one stream for one client. Audio that the socket does not take waits, two seconds of it at most; then the
 * oldest is dropped, so that the client stays close to the call, and the client is told how much. A client that takes
 * nothing at all is cut off.
 */
export class LiveAudio {
  /** Why it has ended: as its stream, because the server closes, because the client left, or because it took nothing. */
  endReason: ListenEnd | 'left' | 'cut' = 'left';
  readonly #stream: ListenStream;
  readonly #format: AudioFormat;
  readonly #output: AudioOutput;
  readonly #clock: Clock;
  readonly #maxWaiting: number;
  readonly #maxUnsent: number;
  readonly #stalledUs: number;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Dropped: all of it, and what the client has not been told yet. */
  #missedBytes = 0;
  #untoldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  /** When the socket last took something, and what it had left then. */
  #takenUs: number;
  #unsentBefore = 0;
  #isEnded = false;

  constructor(
    stream: ListenStream,
    format: AudioFormat,
    output: AudioOutput,
    clock: Clock,
    { bufferMs = LIMITS.audioBufferMs, stalledMs }: LiveAudioOptions,
  ) {
    this.#stream = stream;
    this.#format = format;
    this.#output = output;
    this.#clock = clock;
    this.#maxWaiting = (format.bytesPerSecond * bufferMs) / MS_PER_SECOND;
    this.#maxUnsent = (format.bytesPerSecond * UNSENT_MS) / MS_PER_SECOND;
    this.#stalledUs = stalledMs * US_PER_MS;
    this.#takenUs = clock.nowUs();
    stream.on('data', (bytes: Buffer) => this.#take(format.convert(bytes)));
    stream.on('end', () => this.end(stream.endReason ?? 'closing'));
  }

  /** Audio that was dropped because the client was too slow. */
  get missedMs(): number {
    return this.#msOf(this.#missedBytes);
  }

  /** Sends what waits, and says that no more comes. */
  end(reason: ListenEnd): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.endReason = reason;
    for (const pcm of this.#waiting.splice(0)) this.#output.write(pcm);
    this.#output.end(reason);
    this.close();
  }

  /** The client has gone. */
  close(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
    this.#stream.destroy();
  }

  #take(pcm: Buffer): void {
    if (this.#isEnded || pcm.length === 0) return;
    this.#waiting.push(pcm);
    this.#waitingBytes += pcm.length;
    while (this.#waitingBytes > this.#maxWaiting) this.#dropOldest();
    this.#send();
  }

  #dropOldest(): void {
    const { length } = this.#waiting.shift() ?? { length: 0 };
    this.#waitingBytes -= length;
    this.#missedBytes += length;
    this.#untoldBytes += length;
  }

  readonly #send = (): void => {
    // Called for each frame as well: without this, a slow client would have one more timer with each of them.
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const nowUs = this.#clock.nowUs();
    while (this.#waiting.length > 0 && this.#output.unsentBytes < this.#maxUnsent) this.#write();
    const unsent = this.#output.unsentBytes;
    if (unsent < this.#unsentBefore || unsent < this.#maxUnsent) this.#takenUs = nowUs;
    this.#unsentBefore = unsent;
    if (this.#waiting.length === 0) return;
    if (nowUs >= this.#takenUs + this.#stalledUs) this.#cut();
    else this.#timer = setTimeout(this.#send, RETRY_MS).unref();
  };

  #write(): void {
    if (this.#untoldBytes > 0) {
      this.#output.missed(this.#msOf(this.#untoldBytes));
      this.#untoldBytes = 0;
    }
    const pcm = this.#waiting.shift();
    if (pcm === undefined) return;
    this.#waitingBytes -= pcm.length;
    this.#output.write(pcm);
  }

  #msOf(bytes: number): number {
    return Math.round((bytes * MS_PER_SECOND) / this.#format.bytesPerSecond);
  }

  #cut(): void {
    this.endReason = 'cut';
    this.close();
    this.#output.destroy();
  }
}
