import { Readable } from 'node:stream';
import { wavHeader } from '../../audio/wav.js';
import type { AudioChoice } from './decoded-audio.js';
import type { Download } from './download.js';
import type { Recordings } from './recordings.js';

/** Of each channel, in one request to the thread that decodes. */
const BLOCK_SAMPLES = 64 << 10;
const BYTES_A_SAMPLE = 2;

/** The first byte and the last one. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Audio of a recording as a WAV file, whatever it is stored as, in whole or the one range that is asked for. Undefined
 * when there is no such audio.
 * @throws TrunklineError FILE_INVALID when it cannot be decoded.
 */
export async function wavDownload(
  recordings: Recordings,
  choice: AudioChoice,
  range: string | undefined,
): Promise<Download | undefined> {
  const format = await recordings.audioFormat(choice);
  if (format === undefined) return undefined;
  const blockBytes = BYTES_A_SAMPLE * format.channels;
  const header = wavHeader(format, format.samples * blockBytes);
  const size = header.length + format.samples * blockBytes;
  const wanted = rangeOf(range, size);
  if (wanted === 'unsatisfiable') {
    return { status: 416, headers: { 'content-range': `bytes */${size}` }, stream: Readable.from([]) };
  }
  const { start, end } = wanted ?? { start: 0, end: size - 1 };
  const stream = Readable.from(parts(recordings, choice, header, blockBytes, start, end), { objectMode: false });
  const headers = { 'accept-ranges': 'bytes', 'content-length': end - start + 1 };
  if (wanted === undefined) return { status: 200, headers, stream };
  return { status: 206, headers: { ...headers, 'content-range': `bytes ${start}-${end}/${size}` }, stream };
}

async function* parts(
  recordings: Recordings,
  choice: AudioChoice,
  header: Uint8Array,
  blockBytes: number,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  if (start < header.length) yield header.slice(start, end + 1);
  // Bytes of PCM, without the header.
  let at = Math.max(0, start - header.length);
  const stop = end + 1 - header.length;
  while (at < stop) {
    const first = Math.floor(at / blockBytes);
    const count = Math.min(BLOCK_SAMPLES, Math.ceil(stop / blockBytes) - first);
    const pcm = await recordings.pcm(choice, first, count);
    // Shorter than it was: the connection ends with it, for its length was promised.
    if (pcm === undefined || pcm.length === 0) throw new Error('The recording has been removed or has changed.');
    const skip = at - first * blockBytes;
    const bytes = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength).subarray(skip, skip + stop - at);
    yield bytes;
    at += bytes.length;
  }
}

/** The one range of a Range header (RFC 9110 §14.1.2); undefined for the whole, which several ranges get as well. */
function rangeOf(header: string | undefined, size: number): Range | 'unsatisfiable' | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.replaceAll(' ', '') ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= size ? 'unsatisfiable' : { start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
}
