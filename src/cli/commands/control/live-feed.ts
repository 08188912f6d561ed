import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { WAV_MAX_DATA_BYTES, wavHeader } from '../../../audio/wav.js';
import { TrunklineError } from '../../../core/errors.js';
import { MS_PER_SECOND } from '../../../core/units.js';
import type { ControlClient } from './client.js';

export interface FeedOptions {
  readonly raw?: boolean;
  readonly channels?: 'mono' | 'stereo';
  readonly rate?: number;
  /** Ends the listening. */
  readonly signal: AbortSignal;
  /** Takes a sentence for the user. */
  notice(sentence: string): void;
}

interface Format {
  readonly sampleRate: number;
  readonly channels: number;
}

const PROTOCOL = 'trunkline.audio.v1';
const NORMAL_CLOSE = 1000;
/** Ends of a stream that need not be the end of the call: it may have another stream, or another process may have it. */
const GOES_ON = ['formatChanged', 'interrupted', 'stopped'];
const FIRST_RETRY_SECONDS = 0.5;
const MOST_RETRY_SECONDS = 10;
/** The next stream may take a moment. */
const MISSING_ATTEMPTS = 5;
/** A node that does not come back within some five minutes is gone. */
const MOST_ATTEMPTS = 35;

/**
 * Writes the live audio of an interaction until it ends: a WAV header, unless the output is raw, and 16-bit PCM. After a
 * lost connection it connects again, and goes on in the format that it began with.
 *
 * @throws TrunklineError CONNECTION_FAILED, AUTH_FAILED, STREAM_UNKNOWN and others of the first connection.
 */
export async function feedLiveAudio(
  client: ControlClient,
  interactionId: string,
  output: Writable,
  options: FeedOptions,
): Promise<void> {
  const { signal, notice } = options;
  const feed = new LiveFeed(client, interactionId, output, options);
  let missing = 0;
  let failed = 0;
  while (!signal.aborted) {
    try {
      const { code, reason } = await feed.connect();
      missing = 0;
      failed = 0;
      if (signal.aborted) return;
      if (code === NORMAL_CLOSE && !GOES_ON.includes(reason)) return notice(`The interaction has ended: ${reason}.`);
      if (reason !== 'formatChanged') notice(`The connection was lost (${reason || code}); connecting again.`);
    } catch (error) {
      if (!feed.hasBegun || !(error instanceof TrunklineError)) throw error;
      const isMissing = error.code === 'STREAM_UNKNOWN';
      if (isMissing && ++missing >= MISSING_ATTEMPTS) return notice('The interaction is no longer captured.');
      if (!isMissing && (error.code !== 'CONNECTION_FAILED' || ++failed >= MOST_ATTEMPTS)) throw error;
      const waitSeconds = Math.min(FIRST_RETRY_SECONDS * 2 ** failed, MOST_RETRY_SECONDS);
      if (!isMissing) notice(`${error.message} Trying again in ${waitSeconds} s.`);
      await sleep(waitSeconds * MS_PER_SECOND, undefined, { signal }).catch(() => {});
    }
  }
}

class LiveFeed {
  readonly #client: ControlClient;
  readonly #path: string;
  readonly #output: Writable;
  readonly #options: FeedOptions;
  #format: Format | undefined;

  constructor(client: ControlClient, interactionId: string, output: Writable, options: FeedOptions) {
    this.#client = client;
    this.#path = `/api/v1/interactions/${encodeURIComponent(interactionId)}/audio`;
    this.#output = output;
    this.#options = options;
  }

  /** Whether the output has its format. */
  get hasBegun(): boolean {
    return this.#format !== undefined;
  }

  /** One connection; resolves with how it was closed. */
  connect(): Promise<{ code: number; reason: string }> {
    const { headers, ca } = this.#client;
    const { signal } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.#address(), [PROTOCOL], { headers, ...(ca === undefined ? {} : { ca }) });
      const stop = (): void => socket.terminate();
      const resume = (): void => socket.resume();
      signal.addEventListener('abort', stop, { once: true });
      this.#output.on('drain', resume);
      socket.on('unexpected-response', (_request, response) => {
        this.#client.refused(response).then(reject, reject);
      });
      socket.on('error', (error) => reject(this.#client.unreachable(error)));
      socket.on('message', (data: Buffer, isBinary) => {
        const isFull = isBinary ? !this.#output.write(data) : !this.#take(String(data));
        // What is not read waits at the server, which drops the oldest.
        if (isFull) socket.pause();
      });
      socket.on('close', (code, reason) => {
        signal.removeEventListener('abort', stop);
        this.#output.off('drain', resume);
        resolve({ code, reason: String(reason) });
      });
    });
  }

  #address(): string {
    const { channels, rate } = this.#options;
    const asked = {
      channels: this.#format === undefined ? channels : this.#format.channels === 1 ? 'mono' : 'stereo',
      rate: this.#format?.sampleRate ?? rate,
    };
    const query = Object.entries(asked).flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`));
    const url = `${this.#client.url.replace(/^http/, 'ws')}${this.#path}`;
    return query.length === 0 ? url : `${url}?${query.join('&')}`;
  }

  /** A text message: the format, or how much was left out. False when the output takes no more for now. */
  #take(text: string): boolean {
    const message = parsedMessage(text);
    if (message.missedMs !== undefined) {
      this.#options.notice(`${message.missedMs} ms were left out, because the output takes the audio too slowly.`);
    }
    const { sampleRate, channels } = message;
    if (sampleRate === undefined || channels === undefined || this.#format !== undefined) return true;
    this.#format = { sampleRate, channels };
    if (this.#options.raw === true) {
      this.#options.notice(`PCM, 16 bit, little-endian, ${sampleRate} Hz, channels: ${channels}.`);
      return true;
    }
    return this.#output.write(wavHeader(this.#format, WAV_MAX_DATA_BYTES));
  }
}

/** Of a server that speaks another protocol there is nothing to take. */
function parsedMessage(text: string): Partial<Format> & { missedMs?: number } {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === 'object' && message !== null ? message : {};
  } catch {
    return {};
  }
}
