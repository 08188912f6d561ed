import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { workerUrl } from '../../../shard/location.js';
import type { Manifest } from '../files/manifest.js';
import { FlacConversion } from './flac-conversion.js';

/**
 * Makes FLAC files of the WAV files of a recording that is complete. Returns the manifest that is to be written, and then
 * the WAV files may go; when the disk refuses, one that says so.
 */
export type Convert = (folder: string, manifest: Manifest, fileMode: number) => Promise<Manifest>;

/** Steps between two looks at other work of the thread. */
const SHARE = 8;

/** Converts on this thread, which other work shares. */
export const convertHere: Convert = (folder, manifest, fileMode) =>
  convert({ folder, manifest, fileMode, usesNative: true });

export async function convert({ folder, manifest, fileMode, usesNative }: ConversionRequest): Promise<Manifest> {
  const conversion = new FlacConversion(folder, manifest, fileMode, usesNative);
  try {
    for (let steps = 1; !conversion.step(); steps++) if (steps % SHARE === 0) await setImmediate();
    return conversion.converted(manifest);
  } catch {
    conversion.abandon();
    return { ...manifest, notConverted: 'failed' };
  }
}

export interface ConversionRequest {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly fileMode: number;
  /** Whether the native addon may code FLAC. */
  readonly usesNative: boolean;
}

/**
 * Converts on a thread of its own, one recording after another: for a process whose own thread has calls. The thread runs
 * while there is something to convert.
 */
export function conversionThread(usesNative = true): Convert {
  let last: Promise<unknown> = Promise.resolve();
  return (folder, manifest, fileMode) => {
    const result = last.then(() => runThread({ folder, manifest, fileMode, usesNative }));
    last = result;
    return result;
  };
}

function runThread(request: ConversionRequest): Promise<Manifest> {
  return new Promise((resolve) => {
    const failed = () => resolve({ ...request.manifest, notConverted: 'failed' });
    const worker = new Worker(new URL(workerUrl('sinks/recorder/conversion/entry')), { workerData: request });
    worker.once('message', resolve).once('error', failed).once('exit', failed);
  });
}
