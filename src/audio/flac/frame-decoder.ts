import { TrunklineError } from '../../core/errors.js';
import { BitReader, EndOfBits } from './bit-reader.js';
import { flacCrc8, flacCrc16 } from './crc.js';
import { decodeSubframe } from './subframe-decoder.js';

/** What a file says of its frames (RFC 9639 §8.2). */
export interface FlacStream {
  readonly sampleRate: number;
  readonly channels: number;
  readonly bitsPerSample: number;
  readonly maxBlockSamples: number;
}

/** Codes of §9.1.1, in samples; the others are said behind the header, or are reserved. */
const BLOCK_CODES = [0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768] as const;
/** Codes of §9.1.4. */
const BIT_CODES = [0, 8, 12, 0, 16, 20, 24, 32] as const;
const MAX_HEADER_BYTES = 16;
const LEFT_SIDE = 8;
const SIDE_RIGHT = 9;
const MID_SIDE = 10;

/** A frame that has been decoded. */
export interface DecodedFrame {
  /** Where it ends in the bytes. */
  readonly end: number;
  /** Its first sample. */
  readonly sample: number;
  /** Of each channel. */
  readonly samples: number;
}

/** Decodes frames of up to 8 channels of up to 24 bits (RFC 9639 §9) to 16 bits, and compares both of their checksums. */
export class FlacFrameDecoder {
  readonly #stream: FlacStream;
  readonly #bits: BitReader;
  readonly #channels: readonly Int32Array[];

  /** @param bytes what frames are decoded from. */
  constructor(stream: FlacStream, bytes: Uint8Array) {
    this.#stream = stream;
    this.#bits = new BitReader(bytes);
    this.#channels = Array.from({ length: stream.channels }, () => new Int32Array(stream.maxBlockSamples));
  }

  /** The most bytes that a sensible frame of a stream has. */
  static maxFrameBytes({ channels, bitsPerSample, maxBlockSamples }: FlacStream): number {
    return MAX_HEADER_BYTES + channels * (8 + Math.ceil((maxBlockSamples * (bitsPerSample + 1)) / 8));
  }

  /**
   * Decodes the frame that begins at `at` to the start of `out`, interleaved.
   * @throws TrunklineError FILE_INVALID when it is damaged, or ends behind `end`.
   */
  decode(at: number, end: number, out: Int16Array): DecodedFrame {
    try {
      return this.#decode(at, end, out);
    } catch (thrown) {
      if (!(thrown instanceof EndOfBits)) throw thrown;
      throw new TrunklineError('FILE_INVALID', 'the FLAC frame is cut off');
    }
  }

  #decode(at: number, end: number, out: Int16Array): DecodedFrame {
    const bits = this.#bits;
    bits.begin(at, end);
    const { sample, samples, assignment, width } = this.#header(at);
    for (const [channel, values] of this.#channels.entries()) {
      const isSide = assignment === SIDE_RIGHT ? channel === 0 : assignment >= LEFT_SIDE && channel === 1;
      decodeSubframe(bits, values, samples, width + (isSide ? 1 : 0));
    }
    bits.align();
    const { at: crcAt } = bits;
    if (bits.take(16) !== flacCrc16(bits.bytes, at, crcAt)) throw invalid('has a wrong checksum');
    this.#join(assignment, samples);
    this.#write(out, samples, width);
    return { end: crcAt + 2, sample, samples };
  }

  #header(at: number) {
    const { bitsPerSample, channels, maxBlockSamples } = this.#stream;
    const bits = this.#bits;
    if (bits.take(15) !== 0b111111111111100) throw invalid('does not begin where it should');
    const isVariable = bits.take(1) === 1;
    const blockCode = bits.take(4);
    const rateCode = bits.take(4);
    const assignment = bits.take(4);
    const width = BIT_CODES[bits.take(3)] || bitsPerSample;
    bits.take(1);
    const number = takeCodedNumber(bits);
    const samples = blockCode === 6 ? bits.take(8) + 1 : blockCode === 7 ? bits.take(16) + 1 : BLOCK_CODES[blockCode];
    if (rateCode === 12) bits.take(8);
    else if (rateCode === 13 || rateCode === 14) bits.take(16);
    const crcAt = bits.at;
    if (bits.take(8) !== flacCrc8(bits.bytes, at, crcAt)) throw invalid('has a wrong checksum of its header');
    const own = assignment < LEFT_SIDE ? assignment + 1 : 2;
    if (!samples || samples > maxBlockSamples || own !== channels || assignment > MID_SIDE || width !== bitsPerSample) {
      throw invalid('is of another format than its file');
    }
    return { sample: isVariable ? number : number * maxBlockSamples, samples, assignment, width };
  }

  /** §4.2: one of two channels, or both, may be coded as what they have in common and their difference. */
  #join(assignment: number, samples: number): void {
    const [left, right] = this.#channels;
    if (assignment < LEFT_SIDE || left === undefined || right === undefined) return;
    for (let i = 0; i < samples; i++) {
      const [a, b] = [left[i] as number, right[i] as number];
      if (assignment === LEFT_SIDE) right[i] = a - b;
      else if (assignment === SIDE_RIGHT) left[i] = a + b;
      else {
        const middle = (a << 1) | (b & 1);
        left[i] = (middle + b) >> 1;
        right[i] = (middle - b) >> 1;
      }
    }
  }

  #write(out: Int16Array, samples: number, width: number): void {
    const { channels } = this.#stream;
    const [down, up] = [Math.max(0, width - 16), Math.max(0, 16 - width)];
    for (const [channel, values] of this.#channels.entries()) {
      for (let i = 0, to = channel; i < samples; i++, to += channels) out[to] = ((values[i] as number) >> down) << up;
    }
  }
}

/** §9.1.5: as UTF-8 codes characters, up to 36 bits. */
function takeCodedNumber(bits: BitReader): number {
  const first = bits.take(8);
  if (first < 0x80) return first;
  const following = Math.clz32(~(first << 24)) - 1;
  if (following < 1 || following > 6) throw invalid('has no number');
  let number = first & (0x3f >> following);
  for (let i = 0; i < following; i++) {
    const next = bits.take(8);
    if (next >> 6 !== 0b10) throw invalid('has no number');
    number = number * 64 + (next & 0x3f);
  }
  return number;
}

function invalid(what: string): TrunklineError {
  return new TrunklineError('FILE_INVALID', `the FLAC frame ${what}`);
}
