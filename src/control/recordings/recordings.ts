import { Worker } from 'node:worker_threads';
import type { AttributeChange } from '../../core/attributes/attributes.js';
import { type ErrorCode, messageOf, TrunklineError } from '../../core/errors.js';
import { workerUrl } from '../../shard/location.js';
import type { ChangedRecording } from '../../sinks/recorder/files/change-attributes.js';
import type { AudioChoice, PcmFormat } from './decoded-audio.js';
import type { RecordingRow } from './recording.js';
import type { RecordingDetail } from './recording-detail.js';
import type { RecordingPage, RecordingQuery } from './recording-index.js';
import type { Waveform } from './waveform.js';

/** What the thread is asked for, and what it answers. */
export interface RequestKinds {
  list: { value: RecordingQuery; result: RecordingPage };
  get: { value: string; result: RecordingRow | undefined };
  detail: { value: string; result: RecordingDetail | undefined };
  checkpoint: { value: string; result: string | undefined };
  waveform: { value: { id: string; segment: number; points: number }; result: Waveform | undefined };
  audioFormat: { value: AudioChoice; result: PcmFormat | undefined };
  changeAttributes: {
    value: { id: string; change: AttributeChange; isArchived: boolean };
    result: ChangedRecording | undefined;
  };
  pcm: { value: { choice: AudioChoice; from: number; count: number }; result: Int16Array | undefined };
}

export interface Request {
  readonly number: number;
  readonly kind: keyof RequestKinds;
  readonly value: unknown;
}

export type Answer =
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly failure: { readonly code: ErrorCode; readonly message: string } };

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Requests that may wait for the thread; more are refused. */
const MAX_WAITING = 64;
const MEGABYTES = 512;

/**
 * The recordings in a folder, read by a thread of its own: the main thread has calls to serve. The thread starts with the
 * first request, and again after it has failed.
 */
export class Recordings {
  readonly directory: string;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #requests = 0;
  #isClosed = false;

  constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * One page of recordings, the newest first.
   * @throws TrunklineError FILE_FAILED when the folder cannot be read; CONFIG_INVALID for a cursor that is none;
   *   LIMIT_EXCEEDED when too many requests wait; ENGINE_CLOSED after close(). So do the others.
   */
  list(query: RecordingQuery): Promise<RecordingPage> {
    return this.#ask('list', query);
  }

  /** A recording by the name of its folder, as it is now; undefined when there is none. */
  get(id: string): Promise<RecordingRow | undefined> {
    return this.#ask('get', id);
  }

  /** The same with what its manifest says. */
  detail(id: string): Promise<RecordingDetail | undefined> {
    return this.#ask('detail', id);
  }

  /** What is known of a recording that is not finished, as JSON; undefined when there is none. */
  checkpoint(id: string): Promise<string | undefined> {
    return this.#ask('checkpoint', id);
  }

  /** The waveform of an audio file, of at most `points` stretches; undefined when there is no such audio. */
  waveform(id: string, segment: number, points: number): Promise<Waveform | undefined> {
    return this.#ask('waveform', { id, segment, points });
  }

  /** What the audio is, decoded; undefined when there is none. @throws TrunklineError FILE_INVALID when it cannot be. */
  audioFormat(choice: AudioChoice): Promise<PcmFormat | undefined> {
    return this.#ask('audioFormat', choice);
  }

  /** Samples from `from` on, interleaved: `count` of each channel, or as many as there are. */
  pcm(choice: AudioChoice, from: number, count: number): Promise<Int16Array | undefined> {
    return this.#ask('pcm', { choice, from, count });
  }

  /** Changes attributes of a finished recording; undefined when there is none. */
  changeAttributes(id: string, change: AttributeChange, isArchived: boolean): Promise<ChangedRecording | undefined> {
    return this.#ask('changeAttributes', { id, change, isArchived });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#failAll('ENGINE_CLOSED', 'The control server has been closed.');
    await this.#worker?.terminate();
  }

  #ask<Kind extends keyof RequestKinds>(
    kind: Kind,
    value: RequestKinds[Kind]['value'],
  ): Promise<RequestKinds[Kind]['result']> {
    if (this.#isClosed) {
      return Promise.reject(new TrunklineError('ENGINE_CLOSED', 'The control server has been closed.'));
    }
    if (this.#waiting.size >= MAX_WAITING) {
      return Promise.reject(new TrunklineError('LIMIT_EXCEEDED', 'Too many requests for recordings wait; try again.'));
    }
    const number = ++this.#requests;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve: resolve as Waiting['resolve'], reject });
      this.#worker ??= this.#start();
      this.#worker.postMessage({ number, kind, value } satisfies Request);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL(workerUrl('control/recordings/entry')), {
      workerData: this.directory,
      name: 'recordings',
      resourceLimits: { maxOldGenerationSizeMb: MEGABYTES },
      // Options of a program that embeds this, such as a loader, are not meant for it.
      execArgv: [],
    });
    worker.unref();
    worker.on('message', (answer: Answer) => this.#answered(answer));
    worker.on('error', (error) => this.#ended(worker, messageOf(error)));
    worker.on('exit', () => this.#ended(worker, 'it ended'));
    return worker;
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.number);
    this.#waiting.delete(answer.number);
    if ('result' in answer) waiting?.resolve(answer.result);
    else waiting?.reject(new TrunklineError(answer.failure.code, answer.failure.message));
  }

  #ended(worker: Worker, why: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#failAll('FILE_FAILED', `The thread that reads recordings has failed: ${why}`);
  }

  #failAll(code: ErrorCode, message: string): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of all) reject(new TrunklineError(code, message));
  }
}
