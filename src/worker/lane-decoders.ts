import { CODEC_ID } from '../core/codec.js';
import { concealLost, concealmentSlots, initConcealment, rememberHeard } from '../media/concealment.js';
import { decodePcma, decodePcmu } from '../media/g711.js';
import { decodeL16, decodeL16Le } from '../media/l16.js';
import { OpusDecoder, opusPacketSamples } from '../media/opus.js';
import { STREAM, type StreamTable } from '../ring/stream-table.js';

/** Packets a second when nothing better is known of one that cannot be decoded. */
const USUAL_RATE = 50;

/** What a shard holds of one channel of one stream. */
interface Lane {
  readonly codec: number;
  readonly sampleRate: number;
  readonly opus: OpusDecoder | undefined;
  /** State of media/concealment.ts; empty for Opus, which conceals by itself. */
  readonly heard: Int16Array;
  /** Samples of the last good packet, which one that cannot be decoded is taken to have had as well. */
  lastSamples: number;
}

/** The decoders of a shard's streams: packets to PCM, and something to hear where there is none. */
export class LaneDecoders {
  readonly #streams: StreamTable;
  readonly #lanes: (Lane | undefined)[];
  /** Samples a tick of the RTP clock, by stream. */
  readonly #samplesPerTick: Float64Array;

  constructor(streams: StreamTable) {
    this.#streams = streams;
    this.#lanes = new Array<Lane | undefined>(streams.capacity * 2).fill(undefined);
    this.#samplesPerTick = new Float64Array(streams.capacity);
  }

  /** @throws TrunklineError LIMIT_EXCEEDED when there is no memory left for an Opus decoder. */
  open(stream: number): void {
    this.closeStream(stream);
    const codec = this.#streams.get(stream, STREAM.CODEC);
    const sampleRate = this.#streams.get(stream, STREAM.SAMPLE_RATE);
    const channels = this.#streams.get(stream, STREAM.CHANNELS);
    this.#samplesPerTick[stream] = sampleRate / this.#streams.get(stream, STREAM.CLOCK_RATE);
    for (let channel = 0; channel < channels; channel++) {
      const isOpus = codec === CODEC_ID.OPUS;
      const heard = new Int16Array(isOpus ? 0 : concealmentSlots(sampleRate));
      if (!isOpus) initConcealment(heard, 0, sampleRate);
      this.#lanes[stream * 2 + channel] = {
        codec,
        sampleRate,
        opus: isOpus ? new OpusDecoder(sampleRate) : undefined,
        heard,
        lastSamples: sampleRate / USUAL_RATE,
      };
    }
  }

  closeStream(stream: number): void {
    for (const lane of [stream * 2, stream * 2 + 1]) {
      this.#lanes[lane]?.opus?.free();
      this.#lanes[lane] = undefined;
    }
  }

  close(): void {
    for (let lane = 0; lane < this.#lanes.length; lane += 2) this.closeStream(lane >> 1);
  }

  isOpen(stream: number, channel: number): boolean {
    return this.#lanes[stream * 2 + channel] !== undefined;
  }

  ticksToSamples(stream: number, ticks: number): number {
    return Math.round(ticks * (this.#samplesPerTick[stream] as number));
  }

  /** Samples that decode() will give for this packet; a guess for one that it will refuse. */
  packetSamples(stream: number, channel: number, input: Uint8Array, at: number, length: number): number {
    const lane = this.#lanes[stream * 2 + channel] as Lane;
    switch (lane.codec) {
      case CODEC_ID.PCMU:
      case CODEC_ID.PCMA:
        return length > 0 ? length : lane.lastSamples;
      case CODEC_ID.OPUS: {
        const samples = opusPacketSamples(input, at, length, lane.sampleRate);
        return samples > 0 ? samples : lane.lastSamples;
      }
      default:
        return length > 0 && length % 2 === 0 ? length >> 1 : lane.lastSamples;
    }
  }

  /** Decodes into `pcm[pcmAt]` on, packetSamples() long. Negative when the packet is corrupt; nothing is thrown. */
  decode(
    stream: number,
    channel: number,
    input: Uint8Array,
    at: number,
    length: number,
    pcm: Int16Array,
    pcmAt: number,
  ): number {
    const lane = this.#lanes[stream * 2 + channel] as Lane;
    let samples = length;
    if (length === 0) return -1;
    switch (lane.codec) {
      case CODEC_ID.PCMU:
        decodePcmu(input, at, length, pcm, pcmAt);
        break;
      case CODEC_ID.PCMA:
        decodePcma(input, at, length, pcm, pcmAt);
        break;
      case CODEC_ID.L16:
        samples = decodeL16(input, at, length, pcm, pcmAt);
        break;
      case CODEC_ID.L16_LE:
        samples = decodeL16Le(input, at, length, pcm, pcmAt);
        break;
      default:
        samples = lane.opus?.decode(input, at, length, pcm, pcmAt) ?? -1;
    }
    if (samples < 0) return samples;
    if (lane.opus === undefined) rememberHeard(lane.heard, 0, pcm, pcmAt, samples);
    lane.lastSamples = samples;
    return samples;
  }

  /** Writes `samples` in place of what is not there. */
  conceal(stream: number, channel: number, samples: number, pcm: Int16Array, pcmAt: number): void {
    const lane = this.#lanes[stream * 2 + channel] as Lane;
    if (lane.opus === undefined) {
      concealLost(lane.heard, 0, pcm, pcmAt, samples);
    } else if (lane.opus.conceal(samples, pcm, pcmAt) < 0) {
      pcm.fill(0, pcmAt, pcmAt + samples);
    }
  }
}
