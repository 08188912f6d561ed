import { TrunklineError } from '../../core/errors.js';
import { FlacFrameDecoder, type FlacStream } from '../flac/frame-decoder.js';
import type { ByteSource } from './byte-source.js';
import type { PcmReader } from './pcm-reader.js';

const MARKER_BYTES = 4;
const BLOCK_HEADER_BYTES = 4;
const STREAMINFO = 0;
const STREAMINFO_BYTES = 34;
const SEEKTABLE = 3;
const SEEK_POINT_BYTES = 18;
const LAST = 0x80;
const MAX_CHANNELS = 8;
const MAX_BITS = 24;
const MIN_BITS = 4;
const MIN_BUFFER_BYTES = 64 << 10;

interface SeekPoint {
  readonly sample: number;
  /** Position in the file. */
  readonly position: number;
}

/** Reads FLAC files (RFC 9639) of up to 24 bits, which become 16. */
export class FlacReader implements PcmReader {
  readonly #source: ByteSource;
  readonly #stream: FlacStream;
  readonly #decoder: FlacFrameDecoder;
  readonly #seekPoints: readonly SeekPoint[];
  readonly samples: number;
  readonly #bytes: Uint8Array;
  /** What of the file is in the bytes: from that position on, so many, and where the next frame begins in them. */
  #start: number;
  #held = 0;
  #at = 0;
  /** A decoded frame: its samples, how many those are of each channel, and how many of them have been read. */
  readonly #pcm: Int16Array;
  #decoded = 0;
  #taken = 0;
  /** The sample after those that were decoded. */
  #next = 0;

  /** @throws TrunklineError FILE_INVALID */
  constructor(source: ByteSource) {
    this.#source = source;
    const { stream, samples, seekPoints, firstFrame } = readMetadata(source);
    this.#stream = stream;
    this.#bytes = new Uint8Array(Math.max(MIN_BUFFER_BYTES, 2 * FlacFrameDecoder.maxFrameBytes(stream)));
    this.#decoder = new FlacFrameDecoder(stream, this.#bytes);
    this.#pcm = new Int16Array(stream.maxBlockSamples * stream.channels);
    this.#seekPoints = [{ sample: 0, position: firstFrame }, ...seekPoints];
    this.#start = firstFrame;
    this.samples = samples === 0 ? this.#count() : samples;
  }

  get sampleRate(): number {
    return this.#stream.sampleRate;
  }

  get channels(): number {
    return this.#stream.channels;
  }

  read(into: Int16Array): number {
    const { channels } = this.#stream;
    const wanted = Math.floor(into.length / channels);
    let done = 0;
    while (done < wanted) {
      if (this.#taken === this.#decoded && !this.#decodeNext()) break;
      const part = Math.min(wanted - done, this.#decoded - this.#taken);
      into.set(this.#pcm.subarray(this.#taken * channels, (this.#taken + part) * channels), done * channels);
      this.#taken += part;
      done += part;
    }
    return done;
  }

  seek(sample: number): void {
    const target = Math.min(sample, this.samples);
    const begun = this.#next - this.#decoded;
    const point = this.#seekPoints.findLast((one) => one.sample <= target) as SeekPoint;
    // What follows closely needs no new beginning.
    if (target < begun || point.sample > this.#next) this.#begin(point);
    while (this.#next <= target && this.#decodeNext());
    this.#taken = Math.max(0, Math.min(this.#decoded, target - (this.#next - this.#decoded)));
  }

  close(): void {
    this.#source.close();
  }

  #begin({ sample, position }: SeekPoint): void {
    [this.#start, this.#held, this.#at] = [position, 0, 0];
    [this.#next, this.#decoded, this.#taken] = [sample, 0, 0];
  }

  /** The length of a file that does not say it. */
  #count(): number {
    while (this.#decodeFrame());
    const samples = this.#next;
    this.#begin(this.#seekPoints[0] as SeekPoint);
    return samples;
  }

  #decodeNext(): boolean {
    if (this.#next >= this.samples) return false;
    if (this.#decodeFrame()) return true;
    throw this.#damaged('the file is cut off');
  }

  /** False at the end of the file. */
  #decodeFrame(): boolean {
    this.#fill();
    if (this.#at >= this.#held) return false;
    try {
      const { end, sample, samples } = this.#decoder.decode(this.#at, this.#held, this.#pcm);
      if (sample !== this.#next) throw new TrunklineError('FILE_INVALID', 'a FLAC frame is missing');
      [this.#at, this.#decoded, this.#taken] = [end, samples, 0];
    } catch (thrown) {
      throw thrown instanceof TrunklineError ? this.#damaged(thrown.message) : thrown;
    }
    this.#next += this.#decoded;
    return true;
  }

  /** Has a whole frame in the bytes, where the file has one. */
  #fill(): void {
    if (this.#held - this.#at >= this.#bytes.length / 2) return;
    this.#bytes.copyWithin(0, this.#at, this.#held);
    this.#start += this.#at;
    this.#held -= this.#at;
    this.#at = 0;
    while (this.#held < this.#bytes.length) {
      const position = this.#start + this.#held;
      const got = this.#source.read(this.#bytes, this.#held, this.#bytes.length - this.#held, position);
      if (got === 0) break;
      this.#held += got;
    }
  }

  #damaged(what: string): TrunklineError {
    const seconds = (this.#next / this.#stream.sampleRate).toFixed(3);
    return new TrunklineError('FILE_INVALID', `It is damaged at ${seconds} s: ${what}.`);
  }
}

function readMetadata(source: ByteSource) {
  let stream: (FlacStream & { samples: number }) | undefined;
  let points: { sample: number; offset: number }[] = [];
  let at = MARKER_BYTES;
  for (let isLast = false; !isLast; ) {
    const header = bytesAt(source, at, BLOCK_HEADER_BYTES);
    const type = header.readUInt8(0);
    const length = header.readUIntBE(1, 3);
    at += BLOCK_HEADER_BYTES;
    isLast = (type & LAST) !== 0;
    const kind = type & ~LAST;
    if (kind === STREAMINFO) stream = streamOf(bytesAt(source, at, STREAMINFO_BYTES));
    else if (kind === SEEKTABLE) points = pointsOf(bytesAt(source, at, length));
    at += length;
  }
  if (stream === undefined) throw new TrunklineError('FILE_INVALID', 'This FLAC file does not say its format.');
  const { samples, ...format } = stream;
  const seekPoints = points.map(({ sample, offset }) => ({ sample, position: at + offset }));
  return { stream: format, samples, seekPoints, firstFrame: at };
}

function streamOf(bytes: Buffer): FlacStream & { samples: number } {
  const maxBlockSamples = bytes.readUInt16BE(2);
  const format = bytes.readUInt32BE(10);
  const sampleRate = format >>> 12;
  const channels = ((format >>> 9) & 7) + 1;
  const bitsPerSample = ((format >>> 4) & 31) + 1;
  const samples = (format & 15) * 2 ** 32 + bytes.readUInt32BE(14);
  if (sampleRate === 0 || maxBlockSamples === 0 || channels > MAX_CHANNELS || bitsPerSample < MIN_BITS) {
    throw new TrunklineError('FILE_INVALID', 'This FLAC file does not say its format.');
  }
  if (bitsPerSample > MAX_BITS) {
    throw new TrunklineError('FILE_INVALID', `It has samples of ${bitsPerSample} bits; convert it to 16 bits.`);
  }
  return { sampleRate, channels, bitsPerSample, maxBlockSamples, samples };
}

/** In order, and without those that stand for nothing. */
function pointsOf(bytes: Buffer): { sample: number; offset: number }[] {
  const points: { sample: number; offset: number }[] = [];
  for (let at = 0; at + SEEK_POINT_BYTES <= bytes.length; at += SEEK_POINT_BYTES) {
    const sample = Number(bytes.readBigUInt64BE(at));
    const offset = Number(bytes.readBigUInt64BE(at + 8));
    const isUsable = Number.isSafeInteger(sample) && Number.isSafeInteger(offset);
    if (isUsable && sample > (points.at(-1)?.sample ?? 0)) points.push({ sample, offset });
  }
  return points;
}

function bytesAt(source: ByteSource, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  if (source.read(bytes, 0, length, position) === length) return bytes;
  throw new TrunklineError('FILE_INVALID', 'This FLAC file ends in its header.');
}
