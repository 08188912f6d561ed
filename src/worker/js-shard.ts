import { systemClock } from '../core/clock.js';
import { CODEC_ID } from '../core/codec.js';
import { type Level, measureLevel } from '../media/level.js';
import { feedSilence, initSilence, isFrameSilent, SILENCE_EDGE_SLOTS, skipSilence } from '../media/silence.js';
import { AGENT_CONTROL, BLOCKED } from '../ring/agent.js';
import { alignRecord, FLAG, KIND, RECORD } from '../ring/layout.js';
import { RingLink } from '../ring/link.js';
import { RingConsumer, RingProducer } from '../ring/ring.js';
import { STREAM, STREAM_STATE, StreamTable, WANT } from '../ring/stream-table.js';
import { LaneDecoders } from './lane-decoders.js';
import type { ShardBackend } from './shard-backend.js';
import { POISON_DEATHS, SHARD_COUNTERS, type ShardData, type SilenceSettings } from './shard-data.js';

/** Two edges are at least 55 ms apart (media/silence.ts), which is 440 samples at the lowest rate. */
const LEAST_SAMPLES_PER_EDGE = 220;
/** Frames between two readings of the clock, where decoding one takes a microsecond or two; Opus takes tens. */
const CLOCK_SHARE = 8;

/**
 * The JavaScript path, and the reference for the Rust one (native/dsp/src/shard.rs). One record after another: take it
 * from the input ring, decode it straight into the room claimed in the output ring, judge its level and silence there,
 * hand it on. The input record is released only after its frame is published, so that whoever takes over from a dead
 * worker begins with the record that killed it.
 */
export class JsShard implements ShardBackend {
  readonly name = 'js';
  readonly #input: RingConsumer;
  readonly #output: RingProducer;
  readonly #recorder: RingLink | undefined;
  readonly #streams: StreamTable;
  readonly #decoders: LaneDecoders;
  readonly #words: Int32Array;
  readonly #control: number;
  readonly #counters: number;
  readonly #pcm: Int16Array;
  readonly #silence: SilenceSettings;
  readonly #level: Level = { meanSquare: 0, peak: 0 };
  readonly #edges = new Float64Array(SILENCE_EDGE_SLOTS);
  #nowUs = 0;
  #sinceClock = 0;

  constructor(data: ShardData) {
    this.#silence = data.silence;
    this.#input = new RingConsumer(data.input);
    this.#output = new RingProducer(data.output);
    this.#words = new Int32Array(data.memory);
    this.#pcm = new Int16Array(data.memory);
    this.#control = data.control.offset >> 2;
    this.#counters = data.counters.offset >> 2;
    this.#recorder = data.recorder && new RingLink(data.recorder);
    this.#streams = new StreamTable(data.memory, data.streamTable.offset, data.streamTable.capacity);
    this.#decoders = new LaneDecoders(this.#streams);
  }

  reopen(stream: number): void {
    this.#decoders.open(stream);
  }

  drain(most: number, nowUs: number): number {
    this.#retryRecorder();
    const atCursor = this.#control + (AGENT_CONTROL.AT_CURSOR >> 2);
    const deaths = this.#control + (AGENT_CONTROL.AT_DEATHS >> 2);
    this.#sinceClock = 0;
    let done = 0;
    let blocked = this.#recorder?.hasWaiting ?? false;
    while (done < most) {
      const at = this.#input.peek();
      if (at < 0) break;
      this.#words[atCursor] = this.#input.cursor;
      const isPoison = (this.#words[deaths] as number) >= POISON_DEATHS;
      if (!(isPoison && this.#skip(at)) && !this.#take(at, nowUs, isPoison)) {
        blocked = true;
        break;
      }
      // Deaths are those of the record that a life begins with, and it is past.
      if (this.#words[deaths] !== 0) this.#words[deaths] = 0;
      if (isPoison) this.#count(SHARD_COUNTERS.POISONED);
      this.#input.release();
      done++;
    }
    return done === 0 && blocked ? BLOCKED : done;
  }

  close(): void {
    this.#decoders.close();
  }

  /** Whether a poisonous record is passed over as a whole. A packet is not: it is concealed. */
  #skip(at: number): boolean {
    const kind = this.#input.view.getUint8(at + RECORD.KIND);
    if (kind === KIND.PACKET) return false;
    // Whoever waits for a stream's end must get it, even if its decoders cannot be opened or closed.
    return kind === KIND.OPEN || kind === KIND.CLOSE
      ? this.#pass(at, this.#input.view.getInt32(at + RECORD.STREAM, true))
      : true;
  }

  /** False when the output ring is full: the record stays where it is. A poisonous packet is not decoded. */
  #take(at: number, nowUs: number, isPoison: boolean): boolean {
    const view = this.#input.view;
    const stream = view.getInt32(at + RECORD.STREAM, true);
    switch (view.getUint8(at + RECORD.KIND)) {
      case KIND.PACKET:
        return this.#packet(at, stream, nowUs, isPoison);
      case KIND.LOST:
        return this.#lost(at, stream, nowUs);
      case KIND.OPEN:
        if (!this.#pass(at, stream)) return false;
        this.#open(stream);
        return true;
      case KIND.MARK:
        return this.#mark(at, stream);
      case KIND.CLOSE:
        if (!this.#pass(at, stream)) return false;
        this.#decoders.closeStream(stream);
        return true;
      default:
        return true;
    }
  }

  #open(stream: number): void {
    this.#decoders.open(stream);
    const sampleRate = this.#streams.get(stream, STREAM.SAMPLE_RATE);
    for (const channel of [0, 1]) {
      initSilence(this.#streams.doubles, this.#streams.silenceBase(stream, channel), { ...this.#silence, sampleRate });
    }
    this.#streams.set(stream, STREAM.STATE, STREAM_STATE.OPEN);
  }

  #packet(at: number, stream: number, nowUs: number, isPoison: boolean): boolean {
    const view = this.#input.view;
    const channel = view.getUint8(at + RECORD.CHANNEL);
    if (!this.#decoders.isOpen(stream, channel)) return true;
    const length = view.getInt32(at + RECORD.PAYLOAD_LENGTH, true);
    const payload = at + RECORD.INPUT_HEADER_BYTES;
    const expected = this.#decoders.packetSamples(stream, channel, this.#input.bytes, payload, length);
    const out = this.#claimFrame(expected);
    if (out < 0) return false;
    const pcmAt = (out + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    let flags = view.getUint8(at + RECORD.FLAGS);
    let samples = isPoison
      ? -1
      : this.#decoders.decode(stream, channel, this.#input.bytes, payload, length, this.#pcm, pcmAt);
    if (samples < 0) {
      samples = expected;
      this.#decoders.conceal(stream, channel, samples, this.#pcm, pcmAt);
      flags |= FLAG.CONCEALED | FLAG.DECODE_ERROR;
      this.#count(SHARD_COUNTERS.DECODE_ERRORS);
      this.#streams.add(stream, STREAM.DECODE_ERRORS, 1);
    }
    this.#finishFrame(at, out, stream, channel, samples, flags, nowUs);
    return true;
  }

  #lost(at: number, stream: number, nowUs: number): boolean {
    const view = this.#input.view;
    const channel = view.getUint8(at + RECORD.CHANNEL);
    if (!this.#decoders.isOpen(stream, channel)) return true;
    const samples = this.#decoders.ticksToSamples(stream, view.getInt32(at + RECORD.DURATION, true));
    if (samples <= 0) return true;
    const out = this.#claimFrame(samples);
    if (out < 0) return false;
    this.#decoders.conceal(stream, channel, samples, this.#pcm, (out + RECORD.OUTPUT_HEADER_BYTES) >> 1);
    const flags = view.getUint8(at + RECORD.FLAGS) | FLAG.CONCEALED | FLAG.LOST;
    this.#count(SHARD_COUNTERS.CONCEALED);
    this.#finishFrame(at, out, stream, channel, samples, flags, nowUs);
    return true;
  }

  #mark(at: number, stream: number): boolean {
    const view = this.#input.view;
    const channel = view.getUint8(at + RECORD.CHANNEL);
    if (!this.#decoders.isOpen(stream, channel)) return true;
    const out = this.#output.tryClaim(RECORD.OUTPUT_HEADER_BYTES);
    if (out < 0) return false;
    const position = this.#decoders.ticksToSamples(stream, view.getFloat64(at + RECORD.POSITION, true));
    const duration = this.#decoders.ticksToSamples(stream, view.getInt32(at + RECORD.DURATION, true));
    this.#output.bytes.copyWithin(out, at, at + RECORD.INPUT_HEADER_BYTES);
    view.setFloat64(out + RECORD.POSITION, position, true);
    view.setInt32(out + RECORD.DURATION, duration, true);
    skipSilence(this.#streams.doubles, this.#streams.silenceBase(stream, channel), position + duration);
    if ((this.#streams.get(stream, STREAM.WANTS) & WANT.RECORDING) !== 0) {
      this.#controlToRecorder(out, RECORD.OUTPUT_HEADER_BYTES);
    }
    this.#output.commit(RECORD.OUTPUT_HEADER_BYTES);
    this.#output.publish();
    return true;
  }

  /** Room for a frame and, right behind it, for every edge that it may show. */
  #claimFrame(samples: number): number {
    const edges = 2 + samples / LEAST_SAMPLES_PER_EDGE;
    return this.#output.tryClaim(
      alignRecord(RECORD.OUTPUT_HEADER_BYTES + samples * 2) + Math.ceil(edges) * RECORD.OUTPUT_HEADER_BYTES,
    );
  }

  /** Level, silence, header, and on its way: the samples lie at `out` already. */
  #finishFrame(
    at: number,
    out: number,
    stream: number,
    channel: number,
    samples: number,
    inputFlags: number,
    nowUs: number,
  ): void {
    const view = this.#input.view;
    const pcmAt = (out + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    const position = this.#decoders.ticksToSamples(stream, view.getFloat64(at + RECORD.POSITION, true));
    const base = this.#streams.silenceBase(stream, channel);
    const state = this.#streams.doubles;
    let flags = inputFlags;
    let edges = 0;
    if ((flags & FLAG.LOST) !== 0) {
      measureLevel(this.#pcm, pcmAt, samples, this.#level);
      skipSilence(state, base, position + samples);
      if (isFrameSilent(state, base)) flags |= FLAG.SILENT;
    } else {
      edges = feedSilence(state, base, this.#pcm, pcmAt, samples, position, this.#edges, this.#level);
      if (isFrameSilent(state, base)) flags |= FLAG.SILENT;
    }
    const wants = this.#streams.get(stream, STREAM.WANTS);
    const passPcm = (wants & ((flags & FLAG.SILENT) !== 0 ? WANT.SILENT_PCM : WANT.SPEECH_PCM)) !== 0;
    const pcmBytes = samples * 2;

    view.setUint8(out + RECORD.KIND, KIND.FRAME);
    view.setUint8(out + RECORD.CHANNEL, channel);
    const codec = view.getUint8(at + RECORD.CODEC);
    if (codec === CODEC_ID.OPUS || this.#sinceClock++ % CLOCK_SHARE === 0) this.#nowUs = systemClock.nowUs();
    view.setUint8(out + RECORD.CODEC, codec);
    view.setInt32(out + RECORD.STREAM, stream, true);
    view.setFloat64(out + RECORD.SEQUENCE, view.getFloat64(at + RECORD.SEQUENCE, true), true);
    view.setFloat64(out + RECORD.TIMESTAMP, view.getFloat64(at + RECORD.TIMESTAMP, true), true);
    view.setFloat64(out + RECORD.POSITION, position, true);
    view.setFloat64(out + RECORD.ARRIVAL_US, view.getFloat64(at + RECORD.ARRIVAL_US, true), true);
    view.setInt32(out + RECORD.SAMPLE_COUNT, samples, true);
    view.setInt32(out + RECORD.PEAK, this.#level.peak, true);
    view.setFloat64(out + RECORD.MEAN_SQUARE, this.#level.meanSquare, true);
    view.setFloat64(out + RECORD.PROCESSED_US, this.#nowUs, true);
    view.setUint8(out + RECORD.FLAGS, flags);
    view.setInt32(out + RECORD.PAYLOAD_LENGTH, pcmBytes, true);
    // The recorder takes its copy first: the record as it stands has the samples, whoever else wants them or not.
    if ((wants & WANT.RECORDING) !== 0) this.#copyToRecorder(out, stream, RECORD.OUTPUT_HEADER_BYTES + pcmBytes);
    if (!passPcm) {
      view.setUint8(out + RECORD.FLAGS, flags | FLAG.NO_PCM);
      view.setInt32(out + RECORD.PAYLOAD_LENGTH, 0, true);
    }
    this.#output.commit(RECORD.OUTPUT_HEADER_BYTES + (passPcm ? pcmBytes : 0));
    for (let i = 0; i < edges; i++) this.#edge(i, stream, channel, nowUs, wants);
    this.#output.publish();
    this.#count(SHARD_COUNTERS.FRAMES);
  }

  #edge(index: number, stream: number, channel: number, nowUs: number, wants: number): void {
    const out = this.#output.tryClaim(RECORD.OUTPUT_HEADER_BYTES);
    // Cannot fail: #claimFrame has taken the room together with the frame's.
    if (out < 0) return;
    const view = this.#output.view;
    view.setUint8(out + RECORD.KIND, KIND.EDGE);
    view.setUint8(out + RECORD.CHANNEL, channel);
    view.setUint8(out + RECORD.FLAGS, this.#edges[index * 2 + 1] === 1 ? FLAG.SILENT : 0);
    view.setInt32(out + RECORD.STREAM, stream, true);
    view.setInt32(out + RECORD.PAYLOAD_LENGTH, 0, true);
    view.setFloat64(out + RECORD.POSITION, this.#edges[index * 2] as number, true);
    view.setFloat64(out + RECORD.ARRIVAL_US, nowUs, true);
    if ((wants & WANT.RECORDING) !== 0) this.#copyToRecorder(out, stream, RECORD.OUTPUT_HEADER_BYTES);
    this.#output.commit(RECORD.OUTPUT_HEADER_BYTES);
  }

  /**
   * Hands an OPEN or CLOSE on as it came; only the header is longer in output rings, and a CLOSE says whether the
   * recorder has got everything.
   */
  #pass(at: number, stream: number): boolean {
    const view = this.#input.view;
    const length = view.getInt32(at + RECORD.PAYLOAD_LENGTH, true);
    const out = this.#output.tryClaim(RECORD.OUTPUT_HEADER_BYTES + length);
    if (out < 0) return false;
    const { bytes } = this.#output;
    bytes.copyWithin(out, at, at + RECORD.INPUT_HEADER_BYTES);
    bytes.copyWithin(
      out + RECORD.OUTPUT_HEADER_BYTES,
      at + RECORD.INPUT_HEADER_BYTES,
      at + RECORD.INPUT_HEADER_BYTES + length,
    );
    if (view.getUint8(at + RECORD.KIND) === KIND.CLOSE) {
      view.setFloat64(out + RECORD.RECORDER_REFUSED, this.#streams.get(stream, STREAM.RECORDER_REFUSED), true);
    }
    if ((this.#streams.get(stream, STREAM.WANTS) & WANT.RECORDING) !== 0) {
      this.#controlToRecorder(out, RECORD.OUTPUT_HEADER_BYTES + length);
    }
    this.#output.commit(RECORD.OUTPUT_HEADER_BYTES + length);
    this.#output.publish();
    return true;
  }

  /** The recorder may be slow, as disks are; live frames never wait for it. What it has no room for is counted. */
  #copyToRecorder(at: number, stream: number, length: number): void {
    if (this.#recorder === undefined) return;
    const to = this.#recorder.tryClaim(length);
    if (to < 0) {
      this.#count(SHARD_COUNTERS.RECORDER_REFUSED);
      this.#streams.add(stream, STREAM.RECORDER_REFUSED, 1);
      return;
    }
    this.#recorder.ring.bytes.copyWithin(to, at, at + length);
    this.#recorder.ring.commit(length);
    this.#recorder.ring.publish();
  }

  #controlToRecorder(at: number, length: number): void {
    if (this.#recorder === undefined) return;
    this.#output.view.setInt32(at + RECORD.LENGTH, length, true);
    this.#recorder.control(this.#output.bytes.slice(at, at + length));
    this.#recorder.ring.publish();
  }

  #retryRecorder(): void {
    if (this.#recorder?.hasWaiting !== true) return;
    this.#recorder.retry();
    this.#recorder.ring.publish();
  }

  #count(counter: number, by = 1): void {
    // Only this thread writes its counters; a plain add would do, but readers deserve a whole value.
    Atomics.add(this.#words, this.#counters + (counter >> 2), by);
  }
}
