import { decodePcma, decodePcmu } from '../audio/codecs/g711.js';
import { decodeL16, decodeL16Le } from '../audio/codecs/l16.js';
import { OpusDecoder, opusPacketSamples } from '../audio/codecs/opus.js';
import { ConcealmentHistory, type Decode } from '../audio/concealment-history.js';
import { type FrameEnergy, measureFrame } from '../audio/frame-energy.js';
import type { SampleMemory } from '../audio/sample-memory.js';
import { CODEC_ID } from '../core/codec.js';
import { STREAM, type StreamTable } from '../ring/stream-table.js';
import type { OpusRepair } from './opus-repair.js';
import type { SpeechRoll } from './roll/speech-roll.js';

/** Packets a second when nothing better is known of one that cannot be decoded. */
const USUAL_RATE = 50;
const CHANNELS = 2;

/** What a shard holds of one channel of one stream: packets to PCM, and something to hear where there is none. */
export class ChannelDecoder {
  /** Where in StreamTable.doubles its silence state begins. */
  readonly silenceBase: number;
  readonly #memory: SampleMemory;
  readonly #codec: number;
  readonly #sampleRate: number;
  readonly #samplesPerTick: number;
  readonly opus: OpusDecoder | undefined;
  /** Of Opus, from the first gap of a stream that is recorded on. */
  repair: OpusRepair | undefined;
  /** While silence around speech is wanted. */
  roll: SpeechRoll | undefined;
  /** Opus conceals by itself. */
  readonly #history: ConcealmentHistory | undefined;
  /** Samples of the last good packet, which one that cannot be decoded is taken to have had as well. */
  lastSamples: number;

  /**
   * Packets and PCM both lie in `memory`.
   * @throws TrunklineError LIMIT_EXCEEDED when there is no memory left for an Opus decoder.
   */
  constructor(memory: SampleMemory, streams: StreamTable, stream: number, channel: number) {
    this.silenceBase = streams.silenceBase(stream, channel);
    this.#memory = memory;
    this.#codec = streams.get(stream, STREAM.CODEC);
    this.#sampleRate = streams.get(stream, STREAM.SAMPLE_RATE);
    this.#samplesPerTick = this.#sampleRate / streams.get(stream, STREAM.CLOCK_RATE);
    this.lastSamples = this.#sampleRate / USUAL_RATE;
    const isOpus = this.#codec === CODEC_ID.OPUS;
    this.opus = isOpus ? new OpusDecoder(this.#sampleRate) : undefined;
    this.#history = isOpus ? undefined : emptyHistory(this.#codec, this.#sampleRate);
  }

  ticksToSamples(ticks: number): number {
    return Math.round(ticks * this.#samplesPerTick);
  }

  /** Samples that decode() will give for the packet of `length` bytes at `at`; a guess for one that it will refuse. */
  packetSamples(at: number, length: number): number {
    switch (this.#codec) {
      case CODEC_ID.PCMU:
      case CODEC_ID.PCMA:
        return length > 0 ? length : this.lastSamples;
      case CODEC_ID.OPUS: {
        const samples = opusPacketSamples(this.#memory.bytes, at, length, this.#sampleRate);
        return samples > 0 ? samples : this.lastSamples;
      }
      default:
        return length > 0 && length % 2 === 0 ? length >> 1 : this.lastSamples;
    }
  }

  /**
   * Decodes to sample `pcmAt` on, packetSamples() long, and measures what that gives. Negative when the packet is
   * corrupt; nothing is thrown.
   */
  decode(at: number, length: number, pcmAt: number, energy: FrameEnergy): number {
    if (length === 0) return -1;
    const samples = this.#decode(at, length, pcmAt, energy);
    if (samples < 0) return samples;
    this.#history?.keep(this.#memory, at, length);
    this.lastSamples = samples;
    return samples;
  }

  #decode(at: number, length: number, pcmAt: number, energy: FrameEnergy): number {
    const memory = this.#memory;
    if (this.#codec === CODEC_ID.PCMU) return decodePcmu(memory, at, length, memory, pcmAt, energy);
    if (this.#codec === CODEC_ID.PCMA) return decodePcma(memory, at, length, memory, pcmAt, energy);
    const samples =
      this.opus === undefined
        ? plainDecoder(this.#codec)(memory, at, length, memory, pcmAt)
        : this.opus.decode(memory, at, length, memory, pcmAt);
    if (samples >= 0) measureFrame(memory, pcmAt, samples, energy);
    return samples;
  }

  /** Samples of a packet of `length` bytes that is decoded out of its order; 0 when it cannot be, as with Opus. */
  lateSamples(length: number): number {
    if (this.opus !== undefined) return 0;
    const isG711 = this.#codec === CODEC_ID.PCMU || this.#codec === CODEC_ID.PCMA;
    return isG711 ? length : length % 2 === 0 ? length >> 1 : 0;
  }

  /** Decodes such a packet to sample `pcmAt` on, lateSamples() long, and remembers nothing of it. */
  decodeLate(at: number, length: number, pcmAt: number): void {
    plainDecoder(this.#codec)(this.#memory, at, length, this.#memory, pcmAt);
  }

  /** Writes `samples` in place of what is not there. The next packet has `nextLength` bytes at `nextAt`, if it is known. */
  conceal(samples: number, pcmAt: number, nextAt = 0, nextLength = 0): void {
    if (this.#history !== undefined) {
      this.#history.conceal(this.#memory, pcmAt, samples, nextAt, nextLength);
    } else if ((this.opus?.conceal(samples, this.#memory, pcmAt) ?? -1) < 0) {
      this.#memory.samples.fill(0, pcmAt, pcmAt + samples);
    }
  }

  /**
   * Writes `samples` in place of a lost packet: out of the packet of `length` bytes at `at`, which follows it, where that
   * carries in-band FEC, and concealment otherwise, fitted to it. True when there was FEC. A `length` of 0: that one is
   * lost as well.
   */
  recover(at: number, length: number, samples: number, pcmAt: number): boolean {
    if (this.opus !== undefined && length > 0) {
      return this.opus.recover(this.#memory, at, length, samples, this.#memory, pcmAt);
    }
    this.conceal(samples, pcmAt, at, length);
    return false;
  }

  /** Duration in RTP ticks of an Opus packet of `length` bytes at `at`; not positive when it is none. */
  opusTicks(at: number, length: number): number {
    if (this.opus === undefined) return 0;
    return Math.round(opusPacketSamples(this.#memory.bytes, at, length, this.#sampleRate) / this.#samplesPerTick);
  }

  close(): void {
    this.repair?.close();
    this.opus?.free();
  }
}

function emptyHistory(codec: number, sampleRate: number): ConcealmentHistory {
  const isG711 = codec === CODEC_ID.PCMU || codec === CODEC_ID.PCMA;
  return new ConcealmentHistory(sampleRate, isG711 ? 1 : 2, plainDecoder(codec));
}

/** Of the codecs whose samples stand each for themselves. */
function plainDecoder(codec: number): Decode {
  switch (codec) {
    case CODEC_ID.PCMU:
      return decodePcmu;
    case CODEC_ID.PCMA:
      return decodePcma;
    case CODEC_ID.L16:
      return decodeL16;
    default:
      return decodeL16Le;
  }
}

/** The decoders of a shard's streams. */
export class ChannelDecoders {
  readonly #memory: SampleMemory;
  readonly #streams: StreamTable;
  readonly #decoders: (ChannelDecoder | undefined)[];

  constructor(memory: SampleMemory, streams: StreamTable) {
    this.#memory = memory;
    this.#streams = streams;
    this.#decoders = new Array<ChannelDecoder | undefined>(streams.capacity * CHANNELS).fill(undefined);
  }

  /** @throws TrunklineError LIMIT_EXCEEDED when there is no memory left for an Opus decoder. */
  open(stream: number): void {
    this.closeStream(stream);
    const channels = this.#streams.get(stream, STREAM.CHANNELS);
    for (let channel = 0; channel < channels; channel++) {
      this.#decoders[stream * CHANNELS + channel] = new ChannelDecoder(this.#memory, this.#streams, stream, channel);
    }
  }

  closeStream(stream: number): void {
    for (let channel = 0; channel < CHANNELS; channel++) {
      this.get(stream, channel)?.close();
      this.#decoders[stream * CHANNELS + channel] = undefined;
    }
  }

  close(): void {
    for (let stream = 0; stream < this.#streams.capacity; stream++) this.closeStream(stream);
  }

  /** Undefined when the stream is not open, or has no such channel. */
  get(stream: number, channel: number): ChannelDecoder | undefined {
    return this.#decoders[stream * CHANNELS + channel];
  }
}
