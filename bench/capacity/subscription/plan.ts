import type { Codec, StreamFormat } from '../../../src/core/codec.js';
import type { LoadCodec } from '../load/plan.js';

/** Packets of the media subscription hold 20 ms. */
export const TICK_US = 20_000;

export const OPUS_SAMPLE_RATE = 16_000;

export function codecOf(codec: LoadCodec, index: number): Extract<Codec, 'pcmu' | 'opus'> {
  if (codec === 'mixed') return index % 2 === 0 ? 'pcmu' : 'opus';
  return codec;
}

export function formatOf(codec: LoadCodec, index: number): StreamFormat {
  return codecOf(codec, index) === 'opus'
    ? { codec: 'opus', clockRate: 48_000, sampleRate: OPUS_SAMPLE_RATE, channels: 1 }
    : { codec: 'pcmu', clockRate: 8_000, sampleRate: 8_000, channels: 1 };
}

/** Some interactions begin shortly before their numbers wrap, as in the simulator; the others anywhere. */
const NEAR_WRAP = 16;
/** So many packets before it at most: they wrap while the load comes up. */
const MOST_BEFORE = 150;
const WRAP_16 = 2 ** 16;
const WRAP_32 = 2 ** 32;
const SHORTEST_STEP = 160;
// Odd, so that as many interactions as there are numbers would all begin differently.
const SPREAD_16 = 40_503;
const SPREAD_32 = 40_503_001;

/** Wire form of an interaction's sequence number at tick 0: 16 bits (RFC 3550 5.1). */
export function firstSequence(index: number): number {
  if (index % NEAR_WRAP === 0) return WRAP_16 - 1 - (index % MOST_BEFORE);
  return (index * SPREAD_16) % WRAP_16;
}

/** Wire form of an interaction's RTP timestamp at tick 0: 32 bits. */
export function firstTimestamp(index: number): number {
  if (index % NEAR_WRAP === 0) return WRAP_32 - 1 - (index % MOST_BEFORE) * SHORTEST_STEP;
  return (index * SPREAD_32) % WRAP_32;
}

/** Wire form of the sequence number so many ticks on. */
export function sequenceAt(first: number, tick: number): number {
  return (first + tick) & (WRAP_16 - 1);
}

/** Wire form of the RTP timestamp so many ticks on. */
export function timestampAt(first: number, tick: number, ticksPerPacket: number): number {
  return (first + tick * ticksPerPacket) >>> 0;
}

/** Tells the tick of each packet from its sequence number, wrapped or not. Packets come in order, or nearly so. */
export class TickReader {
  readonly #first: Int32Array;
  readonly #newest: Int32Array;

  constructor(streams: number) {
    this.#first = Int32Array.from({ length: streams }, (_, index) => firstSequence(index));
    this.#newest = new Int32Array(streams);
  }

  /** The tick nearest to the stream's last one whose packet has this number. */
  tick(index: number, sequenceNumber: number): number {
    const newest = this.#newest[index] as number;
    const ahead = ((sequenceNumber - (this.#first[index] as number) - newest) << 16) >> 16;
    this.#newest[index] = newest + ahead;
    return newest + ahead;
  }
}
