import { Buffer } from 'node:buffer';
import type { OpusDecoder } from '../audio/codecs/opus.js';
import { type Level, measureLevel } from '../audio/level.js';
import type { SampleMemory } from '../audio/sample-memory.js';
import { isFrameSilent } from '../audio/silence-detector.js';
import { CODEC_ID } from '../core/codec.js';
import { FLAG, KIND, RECORD } from '../ring/layout.js';
import type { RingProducer } from '../ring/ring.js';
import { STREAM, type StreamTable, WANT } from '../ring/stream-table.js';
import type { ChannelDecoder, ChannelDecoders } from './channel-decoders.js';
import { KEPT, type KeptRecord, keptRecord } from './kept-records.js';
import { type DecoderState, OpusRepair, RepairBudget, type RepairOutput } from './opus-repair.js';
import type { RecorderLink } from './recorder-link.js';
import { SHARD_COUNTERS } from './shard-data.js';

const NOTHING = new Uint8Array(0);

/** In one of Node's pools: memory of its own for each packet would cost some microseconds. */
function copyOf(bytes: Uint8Array, at: number, length: number): Uint8Array {
  const copy = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) copy[i] = bytes[at + i] as number;
  return copy;
}

function liveState(decoder: ChannelDecoder, opus: OpusDecoder): DecoderState {
  return {
    opus,
    get lastSamples() {
      return decoder.lastSamples;
    },
    set lastSamples(samples: number) {
      decoder.lastSamples = samples;
    },
  };
}

/** What the repairs of a shard's Opus channels need of it. */
export interface OpusCorrectionsDependencies {
  readonly memory: SampleMemory;
  readonly doubles: Float64Array;
  readonly streams: StreamTable;
  /** It lends its free space to decode into. */
  readonly output: RingProducer;
  readonly recorder: RecorderLink;
  /** Index of the shard's counters in the words of `memory`. */
  readonly counters: number;
  /** Adds to one of SHARD_COUNTERS. */
  count(counter: number, by: number): void;
}

/**
 * Keeps what the recorded Opus channels of a shard are given (opus-repair.ts), and sends the frames that late packets
 * change to the recorder.
 */
export class OpusCorrections implements RepairOutput {
  readonly #use: OpusCorrectionsDependencies;
  readonly #words: Int32Array;
  /** Where the number of late packets that wait lies. */
  readonly #waitingAt: number;
  readonly #budget = new RepairBudget();
  readonly #level: Level = { meanSquare: 0, peak: 0 };
  readonly #input: { bytes: Uint8Array } = { bytes: NOTHING };
  readonly #digest = { a: 0, b: 0 };
  // Of the channel at work.
  #decoder: ChannelDecoder | undefined;
  #stream = 0;
  /** Channel and codec, where a record has them. */
  #traits = 0;
  #mustFinish = false;

  constructor(dependencies: OpusCorrectionsDependencies) {
    this.#use = dependencies;
    this.#words = dependencies.memory.words;
    this.#waitingAt = dependencies.counters + (SHARD_COUNTERS.LATE_WAITING >> 2);
    // What waited in a thread that has died is lost with it.
    this.#budget.unrepaired = this.#words[this.#waitingAt] as number;
    this.#countBudget();
  }

  /** Called with each record of a channel that has a repair, but late packets, before it is taken. */
  advance(decoder: ChannelDecoder, stream: number, traits: number, mustFinish = false): void {
    const { repair } = decoder;
    if (repair?.isDirty !== true) return;
    if ((this.#use.streams.get(stream, STREAM.WANTS) & WANT.RECORDING) === 0) repair.close();
    this.#decoder = decoder;
    this.#stream = stream;
    this.#traits = (traits & 0xff00) | (CODEC_ID.OPUS << 16);
    this.#mustFinish = mustFinish;
    repair.advance(this, mustFinish);
    this.#countBudget();
  }

  /** The stream ends: what its late packets change goes to the recorder in front of its end. */
  finish(decoders: ChannelDecoders, stream: number): void {
    for (const channel of [0, 1]) {
      const decoder = decoders.get(stream, channel);
      if (decoder?.repair !== undefined) this.advance(decoder, stream, channel << 8, true);
    }
  }

  /** The stream has ended: gives up the late packets that the recorder had no space for. */
  close(decoders: ChannelDecoders, stream: number): void {
    for (const channel of [0, 1]) decoders.get(stream, channel)?.repair?.close();
    this.#countBudget();
  }

  /** The packet at `at` of the input ring is lost: before anything is made up for it. */
  beginGap(decoder: ChannelDecoder, at: number): void {
    const stream = this.#use.memory.words[(at + RECORD.STREAM) >> 2] as number;
    // Packets that are stored as they came need no decoding again.
    const recording = this.#use.streams.get(stream, STREAM.WANTS) & (WANT.RECORDING | WANT.RECORDED_PACKETS);
    if (recording !== WANT.RECORDING) return;
    const { opus } = decoder;
    if (opus === undefined) return;
    decoder.repair ??= new OpusRepair(liveState(decoder, opus), this.#budget);
    decoder.repair.beginGap(this.#use.doubles[(at + RECORD.ARRIVAL_US) >> 3] as number);
    this.#countBudget();
  }

  /** The record at `at` was decoded or made up: `samples` from `pcmAt` on. */
  keep(decoder: ChannelDecoder, at: number, pcmAt: number, samples: number, isPoison: boolean): void {
    const { repair } = decoder;
    if (repair?.isOpen !== true) return;
    const { memory, doubles } = this.#use;
    const isLost = memory.bytes[at + RECORD.KIND] === KIND.LOST;
    const ticks = isLost ? (memory.words[(at + RECORD.DURATION) >> 2] as number) : 0;
    const record = keptRecord(isLost ? KEPT.LOST : KEPT.PACKET, this.#read(at, ticks), isPoison);
    record.isSilent = isFrameSilent(doubles, decoder.silenceBase);
    this.#measure(pcmAt, samples);
    this.#sent(record, samples);
    repair.keep(record);
    this.#countBudget();
  }

  /** Takes the LATE_PACKET at `at` of the input ring. */
  late(decoder: ChannelDecoder, at: number): void {
    const { memory } = this.#use;
    const length = memory.words[(at + RECORD.PAYLOAD_LENGTH) >> 2] as number;
    const ticks = decoder.opusTicks(at + RECORD.INPUT_HEADER_BYTES, length);
    const isPlaced = ticks > 0 && decoder.repair?.insert(this.#read(at, ticks)) === true;
    if (!isPlaced) this.#use.count(SHARD_COUNTERS.LATE_UNREPAIRED, 1);
    this.#countBudget();
  }

  #read(at: number, ticks: number) {
    const { memory, doubles } = this.#use;
    const length = memory.words[(at + RECORD.PAYLOAD_LENGTH) >> 2] as number;
    const payload = at + RECORD.INPUT_HEADER_BYTES;
    return {
      sequence: doubles[(at + RECORD.SEQUENCE) >> 3] as number,
      timestamp: doubles[(at + RECORD.TIMESTAMP) >> 3] as number,
      position: doubles[(at + RECORD.POSITION) >> 3] as number,
      ticks,
      arrivalUs: doubles[(at + RECORD.ARRIVAL_US) >> 3] as number,
      payload: length === 0 ? NOTHING : copyOf(memory.bytes, payload, length),
    };
  }

  // ---- RepairOutput

  samplesOf(line: DecoderState, record: KeptRecord): number {
    const decoder = this.#decoder as ChannelDecoder;
    if (record.kind !== KEPT.PACKET) return decoder.ticksToSamples(record.ticks);
    const samples = line.opus.samplesOf(record.payload);
    return samples > 0 ? samples : line.lastSamples;
  }

  hasSpace(samples: number): boolean {
    const bytes = RECORD.OUTPUT_HEADER_BYTES + 2 * samples;
    const { output, recorder } = this.#use;
    if (bytes > output.maxRecordBytes) return true;
    if (output.tryClaim(bytes) < 0) return false;
    return this.#mustFinish ? recorder.hasSpace(bytes) : recorder.hasSpaceToSpare(bytes);
  }

  redecode(line: DecoderState, record: KeptRecord, next: KeptRecord | undefined): void {
    const { output, recorder } = this.#use;
    const samples = this.samplesOf(line, record);
    const bytes = RECORD.OUTPUT_HEADER_BYTES + 2 * samples;
    const out = output.tryClaim(bytes);
    // Only an empty stretch may be longer than a frame can be, and nothing was ever sent for a longer gap.
    if (out < 0 || samples === 0) return;
    const pcmAt = (out + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    const flags = this.#make(line, record, next, samples, pcmAt);
    this.#measure(pcmAt, samples);
    const { a, b } = this.#digest;
    if (record.sentSamples === samples && record.digestA === a && record.digestB === b) return;
    this.#describe(record, out, samples, flags | (record.isNew ? FLAG.REPAIRED : 0));
    recorder.data(out, bytes);
    this.#sent(record, samples);
    record.isNew = false;
  }

  /** Samples of a record as the decoder that is given all in order makes them; the flags that this adds. */
  #make(line: DecoderState, record: KeptRecord, next: KeptRecord | undefined, samples: number, pcmAt: number): number {
    const { memory } = this.#use;
    const { opus } = line;
    const silent = record.isSilent ? FLAG.SILENT : 0;
    if (record.kind === KEPT.EMPTY) {
      memory.samples.fill(0, pcmAt, pcmAt + samples);
      return silent;
    }
    const follows = next?.kind === KEPT.PACKET && next.sequence === record.sequence + 1;
    const input = this.#input;
    input.bytes = record.kind === KEPT.LOST && follows ? next.payload : record.payload;
    const length = input.bytes.length;
    if (record.kind === KEPT.LOST) {
      const hasFec = length > 0 && opus.recover(input, 0, length, samples, memory, pcmAt);
      if (length === 0) opus.conceal(samples, memory, pcmAt);
      return silent | FLAG.LOST | (hasFec ? 0 : FLAG.CONCEALED);
    }
    const decoded = record.isPoison || length === 0 ? -1 : opus.decode(input, 0, length, memory, pcmAt);
    if (decoded >= 0) {
      line.lastSamples = decoded;
      return silent;
    }
    opus.conceal(samples, memory, pcmAt);
    return silent | FLAG.CONCEALED | FLAG.DECODE_ERROR;
  }

  #describe(record: KeptRecord, out: number, samples: number, flags: number): void {
    const { memory, doubles } = this.#use;
    const { words } = memory;
    measureLevel(memory, (out + RECORD.OUTPUT_HEADER_BYTES) >> 1, samples, this.#level);
    words[(out + RECORD.KIND) >> 2] = KIND.CORRECTION | this.#traits | (flags << 24);
    words[(out + RECORD.STREAM) >> 2] = this.#stream;
    words[(out + RECORD.PAYLOAD_LENGTH) >> 2] = 2 * samples;
    doubles[(out + RECORD.SEQUENCE) >> 3] = record.sequence;
    doubles[(out + RECORD.TIMESTAMP) >> 3] = record.timestamp;
    doubles[(out + RECORD.POSITION) >> 3] = (this.#decoder as ChannelDecoder).ticksToSamples(record.position);
    doubles[(out + RECORD.ARRIVAL_US) >> 3] = record.arrivalUs;
    words[(out + RECORD.SAMPLE_COUNT) >> 2] = samples;
    words[(out + RECORD.PEAK) >> 2] = this.#level.peak;
    doubles[(out + RECORD.MEAN_SQUARE) >> 3] = this.#level.meanSquare;
    doubles[(out + RECORD.PROCESSED_US) >> 3] = record.arrivalUs;
  }

  #sent(record: KeptRecord, samples: number): void {
    record.digestA = this.#digest.a;
    record.digestB = this.#digest.b;
    record.sentSamples = samples;
  }

  /** 64 bits, so that two different frames practically never have the same. */
  #measure(pcmAt: number, samples: number): void {
    const all = this.#use.memory.samples;
    let a = 0x811c9dc5 | 0;
    let b = samples;
    for (let i = pcmAt; i < pcmAt + samples; i++) {
      const sample = all[i] as number;
      a = Math.imul(a ^ sample, 0x01000193);
      b = Math.imul(b + sample, 0x2545f491) ^ (b >>> 13);
    }
    this.#digest.a = a;
    this.#digest.b = b;
  }

  #countBudget(): void {
    const budget = this.#budget;
    if (budget.givenUp > 0) this.#use.count(SHARD_COUNTERS.GAPS_GIVEN_UP, budget.givenUp);
    if (budget.unrepaired > 0) this.#use.count(SHARD_COUNTERS.LATE_UNREPAIRED, budget.unrepaired);
    budget.givenUp = 0;
    budget.unrepaired = 0;
    this.#words[this.#waitingAt] = budget.waiting;
  }
}
