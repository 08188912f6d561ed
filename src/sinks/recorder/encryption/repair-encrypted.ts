import { truncateSync } from 'node:fs';
import { TrunklineError } from '../../../core/errors.js';
import { appendSpan, type SampleSpan } from '../spans.js';
import { type Description, EncryptedSource } from './encrypted-reader.js';

/** What can be said of an encrypted file without its key. */
export interface EncryptedAudio {
  /** Undefined when the file was cut off before anything was said of it; then it has no audio. */
  readonly description: Description | undefined;
  readonly samples: number;
  /** By channel, as coarse as the recording was written: one chunk is speech or silence. */
  readonly spans: readonly (readonly SampleSpan[])[];
}

/**
 * Cuts off a chunk that a kill has left incomplete. The end of the file cannot be written without the key: `trunkline open`
 * says then that it is not proven.
 * @throws TrunklineError FILE_INVALID when more is wrong than a kill can have done; the file is left as it is.
 */
export function repairEncrypted(path: string, size: number): EncryptedAudio {
  if (size === 0) return { description: undefined, samples: 0, spans: [] };
  const source = new EncryptedSource(path);
  const { description, table, restBytes, isDamaged } = source;
  source.close();
  if (isDamaged) {
    throw new TrunklineError(
      'FILE_INVALID',
      `${path}: chunk ${table.chunks.length}, at byte ${table.end}, is damaged; the file is left as it is.`,
    );
  }
  if (restBytes > 0) truncateSync(path, table.end);
  const spans: SampleSpan[][] = Array.from({ length: description.channels }, () => []);
  let samples = 0;
  for (const chunk of table.chunks) {
    if (chunk.samples <= samples) continue;
    for (const [channel, track] of spans.entries()) {
      const state = (chunk.silent >> channel) & 1 ? 'silence' : 'speech';
      appendSpan(track, { state, startSamples: samples, endSamples: chunk.samples });
    }
    samples = chunk.samples;
  }
  return { description, samples, spans };
}
