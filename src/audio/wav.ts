import { TrunklineError } from '../core/errors.js';

/**
 * WAV (RIFF/WAVE) headers of 16-bit PCM, as bytes. Recordings are written as they happen and must open after a kill:
 * what is needed of the format is its 44 bytes, put before the data and corrected in place. The libraries there are
 * build or take apart whole files in memory, so these few lines stand here instead.
 *
 * All numbers are little-endian. A chunk is its id (4 bytes), its length (u32) and its data, padded to an even length:
 *
 *     0   "RIFF", bytes that follow, "WAVE"
 *     12  "fmt ", 16, format u16 (1 PCM), channels u16, rate u32, bytes a second u32, bytes a block u16, bits u16
 *     36  "data", bytes of PCM, then the PCM, channels interleaved
 */
export const WAV_HEADER_BYTES = 44;
/** The most that a header can tell of: lengths are 32 bits wide, and RIFF's counts 36 bytes of header as well. */
export const WAV_MAX_DATA_BYTES = 0xffff_ffff - (WAV_HEADER_BYTES - 8) - 3;

const BITS = 16;
const FORMAT_PCM = 1;
const ENCODINGS: ReadonlyMap<number, WavEncoding> = new Map([
  [FORMAT_PCM, 'pcm'],
  [3, 'float'],
  [6, 'pcma'],
  [7, 'pcmu'],
]);
const FORMAT_EXTENSIBLE = 0xfffe;
const UNKNOWN_LENGTH = 0xffff_ffff;

export interface WavFormat {
  readonly sampleRate: number;
  readonly channels: number;
}

/** How the samples of a WAV file are coded: formats 1, 3, 6 and 7. */
export type WavEncoding = 'pcm' | 'float' | 'pcma' | 'pcmu';

export interface WavLayout extends WavFormat {
  readonly bitsPerSample: number;
  /** Where in the file the PCM begins. */
  readonly dataOffset: number;
  /** Bytes of PCM, whole blocks of all channels. */
  readonly dataLength: number;
}

/** The header before `dataLength` bytes of PCM; what exceeds WAV_MAX_DATA_BYTES is left out. */
export function wavHeader(format: WavFormat, dataLength: number): Uint8Array {
  const blockBytes = (format.channels * BITS) / 8;
  const length = Math.min(dataLength, WAV_MAX_DATA_BYTES);
  const bytes = new Uint8Array(WAV_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  writeId(bytes, 0, 'RIFF');
  view.setUint32(4, WAV_HEADER_BYTES - 8 + length, true);
  writeId(bytes, 8, 'WAVE');
  writeId(bytes, 12, 'fmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, FORMAT_PCM, true);
  view.setUint16(22, format.channels, true);
  view.setUint32(24, format.sampleRate, true);
  view.setUint32(28, format.sampleRate * blockBytes, true);
  view.setUint16(32, blockBytes, true);
  view.setUint16(34, BITS, true);
  writeId(bytes, 36, 'data');
  view.setUint32(40, length, true);
  return bytes;
}

/**
 * Reads the header of a PCM WAV file: `bytes` is its beginning, up to the data at least, `fileLength` the length of
 * the whole. Chunks before the data are passed over. The data runs to the end of the file when its length is 0,
 * 0xFFFFFFFF or beyond the end, or when the file has grown beyond a header whose last chunk it is: so does a writer
 * leave it that was killed, or that wrote more than 4 GB.
 *
 * @throws TrunklineError FILE_INVALID
 */
export function parseWav(bytes: Uint8Array, fileLength = bytes.length): WavLayout {
  const { encoding, ...layout } = parseAnyWav(bytes, fileLength);
  if (encoding === 'pcm') return layout;
  throw new TrunklineError(
    'FILE_INVALID',
    `This WAV file holds no plain PCM (${encoding}, ${layout.channels} channels of ${layout.bitsPerSample} bits); convert it to 16-bit PCM.`,
  );
}

/** The same for samples in floating point, A-law and µ-law too. @throws TrunklineError FILE_INVALID */
export function parseAnyWav(
  bytes: Uint8Array,
  fileLength = bytes.length,
): WavLayout & { readonly encoding: WavEncoding } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || readId(bytes, 0) !== 'RIFF' || readId(bytes, 8) !== 'WAVE') {
    throw new TrunklineError('FILE_INVALID', 'This is no WAV file: it does not begin with RIFF and WAVE.');
  }
  const riffEnd = 8 + view.getUint32(4, true);
  let format: ReturnType<typeof readFormat> | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const id = readId(bytes, at);
    const length = view.getUint32(at + 4, true);
    const start = at + 8;
    if (id === 'data') {
      if (format === undefined) break;
      const { blockBytes, ...told } = format;
      const dataLength = dataBytes(start, length, riffEnd, fileLength);
      return { ...told, dataOffset: start, dataLength: dataLength - (dataLength % blockBytes) };
    }
    if (id === 'fmt ' && length >= 16 && start + 16 <= bytes.length) format = readFormat(view, start, length);
    at = start + length + (length & 1);
  }
  throw new TrunklineError(
    'FILE_INVALID',
    'This WAV file has no audio that can be found: its fmt or data chunk is missing or cut off.',
  );
}

function dataBytes(start: number, length: number, riffEnd: number, fileLength: number): number {
  const rest = Math.max(0, fileLength - start);
  if (length === 0 || length === UNKNOWN_LENGTH || length > rest) return rest;
  const isLast = start + length + (length & 1) >= riffEnd;
  return isLast && fileLength > start + length + (length & 1) ? rest : length;
}

function readFormat(view: DataView, at: number, length: number) {
  const tag = view.getUint16(at, true);
  // The extensible form has the tag of old at the head of its sub-format, 24 bytes on.
  const isExtensible = tag === FORMAT_EXTENSIBLE && length >= 40 && at + 26 <= view.byteLength;
  const code = isExtensible ? view.getUint16(at + 24, true) : tag;
  const channels = view.getUint16(at + 2, true);
  const sampleRate = view.getUint32(at + 4, true);
  const blockBytes = view.getUint16(at + 12, true);
  const bitsPerSample = view.getUint16(at + 14, true);
  const encoding = ENCODINGS.get(code);
  if (
    encoding === undefined ||
    channels === 0 ||
    sampleRate === 0 ||
    blockBytes !== channels * Math.ceil(bitsPerSample / 8) ||
    blockBytes === 0
  ) {
    throw new TrunklineError(
      'FILE_INVALID',
      `This WAV file holds no plain PCM (format ${code}, ${channels} channels of ${bitsPerSample} bits); convert it to 16-bit PCM.`,
    );
  }
  return { encoding, sampleRate, channels, bitsPerSample, blockBytes };
}

function writeId(bytes: Uint8Array, at: number, id: string): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = id.charCodeAt(i);
}

function readId(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
