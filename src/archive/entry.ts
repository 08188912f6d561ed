import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../core/errors.js';
import { ArchiveWorker } from './archive-worker.js';
import type { ArchiveThreadData, FromArchive, ToArchive } from './thread-messages.js';

/** What the archive's thread runs. */
function serve(port: MessagePort, data: ArchiveThreadData): void {
  const worker = new ArchiveWorker(data, (message) => port.postMessage(message));
  const opened = worker.open().catch((thrown: unknown) => {
    const message = `The archive does not work: ${messageOf(thrown)}.`;
    port.postMessage({ kind: 'fault', message } satisfies FromArchive);
  });
  port.on('message', (told: ToArchive) => {
    if (told.kind === 'look') worker.look();
    else if (told.kind === 'kept') worker.kept(told.number, told.failure);
    else void opened.then(() => worker.close(told.withinMs)).finally(() => port.close());
  });
}

if (parentPort !== null) serve(parentPort, workerData as ArchiveThreadData);
