import { createHash } from 'node:crypto';
import { BitWriter } from '../../../audio/flac/bit-writer.js';
import {
  type FlacFormat,
  FlacFrameEncoder,
  flacBlockSamples,
  flacFrameBytes,
} from '../../../audio/flac/frame-encoder.js';
import { flacMetadata, flacMetadataBytes, type SeekPoint, seekPointFrames } from '../../../audio/flac/metadata.js';
import { WAV_HEADER_BYTES } from '../../../audio/wav.js';
import { nativeFlacEncoder } from '../../../native/flac-encoder.js';
import type { ByteFile } from '../files/byte-file.js';

/** Frames that one step codes: a millisecond or two of work. */
const FRAMES_A_STEP = 16;

/** Codes frames from an array of samples to one of bytes. */
interface FrameEncoder {
  /** See FlacFrameEncoder.encode(). */
  encode(at: number, count: number, number: number, outAt: number): number;
}

/**
 * Codes the audio of a finished WAV file of a recorder as FLAC into another file, in small steps. The metadata is written
 * last: without it, what a kill leaves is no FLAC file. Every method throws what node:fs throws.
 */
export class FlacJob {
  readonly #source: ByteFile;
  readonly #target: ByteFile;
  readonly #format: FlacFormat;
  /** Of each channel. */
  readonly #samples: number;
  readonly #blockSamples: number;
  readonly #encoder: FrameEncoder;
  readonly #pcm: Int16Array;
  readonly #out: Uint8Array;
  readonly #md5 = createHash('md5');
  readonly #seekPoints: SeekPoint[] = [];
  readonly #framesAPoint: number;
  readonly #firstFrameAt: number;
  #frame = 0;
  #at: number;
  #minFrameBytes = Number.POSITIVE_INFINITY;
  #maxFrameBytes = 0;

  /**
   * Both files are open; that of the recorder has `samples` of each channel.
   * @param usesNative whether the native addon may code, where there is one: it makes the same bytes.
   */
  constructor(source: ByteFile, target: ByteFile, format: FlacFormat, samples: number, usesNative: boolean) {
    this.#source = source;
    this.#target = target;
    this.#format = { sampleRate: format.sampleRate, channels: format.channels };
    this.#samples = samples;
    const blockSamples = flacBlockSamples(format.sampleRate);
    this.#blockSamples = blockSamples;
    this.#pcm = new Int16Array(FRAMES_A_STEP * blockSamples * format.channels);
    this.#out = new Uint8Array(FRAMES_A_STEP * flacFrameBytes(format));
    const native = usesNative ? nativeFlacEncoder(format, blockSamples, this.#pcm, this.#out) : undefined;
    this.#encoder = native ?? jsEncoder(format, this.#pcm, this.#out);
    const frames = Math.ceil(samples / blockSamples);
    this.#framesAPoint = seekPointFrames(format, blockSamples, frames);
    this.#firstFrameAt = flacMetadataBytes(Math.ceil(frames / this.#framesAPoint));
    this.#at = this.#firstFrameAt;
  }

  /** Codes some frames. True once the file is complete. */
  step(): boolean {
    const blockSamples = this.#blockSamples;
    const { channels } = this.#format;
    const first = this.#frame * blockSamples;
    const count = Math.min(FRAMES_A_STEP * blockSamples, this.#samples - first);
    if (count > 0) {
      this.#read(first, count);
      let end = 0;
      for (let done = 0; done < count; done += blockSamples) {
        end = this.#code(done * channels, Math.min(blockSamples, count - done), end);
      }
      this.#at += this.#target.write(this.#out, 0, end, this.#at);
    }
    if (this.#frame * blockSamples < this.#samples) return false;
    this.#target.write(this.#metadata(), 0, this.#firstFrameAt, 0);
    return true;
  }

  #read(first: number, count: number): void {
    const blockBytes = 2 * this.#format.channels;
    const bytes = count * blockBytes;
    let done = 0;
    while (done < bytes) {
      const got = this.#source.read(this.#pcm, done, bytes - done, WAV_HEADER_BYTES + first * blockBytes + done);
      if (got === 0) throw new Error('The audio is shorter than its recording.');
      done += got;
    }
    this.#md5.update(new Uint8Array(this.#pcm.buffer, 0, bytes));
  }

  /** Codes one frame to `outAt` of what is written next; returns its end there. */
  #code(at: number, count: number, outAt: number): number {
    const end = this.#encoder.encode(at, count, this.#frame, outAt);
    if (this.#frame % this.#framesAPoint === 0) {
      const offset = this.#at - this.#firstFrameAt + outAt;
      this.#seekPoints.push({ sample: this.#frame * this.#blockSamples, offset, samples: count });
    }
    this.#minFrameBytes = Math.min(this.#minFrameBytes, end - outAt);
    this.#maxFrameBytes = Math.max(this.#maxFrameBytes, end - outAt);
    this.#frame++;
    return end;
  }

  #metadata(): Uint8Array {
    return flacMetadata({
      ...this.#format,
      blockSamples: this.#blockSamples,
      samples: this.#samples,
      minFrameBytes: Number.isFinite(this.#minFrameBytes) ? this.#minFrameBytes : 0,
      maxFrameBytes: this.#maxFrameBytes,
      md5: this.#md5.digest(),
      seekPoints: this.#seekPoints,
    });
  }
}

function jsEncoder(format: FlacFormat, pcm: Int16Array, out: Uint8Array): FrameEncoder {
  const encoder = new FlacFrameEncoder(format);
  const bits = new BitWriter(out);
  return { encode: (at, count, number, outAt) => encoder.encode(pcm, at, count, number, bits, outAt) };
}
