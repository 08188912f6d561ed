import type { BitWriter } from './bit-writer.js';
import { flacCrc8, flacCrc16 } from './crc.js';
import { SubframeEncoder } from './subframe.js';

export interface FlacFormat {
  readonly sampleRate: number;
  readonly channels: 1 | 2;
}

/** §9.1.2: other rates are those of STREAMINFO. */
const RATE_CODES: Readonly<Record<number, number>> = {
  8000: 4,
  16000: 5,
  22050: 6,
  24000: 7,
  32000: 8,
  44100: 9,
  48000: 10,
};
const MAX_HEADER_BYTES = 16;
const MAX_SUBFRAME_HEADER_BYTES = 4;

/** A frame of 128 ms at 8 kHz, of 85 ms at 48 kHz: speech changes faster than music, for which 4,096 are usual. */
export function flacBlockSamples(sampleRate: number): number {
  return sampleRate > 24_000 ? 4096 : 1024;
}

/** The most bytes that a frame can have: its samples as they are. */
export function flacFrameBytes({ sampleRate, channels }: FlacFormat): number {
  return MAX_HEADER_BYTES + channels * (2 * flacBlockSamples(sampleRate) + MAX_SUBFRAME_HEADER_BYTES);
}

/**
 * Codes blocks of 16-bit samples as FLAC frames (RFC 9639 §9): all of the same length but the last. Two channels are
 * coded each for itself, since they are two people. It is exact: integers only.
 */
export class FlacFrameEncoder {
  readonly blockSamples: number;
  readonly #format: FlacFormat;
  readonly #subframes: SubframeEncoder;

  constructor(format: FlacFormat) {
    this.#format = format;
    this.blockSamples = flacBlockSamples(format.sampleRate);
    this.#subframes = new SubframeEncoder(this.blockSamples);
  }

  /** See flacFrameBytes(). */
  get maxFrameBytes(): number {
    return flacFrameBytes(this.#format);
  }

  /**
   * Codes `count` samples of each channel, interleaved, from `source[at]` on, as frame `number`, to `out[outAt]` on.
   * Returns where the frame ends.
   */
  encode(source: Int16Array, at: number, count: number, number: number, out: BitWriter, outAt: number): number {
    const { channels } = this.#format;
    out.begin(outAt);
    this.#header(count, number, out, outAt);
    for (let channel = 0; channel < channels; channel++) {
      this.#subframes.encode(source, at + channel, channels, count, out);
    }
    out.align();
    out.put(flacCrc16(out.bytes, outAt, out.at), 16);
    return out.at;
  }

  #header(count: number, number: number, out: BitWriter, outAt: number): void {
    const { sampleRate, channels } = this.#format;
    // Sync code, then a bit each: reserved, blocks of the same length.
    out.put(0b11111111111110, 14);
    out.put(0, 2);
    const isWhole = count === this.blockSamples;
    out.put(isWhole ? 31 - Math.clz32(count) : 0b0111, 4);
    out.put(RATE_CODES[sampleRate] ?? 0, 4);
    out.put(channels - 1, 4);
    // 16 bits a sample, and a reserved bit.
    out.put(0b1000, 4);
    putCodedNumber(number, out);
    if (!isWhole) out.put(count - 1, 16);
    out.put(flacCrc8(out.bytes, outAt, out.at), 8);
  }
}

/** §9.1.5: as UTF-8 codes characters, up to 31 bits here. */
function putCodedNumber(number: number, out: BitWriter): void {
  if (number < 0x80) {
    out.put(number, 8);
    return;
  }
  let following = 1;
  while (number >= 2 ** (5 * following + 6)) following++;
  const lead = (0xff00 >> (following + 1)) & 0xff;
  out.put(lead | Math.floor(number / 2 ** (6 * following)), 8);
  for (let i = following - 1; i >= 0; i--) out.put(0x80 | (Math.floor(number / 2 ** (6 * i)) & 0x3f), 8);
}
