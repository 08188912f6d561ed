import { FrameEnergy, measureFrame } from '../audio/frame-energy.js';
import { type Level, measureLevel } from '../audio/level.js';
import { SampleMemory } from '../audio/sample-memory.js';
import { SILENCE_EDGE_SLOTS, SILENCE_STATE } from '../audio/silence.js';
import {
  beginFrameOfKind,
  endByGap,
  feedConcealed,
  feedFrameOfKind,
  initDetector,
  isFrameInSilence,
  isFrameSilent,
  skipTo,
} from '../audio/silence-detector.js';
import { isDtxPacket } from '../audio/silence-kind.js';
import { systemClock } from '../core/clock.js';
import { CODEC_ID } from '../core/codec.js';
import { AGENT_CONTROL, BLOCKED } from '../ring/agent.js';
import { FLAG, KIND, MARK, RECORD as RECORD_FIELDS } from '../ring/layout.js';
import { RingConsumer, RingProducer } from '../ring/ring.js';
import { STREAM, STREAM_STATE, StreamTable, WANT } from '../ring/stream-table.js';
import type { ShardBackend } from './backend.js';
import { type ChannelDecoder, ChannelDecoders } from './channel-decoders.js';
import { Corrections } from './corrections.js';
import { copyControl, frameSpace, withKind, writeEdge, writeFrame } from './frame-record.js';
import { SpeechJudge } from './neural/speech-judge.js';
import { OpusCorrections } from './opus-corrections.js';
import { CodedFrames, storesPackets } from './packets/coded-frames.js';
import { isValidRecord } from './record-check.js';
import { RecorderLink } from './recorder-link.js';
import { SpeechRolls } from './roll/speech-rolls.js';
import { POISON_DEATHS, SHARD_COUNTERS, type ShardData, type SilenceSettings } from './shard-data.js';

/** Declared here, for the compiler: an import is looked up at each use. */
const RECORD = RECORD_FIELDS;
/** Frames between two readings of the clock, where decoding one takes a microsecond or two; Opus takes tens. */
const CLOCK_SHARE = 8;

/**
 * The JavaScript path, and the reference for the Rust one (native/dsp/src/shard.rs). One record after another: take it
 * from the input ring, decode it straight into the space claimed in the output ring, measure its level and silence
 * there, pass it on. The input record is released only after its frame is published, so that the thread that replaces
 * a dead one begins with the record at which it died.
 */
export class JsShard implements ShardBackend {
  readonly name = 'js';
  readonly #input: RingConsumer;
  readonly #output: RingProducer;
  readonly #recorder: RecorderLink | undefined;
  readonly #corrections: Corrections | undefined;
  readonly #opusCorrections: OpusCorrections | undefined;
  readonly #coded: CodedFrames | undefined;
  readonly #streams: StreamTable;
  readonly #decoders: ChannelDecoders;
  readonly #rolls: SpeechRolls;
  /** The whole shared memory, which #words and #doubles are views of as well. */
  readonly #memory: SampleMemory;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #control: number;
  readonly #counters: number;
  readonly #silence: SilenceSettings;
  readonly #judge: SpeechJudge | undefined;
  readonly #energy = new FrameEnergy();
  readonly #level: Level = { meanSquare: 0, peak: 0 };
  readonly #edges = new Float64Array(SILENCE_EDGE_SLOTS);
  #nowUs = 0;
  #sinceClock = 0;

  constructor(data: ShardData) {
    this.#silence = data.silence;
    this.#input = new RingConsumer(data.input);
    this.#output = new RingProducer(data.output);
    this.#memory = new SampleMemory(data.memory);
    this.#words = this.#memory.words;
    this.#doubles = new Float64Array(data.memory);
    this.#control = data.control.offset >> 2;
    this.#counters = data.counters.offset >> 2;
    this.#recorder = data.recorder && new RecorderLink(data.recorder);
    this.#streams = new StreamTable(data.memory, data.streamTable.offset, data.streamTable.capacity);
    this.#decoders = new ChannelDecoders(this.#memory, this.#streams);
    this.#rolls = new SpeechRolls(data.memory, this.#streams, this.#output);
    const count = (counter: number, by = 1) => this.#count(counter, by);
    this.#corrections =
      this.#recorder && new Corrections(this.#memory, this.#streams, this.#output, this.#recorder, count);
    this.#opusCorrections =
      this.#recorder &&
      new OpusCorrections({
        ...{ memory: this.#memory, doubles: this.#doubles, streams: this.#streams },
        ...{ output: this.#output, recorder: this.#recorder, counters: this.#counters },
        count,
      });
    this.#coded = this.#recorder && new CodedFrames(this.#memory, this.#streams, this.#output, this.#recorder, count);
    this.#judge = data.speech && new SpeechJudge(data.memory, this.#streams, data.speech);
  }

  reopen(stream: number): void {
    this.#decoders.open(stream);
    this.#judge?.open(stream);
  }

  drain(most: number, nowUs: number): number {
    if (this.#recorder?.hasWaiting === true) this.#recorder.retry();
    const atCursor = this.#control + (AGENT_CONTROL.AT_CURSOR >> 2);
    const deaths = this.#control + (AGENT_CONTROL.AT_DEATHS >> 2);
    this.#sinceClock = 0;
    let done = 0;
    let blocked = this.#recorder?.hasWaiting ?? false;
    while (done < most) {
      const at = this.#input.peek();
      // No frame waits for the network.
      if (at < 0 && this.#judge?.work()) continue;
      if (at < 0) break;
      this.#words[atCursor] = this.#input.cursor;
      const isPoison = (this.#words[deaths] as number) >= POISON_DEATHS;
      const isWhole = this.#input.isWhole(at);
      if (!isWhole || !isValidRecord(this.#words, this.#doubles, at, this.#streams.capacity)) {
        this.#count(SHARD_COUNTERS.REJECTED);
      } else if (!(isPoison && this.#skip(at)) && !this.#take(at, nowUs, isPoison)) {
        blocked = true;
        break;
      }
      // They counted the first record of this thread, which is done now.
      if (this.#words[deaths] !== 0) this.#words[deaths] = 0;
      if (isPoison) this.#count(SHARD_COUNTERS.POISONED);
      // Where the next record begins is known only behind a whole one.
      if (isWhole) this.#input.release();
      else this.#input.skipAll();
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
    // A stream's end must reach the sinks, even if its decoders cannot be opened or closed.
    return kind === KIND.OPEN || kind === KIND.CLOSE
      ? this.#pass(at, this.#input.view.getInt32(at + RECORD.STREAM, true))
      : true;
  }

  /** False when the output ring is full: the record stays where it is. A poisonous packet is not decoded. */
  #take(at: number, nowUs: number, isPoison: boolean): boolean {
    const traits = this.#words[(at + RECORD.KIND) >> 2] as number;
    const stream = this.#words[(at + RECORD.STREAM) >> 2] as number;
    const kind = traits & 0xff;
    if (kind === KIND.UPDATE) return this.#pass(at, stream);
    if (kind === KIND.OPEN || kind === KIND.CLOSE) {
      this.#opusCorrections?.finish(this.#decoders, stream);
      if (!this.#pass(at, stream)) return false;
      this.#opusCorrections?.close(this.#decoders, stream);
      if (kind === KIND.OPEN) this.#open(stream);
      else this.#decoders.closeStream(stream);
      if (kind === KIND.CLOSE) this.#judge?.close(stream);
      return true;
    }
    const decoder = this.#decoders.get(stream, (traits >> 8) & 0xff);
    if (decoder === undefined) return true;
    if (decoder.repair !== undefined && kind !== KIND.LATE_PACKET) {
      this.#opusCorrections?.advance(decoder, stream, traits);
    }
    switch (kind) {
      case KIND.PACKET:
        return this.#packet(decoder, at, traits, nowUs, isPoison);
      case KIND.LATE_PACKET:
        if (decoder.opus === undefined) return this.#corrections?.send(decoder, at, traits, nowUs) ?? true;
        if (storesPackets(this.#streams, stream)) return this.#coded?.late(decoder, at, stream, traits) ?? true;
        this.#opusCorrections?.late(decoder, at);
        return true;
      case KIND.LOST:
        return this.#lost(decoder, at, traits, nowUs);
      case KIND.MARK:
        return this.#mark(decoder, at, stream, nowUs);
      default:
        return true;
    }
  }

  #open(stream: number): void {
    this.reopen(stream);
    const sampleRate = this.#streams.get(stream, STREAM.SAMPLE_RATE);
    const detector = this.#streams.get(stream, STREAM.DETECTOR);
    for (const channel of [0, 1]) {
      const base = this.#streams.silenceBase(stream, channel);
      initDetector(this.#streams.doubles, base, { ...this.#silence, detector, sampleRate });
    }
    this.#streams.set(stream, STREAM.STATE, STREAM_STATE.OPEN);
  }

  #packet(decoder: ChannelDecoder, at: number, traits: number, nowUs: number, isPoison: boolean): boolean {
    const length = this.#words[(at + RECORD.PAYLOAD_LENGTH) >> 2] as number;
    const payload = at + RECORD.INPUT_HEADER_BYTES;
    const expected = decoder.packetSamples(payload, length);
    if (this.#rejects(frameSpace(expected))) return true;
    const out = this.#rolls.tryClaim(decoder, frameSpace(expected));
    if (out < 0) return false;
    const pcmAt = (out + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    const position = decoder.ticksToSamples(this.#doubles[(at + RECORD.POSITION) >> 3] as number);
    const base = decoder.silenceBase;
    const stream = this.#words[(at + RECORD.STREAM) >> 2] as number;
    const channel = (traits >> 8) & 0xff;
    if (this.#judge?.settle(stream, channel, position)) this.#count(SHARD_COUNTERS.WINDOWS_PASSED);
    let flags = traits >>> 24;
    const doubles = this.#doubles;
    const isBroken = (flags & FLAG.DISCONTINUITY) !== 0;
    let edges = beginFrameOfKind(doubles, base, position, isBroken, this.#energy, this.#edges);
    let samples = isPoison ? -1 : decoder.decode(payload, length, pcmAt, this.#energy);
    if (samples < 0) {
      samples = expected;
      decoder.conceal(samples, pcmAt);
      measureFrame(this.#memory, pcmAt, samples, this.#energy);
      flags |= FLAG.CONCEALED | FLAG.DECODE_ERROR;
      this.#count(SHARD_COUNTERS.DECODE_ERRORS);
      this.#streams.add(stream, STREAM.DECODE_ERRORS, 1);
    }
    if ((flags & FLAG.CONCEALED) === 0) {
      const isDtx = decoder.opus !== undefined && isDtxPacket(length);
      edges = feedFrameOfKind(doubles, base, this.#energy, this.#memory, pcmAt, samples, isDtx, this.#edges, edges);
      this.#judge?.add(stream, channel, position, this.#memory, pcmAt, samples);
    } else {
      edges = feedConcealed(this.#doubles, base, this.#energy, samples, this.#edges, edges);
    }
    this.#energy.level(samples, this.#level);
    if (decoder.repair !== undefined) this.#opusCorrections?.keep(decoder, at, pcmAt, samples, isPoison);
    this.#finishFrame(decoder, at, out, traits, position, samples, flags, edges, nowUs);
    return true;
  }

  #lost(decoder: ChannelDecoder, at: number, traits: number, nowUs: number): boolean {
    const samples = decoder.ticksToSamples(this.#words[(at + RECORD.DURATION) >> 2] as number);
    if (samples <= 0 || this.#rejects(frameSpace(samples))) return true;
    const out = this.#rolls.tryClaim(decoder, frameSpace(samples));
    if (out < 0) return false;
    const pcmAt = (out + RECORD.OUTPUT_HEADER_BYTES) >> 1;
    const position = decoder.ticksToSamples(this.#doubles[(at + RECORD.POSITION) >> 3] as number);
    if (decoder.opus !== undefined) this.#opusCorrections?.beginGap(decoder, at);
    const hasFec = decoder.recover(
      at + RECORD.INPUT_HEADER_BYTES,
      this.#words[(at + RECORD.PAYLOAD_LENGTH) >> 2] as number,
      samples,
      pcmAt,
    );
    this.#count(hasFec ? SHARD_COUNTERS.RECOVERED_BY_FEC : SHARD_COUNTERS.CONCEALED);
    measureLevel(this.#memory, pcmAt, samples, this.#level);
    const edges = endByGap(this.#doubles, decoder.silenceBase, position + samples) ? this.#gapEdge(decoder) : 0;
    skipTo(this.#doubles, decoder.silenceBase, position + samples);
    if (decoder.repair !== undefined) this.#opusCorrections?.keep(decoder, at, pcmAt, samples, false);
    const flags = (traits >>> 24) | FLAG.LOST | (hasFec ? 0 : FLAG.CONCEALED);
    this.#finishFrame(decoder, at, out, traits, position, samples, flags, edges, nowUs);
    return true;
  }

  /** Speech was ended by a gap: the first edge in #edges. */
  #gapEdge(decoder: ChannelDecoder): number {
    this.#edges[0] = this.#doubles[decoder.silenceBase + SILENCE_STATE.SINCE] as number;
    this.#edges[1] = 1;
    return 1;
  }

  /** No packet has arrived for a while: silence, if there was speech. */
  #noPackets(decoder: ChannelDecoder, stream: number, channel: number, position: number, nowUs: number): void {
    if (!endByGap(this.#doubles, decoder.silenceBase, position)) return;
    this.#edge(this.#gapEdge(decoder) - 1, stream, channel, nowUs, this.#streams.get(stream, STREAM.WANTS));
    this.#output.publish();
  }

  #mark(decoder: ChannelDecoder, at: number, stream: number, nowUs: number): boolean {
    const out = this.#output.tryClaim(RECORD.OUTPUT_HEADER_BYTES);
    if (out < 0) return false;
    const position = decoder.ticksToSamples(this.#doubles[(at + RECORD.POSITION) >> 3] as number);
    const duration = decoder.ticksToSamples(this.#words[(at + RECORD.DURATION) >> 2] as number);
    const traits = this.#words[(at + RECORD.KIND) >> 2] as number;
    if (traits >>> 24 === MARK.NO_PACKETS) {
      this.#noPackets(decoder, stream, (traits >> 8) & 0xff, position + duration, nowUs);
      return true;
    }
    this.#memory.bytes.copyWithin(out, at, at + RECORD.INPUT_HEADER_BYTES);
    this.#doubles[(out + RECORD.POSITION) >> 3] = position;
    this.#words[(out + RECORD.DURATION) >> 2] = duration;
    if ((this.#streams.get(stream, STREAM.WANTS) & WANT.RECORDING) !== 0) {
      this.#controlToRecorder(out, RECORD.OUTPUT_HEADER_BYTES);
    }
    // Of the live line nothing changes.
    if (traits >>> 24 === MARK.NOT_SENT) return true;
    skipTo(this.#doubles, decoder.silenceBase, position + duration);
    this.#output.commit(RECORD.OUTPUT_HEADER_BYTES);
    this.#output.publish();
    return true;
  }

  /** Whether the output of a record is larger than its ring can ever take; counted then. */
  #rejects(outputBytes: number): boolean {
    if (outputBytes <= this.#output.maxRecordBytes) return false;
    this.#count(SHARD_COUNTERS.REJECTED);
    return true;
  }

  /** Header, and on its way: the samples lie at `out` already, and `edges` of silence in #edges. */
  #finishFrame(
    decoder: ChannelDecoder,
    at: number,
    out: number,
    traits: number,
    position: number,
    samples: number,
    inputFlags: number,
    edges: number,
    nowUs: number,
  ): void {
    const words = this.#words;
    const doubles = this.#doubles;
    const flags = isFrameSilent(doubles, decoder.silenceBase) ? inputFlags | FLAG.SILENT : inputFlags;
    const stream = words[(at + RECORD.STREAM) >> 2] as number;
    const wants = this.#streams.get(stream, STREAM.WANTS);
    const frameBytes = RECORD.OUTPUT_HEADER_BYTES + samples * 2;
    const codec = (traits >> 16) & 0xff;
    const arrivalUs = doubles[(at + RECORD.ARRIVAL_US) >> 3] as number;
    // What comes while a batch is at work must not be done before it came.
    if (codec === CODEC_ID.OPUS || this.#sinceClock++ % CLOCK_SHARE === 0 || arrivalUs >= this.#nowUs) {
      this.#nowUs = systemClock.nowUs();
    }
    words[(out + RECORD.STREAM) >> 2] = stream;
    writeFrame(words, doubles, at, out, position, samples, this.#level, this.#nowUs);
    // The recorder's copy is made first, while the record still has its samples.
    if ((wants & WANT.RECORDING) !== 0) {
      // Recordings have silences by their edges, which are surer than what can be told while the frame is made.
      const isInSilence = isFrameInSilence(doubles, decoder.silenceBase);
      const recorded = isInSilence ? inputFlags | FLAG.SILENT : inputFlags;
      words[(out + RECORD.KIND) >> 2] = withKind(traits, KIND.FRAME, recorded);
      if ((wants & WANT.RECORDED_PACKETS) === 0) this.#copyToRecorder(out, stream, frameBytes);
      else this.#coded?.send(at, out, stream);
    }
    const isSilent = (flags & FLAG.SILENT) !== 0;
    let passPcm = (wants & (isSilent ? WANT.SILENT_PCM : WANT.SPEECH_PCM)) !== 0;
    let end = out;
    if ((wants & WANT.ROLL) === 0) decoder.roll = undefined;
    else if (!isSilent) end = this.#rolls.speech(decoder, out, frameBytes, position, samples);
    else if (this.#rolls.silent(decoder, out, traits, flags, position, samples)) passPcm = true;
    words[(end + RECORD.KIND) >> 2] = withKind(traits, KIND.FRAME, passPcm ? flags : flags | FLAG.NO_PCM);
    if (!passPcm) words[(end + RECORD.PAYLOAD_LENGTH) >> 2] = 0;
    this.#output.commit(passPcm ? frameBytes : RECORD.OUTPUT_HEADER_BYTES);
    for (let i = 0; i < edges; i++) this.#edge(i, stream, (traits >> 8) & 0xff, nowUs, wants);
    this.#output.publish();
    this.#count(SHARD_COUNTERS.FRAMES);
  }

  #edge(index: number, stream: number, channel: number, nowUs: number, wants: number): void {
    const out = this.#output.tryClaim(RECORD.OUTPUT_HEADER_BYTES);
    // Cannot fail: the space was claimed together with the frame.
    if (out < 0) return;
    writeEdge(this.#output.view, out, stream, channel, nowUs, this.#edges, index * 2);
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
    if (this.#rejects(RECORD.OUTPUT_HEADER_BYTES + length)) return true;
    const out = this.#output.tryClaim(RECORD.OUTPUT_HEADER_BYTES + length);
    if (out < 0) return false;
    copyControl(this.#output.bytes, at, out, length);
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

  #copyToRecorder(at: number, stream: number, length: number): void {
    if (this.#recorder === undefined || this.#recorder.data(at, length)) return;
    this.#count(SHARD_COUNTERS.RECORDER_REFUSED);
    this.#streams.add(stream, STREAM.RECORDER_REFUSED, 1);
  }

  #controlToRecorder(at: number, length: number): void {
    this.#output.view.setInt32(at + RECORD.LENGTH, length, true);
    this.#recorder?.control(this.#output.bytes.slice(at, at + length));
  }

  /** Only this thread writes its counters, and a reader gets a whole word. */
  #count(counter: number, by = 1): void {
    const word = this.#counters + (counter >> 2);
    this.#words[word] = (this.#words[word] as number) + by;
  }
}
