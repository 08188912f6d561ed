import type { Codec, StreamFormat } from '../../../src/core/codec.js';
import type { LoadCodec } from '../load/plan.js';

/** Packets of the media subscription hold 20 ms. */
export const TICK_US = 20_000;

export const OPUS_SAMPLE_RATE = 16_000;

// Numbers keep their count of digits for as long as a run can last, so that a frame keeps its length when they are
// patched: six digits are enough for 4.4 hours of ticks above the largest base, ten for 19 hours of Opus timestamps.
const SEQUENCE_BASE = 100_000;
export const SEQUENCE_DIGITS = 6;
const TIMESTAMP_BASE = 1_000_000_000;
export const TIMESTAMP_DIGITS = 10;
export const MAX_TICKS = 700_000;

export function codecOf(codec: LoadCodec, index: number): Extract<Codec, 'pcmu' | 'opus'> {
  if (codec === 'mixed') return index % 2 === 0 ? 'pcmu' : 'opus';
  return codec;
}

export function formatOf(codec: LoadCodec, index: number): StreamFormat {
  return codecOf(codec, index) === 'opus'
    ? { codec: 'opus', clockRate: 48_000, sampleRate: OPUS_SAMPLE_RATE, channels: 1 }
    : { codec: 'pcmu', clockRate: 8_000, sampleRate: 8_000, channels: 1 };
}

/** Sequence number of an interaction's packet at tick 0. */
export function sequenceBase(index: number): number {
  return SEQUENCE_BASE + (index % 1000) * 100;
}

/** RTP timestamp of an interaction's packet at tick 0. */
export function timestampBase(index: number): number {
  return TIMESTAMP_BASE + (index % 1000) * 100_000;
}
