import { type Level, measureLevel } from '../audio/level.js';
import type { SampleMemory } from '../audio/sample-memory.js';
import { isQuiet } from '../audio/silence-detector.js';
import { FLAG, KIND, RECORD } from '../ring/layout.js';
import type { RingProducer } from '../ring/ring.js';
import type { ChannelDecoder } from './channel-decoders.js';
import type { RecorderLink } from './recorder-link.js';

/** What became of a late packet. */
export const CORRECTED = {
  SENT: 0,
  /** The output ring, in whose free space it is decoded, is full: to be tried again. */
  BLOCKED: 1,
  /** The recorder's ring is full. */
  REFUSED: 2,
  /** It cannot be decoded, or not by itself. */
  UNDECODABLE: 3,
} as const;
export type Corrected = (typeof CORRECTED)[keyof typeof CORRECTED];

/**
 * Decodes late packets for the recorder. Nothing of the live line is touched: neither its concealment nor its level and
 * silence, and the output ring lends its free space only.
 */
export class Corrections {
  readonly #memory: SampleMemory;
  readonly #doubles: Float64Array;
  readonly #output: RingProducer;
  readonly #recorder: RecorderLink;
  readonly #level: Level = { meanSquare: 0, peak: 0 };

  constructor(memory: SampleMemory, doubles: Float64Array, output: RingProducer, recorder: RecorderLink) {
    this.#memory = memory;
    this.#doubles = doubles;
    this.#output = output;
    this.#recorder = recorder;
  }

  /** Takes the LATE_PACKET at `at` of the input ring; `traits` is the word of its kind, channel, codec and flags. */
  send(decoder: ChannelDecoder, at: number, traits: number, nowUs: number): Corrected {
    const { words } = this.#memory;
    const doubles = this.#doubles;
    const length = words[(at + RECORD.PAYLOAD_LENGTH) >> 2] as number;
    const payload = at + RECORD.INPUT_HEADER_BYTES;
    const samples = decoder.lateSamples(length);
    const bytes = RECORD.OUTPUT_HEADER_BYTES + 2 * samples;
    if (samples === 0 || bytes > this.#output.maxRecordBytes) return CORRECTED.UNDECODABLE;
    const out = this.#output.tryClaim(bytes);
    if (out < 0) return CORRECTED.BLOCKED;
    const pcmAt = (out + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    decoder.decodeLate(payload, length, pcmAt);
    measureLevel(this.#memory, pcmAt, samples, this.#level);
    const { meanSquare, peak } = this.#level;
    const flags = isQuiet(doubles, decoder.silenceBase, meanSquare) ? FLAG.REPAIRED | FLAG.SILENT : FLAG.REPAIRED;
    words[(out + RECORD.KIND) >> 2] = KIND.CORRECTION | (traits & 0x00ffff00) | (flags << 24);
    words[(out + RECORD.STREAM) >> 2] = words[(at + RECORD.STREAM) >> 2] as number;
    words[(out + RECORD.PAYLOAD_LENGTH) >> 2] = 2 * samples;
    doubles[(out + RECORD.SEQUENCE) >> 3] = doubles[(at + RECORD.SEQUENCE) >> 3] as number;
    doubles[(out + RECORD.TIMESTAMP) >> 3] = doubles[(at + RECORD.TIMESTAMP) >> 3] as number;
    doubles[(out + RECORD.POSITION) >> 3] = decoder.ticksToSamples(doubles[(at + RECORD.POSITION) >> 3] as number);
    doubles[(out + RECORD.ARRIVAL_US) >> 3] = doubles[(at + RECORD.ARRIVAL_US) >> 3] as number;
    words[(out + RECORD.SAMPLE_COUNT) >> 2] = samples;
    words[(out + RECORD.PEAK) >> 2] = peak;
    doubles[(out + RECORD.MEAN_SQUARE) >> 3] = meanSquare;
    doubles[(out + RECORD.PROCESSED_US) >> 3] = nowUs;
    return this.#recorder.data(out, bytes) ? CORRECTED.SENT : CORRECTED.REFUSED;
  }
}
