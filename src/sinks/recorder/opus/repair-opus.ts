import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { OpusConversion } from '../conversion/opus-conversion.js';
import { lateFile, type Manifest, type ManifestSegment, segmentsOf } from '../files/manifest.js';

/** Pages between two looks at other work of the thread. */
const SHARE = 16;

export function isOpusFile({ file }: Pick<ManifestSegment, 'file'>): boolean {
  return file.endsWith('.opus');
}

/**
 * Gives the files of Opus packets that a kill has left an end: without what is only half of a page, and with the late
 * packets in their places. Returns the length of the audio in samples of the stream. Throws what node:fs throws.
 *
 * @param number of the segment, from 1.
 */
export async function repairOpus(
  folder: string,
  segment: ManifestSegment,
  number: number,
  fileMode: number,
): Promise<number> {
  const files = (segment.channelFiles ?? [segment.file]).map((file) => join(folder, file));
  const work = new OpusConversion(files, join(folder, lateFile(number)), segment.sampleRate, fileMode);
  try {
    for (let steps = 1; !work.step(); steps++) if (steps % SHARE === 0) await setImmediate();
  } catch (thrown) {
    work.abandon();
    throw thrown;
  }
  return work.lengthSamples;
}

/** The late packets of a recording that had ended before the kill. */
export async function placeLatePackets(folder: string, manifest: Manifest, fileMode: number): Promise<void> {
  for (const [index, segment] of segmentsOf(manifest).entries()) {
    if (!isOpusFile(segment) || !existsSync(join(folder, lateFile(index + 1)))) continue;
    await repairOpus(folder, segment, index + 1, fileMode);
  }
}
