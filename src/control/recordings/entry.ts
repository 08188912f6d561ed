import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../core/clock.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { MANIFEST_FILE, readCheckpoint } from '../../sinks/recorder/files/manifest-file.js';
import { isFolderName } from './recording.js';
import { RecordingIndex } from './recording-index.js';
import type { Answer, Request, RequestKinds } from './recordings.js';
import { Waveforms } from './waveform.js';

/** What the thread of recordings runs: everything of them that reads more than a block of a file. */
function serve(port: MessagePort, directory: string): void {
  const index = new RecordingIndex(directory, systemClock);
  const waveforms = new Waveforms(directory);
  // One after another: a thread that reads several files at once only takes more from the calls.
  let last: Promise<unknown> = Promise.resolve();
  const answer: { [Kind in keyof RequestKinds]: (value: RequestKinds[Kind]['value']) => Promise<unknown> } = {
    list: (query) => index.query(query),
    get: (id) => Promise.resolve(index.get(id)),
    checkpoint: (id) => Promise.resolve(checkpointOf(directory, id)),
    waveform: ({ id, segment, points }) => {
      const waveform = last.then(() => waveforms.of(id, segment, points));
      last = waveform.catch(() => {});
      return waveform;
    },
  };
  port.on('message', ({ number, kind, value }: Request) => {
    // The kind decides which value it is, which the compiler cannot follow.
    const act = answer[kind] as (value: unknown) => Promise<unknown>;
    const acting = Promise.resolve().then(() => act(value));
    acting.then(
      (result) => port.postMessage({ number, result } satisfies Answer),
      (thrown: unknown) => {
        const code = thrown instanceof TrunklineError ? thrown.code : 'FILE_FAILED';
        port.postMessage({ number, failure: { code, message: messageOf(thrown) } } satisfies Answer);
      },
    );
  });
}

/** The manifest of a recording that is not finished, as text. */
function checkpointOf(directory: string, id: string): string | undefined {
  if (!isFolderName(id)) return undefined;
  const folder = join(directory, id);
  if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  const checkpoint = readCheckpoint(folder);
  if (checkpoint !== undefined) return JSON.stringify(checkpoint);
  // It was finished in between.
  const path = join(folder, MANIFEST_FILE);
  return existsSync(path) && lstatSync(path).isFile() ? readFileSync(path, 'utf8') : undefined;
}

if (parentPort !== null) serve(parentPort, workerData as string);
