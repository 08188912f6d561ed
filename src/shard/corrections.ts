import { type Level, measureLevel } from '../audio/level.js';
import type { SampleMemory } from '../audio/sample-memory.js';
import { isQuiet } from '../audio/silence-detector.js';
import { FLAG, KIND, RECORD } from '../ring/layout.js';
import type { RingProducer } from '../ring/ring.js';
import { STREAM, type StreamTable, WANT } from '../ring/stream-table.js';
import type { ChannelDecoder } from './channel-decoders.js';
import type { RecorderLink } from './recorder-link.js';
import { SHARD_COUNTERS } from './shard-data.js';

/**
 * Decodes late packets for the recorder. Nothing of the live line is touched: neither its concealment nor its level and
 * silence, and the output ring lends its free space only.
 */
export class Corrections {
  readonly #memory: SampleMemory;
  readonly #streams: StreamTable;
  readonly #output: RingProducer;
  readonly #recorder: RecorderLink;
  /** Adds one to a counter of the shard. */
  readonly #count: (counter: number) => void;
  readonly #level: Level = { meanSquare: 0, peak: 0 };

  constructor(
    memory: SampleMemory,
    streams: StreamTable,
    output: RingProducer,
    recorder: RecorderLink,
    count: (counter: number) => void,
  ) {
    this.#memory = memory;
    this.#streams = streams;
    this.#output = output;
    this.#recorder = recorder;
    this.#count = count;
  }

  /**
   * Takes the LATE_PACKET at `at` of the input ring; `traits` is the word of its kind, channel, codec and flags. False when
   * the output ring, in whose free space it is decoded, is full.
   */
  send(decoder: ChannelDecoder, at: number, traits: number, nowUs: number): boolean {
    const { words } = this.#memory;
    const { doubles } = this.#streams;
    const stream = words[(at + RECORD.STREAM) >> 2] as number;
    if ((this.#streams.get(stream, STREAM.WANTS) & WANT.RECORDING) === 0) return true;
    const length = words[(at + RECORD.PAYLOAD_LENGTH) >> 2] as number;
    const payload = at + RECORD.INPUT_HEADER_BYTES;
    const samples = decoder.lateSamples(length);
    const bytes = RECORD.OUTPUT_HEADER_BYTES + 2 * samples;
    if (samples === 0 || bytes > this.#output.maxRecordBytes) {
      this.#count(SHARD_COUNTERS.REJECTED);
      return true;
    }
    const out = this.#output.tryClaim(bytes);
    if (out < 0) return false;
    const pcmAt = (out + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    decoder.decodeLate(payload, length, pcmAt);
    measureLevel(this.#memory, pcmAt, samples, this.#level);
    const { meanSquare, peak } = this.#level;
    const flags = isQuiet(doubles, decoder.silenceBase, meanSquare) ? FLAG.REPAIRED | FLAG.SILENT : FLAG.REPAIRED;
    words[(out + RECORD.KIND) >> 2] = KIND.CORRECTION | (traits & 0x00ffff00) | (flags << 24);
    words[(out + RECORD.STREAM) >> 2] = stream;
    words[(out + RECORD.PAYLOAD_LENGTH) >> 2] = 2 * samples;
    doubles[(out + RECORD.SEQUENCE) >> 3] = doubles[(at + RECORD.SEQUENCE) >> 3] as number;
    doubles[(out + RECORD.TIMESTAMP) >> 3] = doubles[(at + RECORD.TIMESTAMP) >> 3] as number;
    doubles[(out + RECORD.POSITION) >> 3] = decoder.ticksToSamples(doubles[(at + RECORD.POSITION) >> 3] as number);
    doubles[(out + RECORD.ARRIVAL_US) >> 3] = doubles[(at + RECORD.ARRIVAL_US) >> 3] as number;
    words[(out + RECORD.SAMPLE_COUNT) >> 2] = samples;
    words[(out + RECORD.PEAK) >> 2] = peak;
    doubles[(out + RECORD.MEAN_SQUARE) >> 3] = meanSquare;
    doubles[(out + RECORD.PROCESSED_US) >> 3] = nowUs;
    if (this.#recorder.data(out, bytes)) return true;
    this.#count(SHARD_COUNTERS.RECORDER_REFUSED);
    this.#streams.add(stream, STREAM.RECORDER_REFUSED, 1);
    return true;
  }
}
