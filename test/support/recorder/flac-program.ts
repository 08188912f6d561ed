import { spawnSync } from 'node:child_process';

/** Whether the reference implementation (Debian: flac) is there. */
export const hasFlac = spawnSync('flac', ['--version']).status === 0;

/** The samples of a FLAC file by the reference implementation, interleaved; throws for a file that is not valid. */
export function decodeFlac(file: Uint8Array): Int16Array {
  const args = ['-d', '-c', '-s', '-w', '--force-raw-format', '--endian=little', '--sign=signed', '-'];
  const { status, stdout, stderr } = spawnSync('flac', args, { input: file, maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`flac: ${stderr.toString()}`);
  return new Int16Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.length));
}
