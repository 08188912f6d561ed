import { Worker } from 'node:worker_threads';
import { messageOf } from '../../core/errors.js';
import type { NoteSigner } from '../../evidence/signed-note.js';
import { signerText } from '../../evidence/signed-note.js';
import { workerUrl } from '../../shard/location.js';
import type { Checkpoints } from './audit-log.js';

/** Heap of the thread; it keeps the hashes of a few seconds. */
const MEGABYTES = 64;

/** What the thread is given at its start. */
export interface CheckpointThreadData {
  readonly directory: string;
  readonly fileMode: number;
  /** See signerText(). */
  readonly signer: string;
}

/** What the thread is told, in the order of the calls. */
export type CheckpointStep =
  | { readonly step: 'follow'; readonly path: string; readonly ino: number }
  | { readonly step: 'completed' }
  | { readonly step: 'write' }
  | { readonly step: 'close' };

/** What the thread tells: a fault, as a sentence, and how many there have been. */
export interface CheckpointFault {
  readonly message: string;
  readonly writeErrors: number;
}

/** The newest checkpoint, as it is in its file. */
export interface NewCheckpoint {
  readonly note: string;
}

/** A step `write` is done, or has failed, which was told as a fault. */
export interface Written {
  readonly isWritten: true;
}

interface CheckpointThreadOptions {
  readonly directory: string;
  readonly fileMode: number;
  readonly signer: NoteSigner;
  readonly onFault: (message: string) => void;
}

/** A CheckpointWriter in a thread of its own: hashing the lines of busy seconds would delay the packets of calls. */
export class CheckpointThread implements Checkpoints {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #writing: (() => void)[] = [];
  writeErrors = 0;
  newest: string | undefined;

  constructor({ directory, fileMode, signer, onFault }: CheckpointThreadOptions) {
    this.#worker = new Worker(new URL(workerUrl('sinks/audit/entry')), {
      workerData: { directory, fileMode, signer: signerText(signer) } satisfies CheckpointThreadData,
      name: 'audit',
      resourceLimits: { maxOldGenerationSizeMb: MEGABYTES },
      // Options of a program that embeds this, such as a loader, are not meant for it.
      execArgv: [],
    });
    this.#worker.unref();
    this.#worker.on('message', (told: CheckpointFault | NewCheckpoint | Written) => {
      if ('note' in told) this.newest = told.note;
      else if ('isWritten' in told) this.#writing.shift()?.();
      else {
        this.writeErrors = told.writeErrors;
        onFault(told.message);
      }
    });
    this.#worker.on('error', (error) => {
      this.writeErrors++;
      onFault(`The audit is not signed any more, until the next start: ${messageOf(error)}.`);
    });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
  }

  follow(path: string, ino: number): void {
    this.#tell({ step: 'follow', path, ino });
  }

  completed(): void {
    this.#tell({ step: 'completed' });
  }

  write(): Promise<void> {
    this.#tell({ step: 'write' });
    return Promise.race([new Promise<void>((resolve) => this.#writing.push(resolve)), this.#ended]);
  }

  async close(): Promise<void> {
    this.#worker.ref();
    this.#tell({ step: 'close' });
    await this.#ended;
  }

  #tell(step: CheckpointStep): void {
    this.#worker.postMessage(step);
  }
}
