import { SAMPLE_RATES } from '../../core/codec.js';
import { TrunklineError } from '../../core/errors.js';
import type { SampleMemory } from '../sample-memory.js';
import { hasOpusRedundancy, isOpusCelt, OPUS_ERROR, opusFrameSamples, opusPacketSamples } from './opus-packet.js';
import { OPUS_PACKET_BYTES, type OpusRate, opusRate, type PacketBytes } from './opus-wasm.js';

export { hasOpusRedundancy, OPUS_ERROR, opusPacketSamples } from './opus-packet.js';
export { opusMemoryBytes } from './opus-wasm.js';

// Durations are multiples of 2.5 ms, the shortest frame, and no packet is longer than 120 ms.
const UNITS_A_SECOND = 400;
const MAX_UNITS = 48;
/** Hybrid counts as SILK: both have redundancy of their SILK part. */
const MODE = { NONE: 0, SILK: 1, CELT: 2 };

function checkedRate(sampleRate: number): number {
  if ((SAMPLE_RATES as readonly number[]).includes(sampleRate)) return sampleRate;
  throw new TrunklineError(
    'CODEC_UNSUPPORTED',
    `Opus has no sample rate of ${sampleRate}; choose one of ${SAMPLE_RATES.join(', ')}.`,
  );
}

/**
 * One channel of Opus (RFC 6716) as mono PCM; stereo packets are mixed down. Thousands fit into one thread: each is
 * 18 kB of WebAssembly memory. It lies outside the garbage collector's reach, so free() must be called.
 *
 * Bad data never throws. Should libopus itself ever trap, the error is a WebAssembly.RuntimeError and its memory is
 * no longer to be trusted: let the thread end.
 */
export class OpusDecoder {
  readonly #rate: OpusRate;
  readonly #sampleRate: number;
  #state: number;
  /** What libopus is in the middle of, which decides whether it takes what is missing from a packet's redundancy. */
  #mode = MODE.NONE;

  /** @throws TrunklineError CODEC_UNSUPPORTED for another rate, LIMIT_EXCEEDED when the thread has no memory left. */
  constructor(sampleRate: number) {
    this.#sampleRate = checkedRate(sampleRate);
    this.#rate = opusRate(sampleRate);
    this.#state = this.#rate.open('decoder');
  }

  /**
   * Decodes the packet of `length` bytes at `input.bytes[at]` into `out.samples` from `outAt` on. Returns the number of
   * samples, 2.5 to 120 ms, or a negative OPUS_ERROR; then nothing was written, and conceal() replaces the packet.
   */
  decode(input: PacketBytes, at: number, length: number, out: SampleMemory, outAt: number): number {
    if (this.#state === 0) return OPUS_ERROR.FREED;
    const due = opusPacketSamples(input.bytes, at, length, this.#sampleRate);
    if (due < 0 || length > OPUS_PACKET_BYTES) return OPUS_ERROR.BAD_PACKET;
    if (outAt + due > out.samples.length) return OPUS_ERROR.OUTPUT_FULL;
    const isDecoded = this.#rate.decode(this.#state, input, at, length, due, false) === due;
    // libopus changes its mode before it knows whether the frames are sound.
    if (isDecoded || this.#mode !== MODE.NONE) {
      this.#mode = isOpusCelt(input.bytes[at] as number) ? MODE.CELT : MODE.SILK;
    }
    if (!isDecoded) return OPUS_ERROR.BAD_FRAME;
    this.#rate.takeSamples(due, out, outAt);
    return due;
  }

  /**
   * Writes the `samples` that were lost before the packet of `length` bytes at `input.bytes[at]`: its in-band FEC (LBRR,
   * RFC 6716 §2.1.7) where it has some, which covers one frame; concealment before that, or all of it. True when there
   * was FEC.
   */
  recover(input: PacketBytes, at: number, length: number, samples: number, out: SampleMemory, outAt: number): boolean {
    const hasFec =
      this.#mode === MODE.SILK &&
      this.#isPlain(samples) &&
      outAt + samples <= out.samples.length &&
      length <= OPUS_PACKET_BYTES &&
      hasOpusRedundancy(input.bytes, at, length) &&
      opusFrameSamples(input.bytes[at] as number, this.#sampleRate) <= samples;
    if (hasFec && this.#rate.decode(this.#state, input, at, length, samples, true) === samples) {
      this.#rate.takeSamples(samples, out, outAt);
      return true;
    }
    this.conceal(samples, out, outAt);
    return false;
  }

  /** Whether libopus can make up or recover that many samples in one call: whole 2.5 ms, 120 ms at most. */
  #isPlain(samples: number): boolean {
    const unit = this.#sampleRate / UNITS_A_SECOND;
    return samples % unit === 0 && samples <= MAX_UNITS * unit;
  }

  /**
   * Writes `samples` of libopus's loss concealment, which fades to comfort noise or silence; digital silence before
   * the first packet. Any length goes: what is left below 20, 10, 5 or 2.5 ms is concealed in the next shorter of
   * these, and a rest below 2.5 ms is the beginning of 2.5 ms. Returns `samples`, or a negative OPUS_ERROR.
   */
  conceal(samples: number, out: SampleMemory, outAt: number): number {
    if (this.#state === 0) return OPUS_ERROR.FREED;
    if (outAt + samples > out.samples.length) return OPUS_ERROR.OUTPUT_FULL;
    const end = outAt + samples;
    if (this.#mode === MODE.NONE) {
      out.samples.fill(0, outAt, end);
      return samples;
    }
    let step = 0;
    for (let next = outAt; next < end; ) {
      while (step < 3 && this.#sampleRate / (50 << step) > end - next) step++;
      const made = this.#rate.conceal(this.#state, this.#sampleRate / (50 << step));
      if (made <= 0) {
        out.samples.fill(0, next, end);
        return OPUS_ERROR.BAD_FRAME;
      }
      const taken = Math.min(made, end - next);
      this.#rate.takeSamples(taken, out, next);
      next += taken;
    }
    return samples;
  }

  /** A fresh one of the same rate. @throws TrunklineError LIMIT_EXCEEDED when the thread has no memory left. */
  another(): OpusDecoder {
    return new OpusDecoder(this.#sampleRate);
  }

  /** Samples of a packet, or a negative OPUS_ERROR. */
  samplesOf(packet: Uint8Array): number {
    return opusPacketSamples(packet, 0, packet.length, this.#sampleRate);
  }

  /** Becomes what `other`, a decoder of the same rate, is: it decodes all that follows as the other one would. */
  copyFrom(other: OpusDecoder): void {
    if (this.#state === 0 || other.#state === 0) return;
    this.#rate.copy('decoder', other.#state, this.#state);
    this.#mode = other.#mode;
  }

  /** Whether `other`, a decoder of the same rate, would decode all that follows alike. */
  isSame(other: OpusDecoder): boolean {
    return this.#mode === other.#mode && this.#rate.isSame(this.#state, other.#state);
  }

  /** Resets the decoder, for a sender that restarts. */
  reset(): void {
    if (this.#state === 0) return;
    this.#rate.reset('decoder', this.#state);
    this.#mode = MODE.NONE;
  }

  /** Gives the memory back. Calling it again does nothing. */
  free(): void {
    if (this.#state === 0) return;
    this.#rate.close(this.#state);
    this.#state = 0;
  }
}

export interface OpusEncoderOptions {
  readonly sampleRate: number;
  /** Bits a second, 500 to 512,000; libopus chooses by the rate when absent. */
  readonly bitrate?: number;
  /** Discontinuous transmission: silence is coded in packets of at most 2 bytes, which a sender may withhold. */
  readonly dtx?: boolean;
  /** 0, fastest, to 10; libopus's own is 9. The packets decode alike, they only sound less good. */
  readonly complexity?: number;
}

const SET_BITRATE = 4002;
const SET_DTX = 4016;
const SET_COMPLEXITY = 4010;
// The stack of libopus-wasm is 64 kB and unguarded. Decoding needs at most 38 kB of it, by a painted stack under fuzzing;
// encoding at 48 kHz 48 kB for 40 ms, and it runs over for 60 ms.
const MAX_ENCODED_SAMPLES = 1920;

/** A mono Opus encoder for speech (application VOIP): for the simulator, not for the hot path. Must be freed. */
export class OpusEncoder {
  readonly #rate: OpusRate;
  readonly #sampleRate: number;
  #state: number;

  /** @throws TrunklineError CODEC_UNSUPPORTED for a rate or bitrate that Opus does not have. */
  constructor(options: OpusEncoderOptions) {
    this.#sampleRate = checkedRate(options.sampleRate);
    this.#rate = opusRate(options.sampleRate);
    this.#state = this.#rate.open('encoder');
    if (options.bitrate !== undefined && this.#rate.control(this.#state, SET_BITRATE, options.bitrate) < 0) {
      this.free();
      throw new TrunklineError(
        'CODEC_UNSUPPORTED',
        `Opus has no bitrate of ${options.bitrate}; choose 500 to 512000 bits a second.`,
      );
    }
    this.#rate.control(this.#state, SET_DTX, options.dtx ? 1 : 0);
    if (options.complexity !== undefined) this.#rate.control(this.#state, SET_COMPLEXITY, options.complexity);
  }

  /**
   * One packet of 2.5, 5, 10, 20, 40 or (below 48 kHz) 60 ms.
   * @throws TrunklineError CODEC_UNSUPPORTED for any other length, ENGINE_CLOSED after free().
   */
  encode(pcm: Int16Array): Uint8Array {
    if (this.#state === 0) throw new TrunklineError('ENGINE_CLOSED', 'This Opus encoder was freed; make a new one.');
    const packet = pcm.length <= MAX_ENCODED_SAMPLES ? this.#rate.encode(this.#state, pcm) : -1;
    if (typeof packet === 'number') {
      throw new TrunklineError(
        'CODEC_UNSUPPORTED',
        `Opus cannot encode ${pcm.length} samples at ${this.#sampleRate} Hz as one packet; give it 2.5, 5, 10, 20 or 40 ms.`,
      );
    }
    return packet;
  }

  /** Gives the memory back. Calling it again does nothing. */
  free(): void {
    if (this.#state === 0) return;
    this.#rate.close(this.#state);
    this.#state = 0;
  }
}
