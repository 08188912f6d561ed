import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../core/clock.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { changeAttributes } from '../../sinks/recorder/files/change-attributes.js';
import { DecodedAudio } from './decoded-audio.js';
import { checkpointText, readDetail } from './recording-detail.js';
import { RecordingIndex } from './recording-index.js';
import type { Answer, Request, RequestKinds } from './recordings.js';
import { Waveforms } from './waveform.js';

/** What the thread of recordings runs: everything of them that reads more than a block of a file. */
function serve(port: MessagePort, directory: string): void {
  const index = new RecordingIndex(directory, systemClock);
  const waveforms = new Waveforms(directory);
  const decoded = new DecodedAudio(directory);
  // One after another: a thread that reads several files at once only takes more from the calls.
  let last: Promise<unknown> = Promise.resolve();
  const answer: { [Kind in keyof RequestKinds]: (value: RequestKinds[Kind]['value']) => Promise<unknown> } = {
    list: (query) => index.query(query),
    get: async (id) => index.get(id),
    detail: async (id) => {
      const row = index.get(id);
      return row && readDetail(directory, row);
    },
    checkpoint: async (id) => checkpointText(directory, id),
    waveform: ({ id, segment, points }) => {
      const waveform = last.then(() => waveforms.of(id, segment, points));
      last = waveform.catch(() => {});
      return waveform;
    },
    changeAttributes: async ({ id, change, isArchived }) =>
      changeAttributes(directory, id, change, isArchived, systemClock.nowUs()),
    audioFormat: async (choice) => decoded.format(choice),
    pcm: async ({ choice, from, count }) => decoded.pcm(choice, from, count),
  };
  port.on('message', ({ number, kind, value }: Request) => {
    // The kind decides which value it is, which the compiler cannot follow.
    const act = answer[kind] as (value: unknown) => Promise<unknown>;
    act(value).then(
      (result) => port.postMessage({ number, result } satisfies Answer),
      (thrown: unknown) => {
        const code = thrown instanceof TrunklineError ? thrown.code : 'FILE_FAILED';
        port.postMessage({ number, failure: { code, message: messageOf(thrown) } } satisfies Answer);
      },
    );
  });
}

if (parentPort !== null) serve(parentPort, workerData as string);
