import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../core/errors.js';
import { giveWay } from '../../core/processors.js';
import { parseSigner } from '../../evidence/signed-note.js';
import type {
  CheckpointFault,
  CheckpointStep,
  CheckpointThreadData,
  NewCheckpoint,
  Written,
} from './checkpoint-thread.js';
import { CheckpointWriter } from './checkpoint-writer.js';

/** What the audit's thread runs: a CheckpointWriter, which takes the steps that it is told one after another. */
function serve(port: MessagePort, { directory, fileMode, signer }: CheckpointThreadData): void {
  let writer: CheckpointWriter | undefined;
  const onFault = (message: string): void => {
    port.postMessage({ message, writeErrors: writer?.writeErrors ?? 1 } satisfies CheckpointFault);
  };
  const onSigned = (note: string): void => port.postMessage({ note } satisfies NewCheckpoint);
  let last: Promise<void> = CheckpointWriter.open({
    directory,
    fileMode,
    signer: parseSigner(signer),
    onFault,
    onSigned,
  }).then(
    (opened) => {
      writer = opened;
    },
    (thrown: unknown) => onFault(`The audit is not signed: ${messageOf(thrown)}.`),
  );
  port.on('message', (told: CheckpointStep) => {
    last = last.then(async () => {
      if (told.step === 'follow') await writer?.follow(told.path, told.ino);
      else if (told.step === 'completed') writer?.completed();
      else if (told.step === 'write') {
        await writer?.write();
        port.postMessage({ isWritten: true } satisfies Written);
      } else {
        await writer?.close();
        port.close();
      }
    });
  });
}

if (parentPort !== null) {
  giveWay();
  serve(parentPort, workerData as CheckpointThreadData);
}
