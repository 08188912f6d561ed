import { spawnSync } from 'node:child_process';
import { readPage } from '../../../src/audio/ogg/page.js';

/** Whether ffmpeg and the tools of Opus (Debian: ffmpeg, opus-tools) are there. */
export const hasOpusPrograms =
  spawnSync('opusinfo', ['-h']).error === undefined &&
  spawnSync('ffmpeg', ['-hide_banner', '-decoders'], { encoding: 'utf8' }).stdout?.includes('libopus') === true;

/** What opusinfo finds wrong with a file. */
export function faultsOf(path: string): string[] {
  const { stdout, status } = spawnSync('opusinfo', [path], { encoding: 'utf8' });
  const faults = stdout.split('\n').filter((line) => /warning|error|illegal|invalid/i.test(line));
  return status === 0 ? faults : [`exit code ${status}`, ...faults];
}

/** The samples of a file at 48 kHz, by libopus in ffmpeg. */
export function decodeOpusFile(path: string): Int16Array {
  const args = ['-hide_banner', '-loglevel', 'error', '-c:a', 'libopus', '-i', path, '-f', 's16le', 'pipe:1'];
  const { stdout, status, stderr } = spawnSync('ffmpeg', args, { maxBuffer: 1 << 28 });
  if (status !== 0 || stderr.length > 0) throw new Error(`ffmpeg: ${stderr.toString()}`);
  return new Int16Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.length));
}

const SKIPPED = 120;

export interface OggFile {
  readonly packets: readonly Buffer[];
  /** Samples at 48 kHz up to the end, without those that are skipped. */
  readonly granule: number;
  /** Bytes up to the end of the last whole page. */
  readonly bytes: number;
}

/** The audio packets of an Ogg file, up to the first page that is not whole. */
export function readOgg(file: Buffer): OggFile {
  const packets: Buffer[] = [];
  let granule = 0;
  let at = 0;
  for (let number = 0; ; number++) {
    const page = readPage(file, at, file.length);
    if (page === undefined) return { packets, granule: granule - SKIPPED, bytes: at };
    if (page.sequence !== number) throw new Error(`Page ${number} has the number ${page.sequence}.`);
    // Two headers, and the packet that is skipped.
    if (number > 2) for (const { at: from, length } of page.packets) packets.push(file.subarray(from, from + length));
    granule = page.granule;
    at += page.length;
  }
}
