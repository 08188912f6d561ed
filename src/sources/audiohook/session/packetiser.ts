import { Buffer } from 'node:buffer';
import { CLAIM, type OrderedIngest } from '../../../engine/input/ingest.js';
import type { Deinterleaver, Interleaved } from '../protocol/deinterleave.js';
import { channelMap, type SelectedMedia, sampleBytes } from '../protocol/media.js';

/** Longest packet passed to the engine. */
const MAX_PACKET_SECONDS = 0.2;
/** Shorter frames are joined up to this length, so that tiny ones cost the engine no more than usual ones. */
const MIN_PACKET_SECONDS = 0.02;

/**
 * Splits interleaved frames of any size into packets of one channel each, written from the socket's buffer directly into
 * the input ring of the stream's shard. Only what is shorter than 20 ms, or half a sample pair, is buffered until the
 * next frame. When the ring is full, the caller calls again with the same arguments. Nothing is allocated per packet.
 */
export class Packetiser {
  readonly #ordered: OrderedIngest;
  readonly #deinterleaver: Deinterleaver;
  readonly #stream: number;
  readonly #channels: readonly number[];
  readonly #sampleBytes: number;
  readonly #pairBytes: number;
  readonly #maxPairs: number;
  readonly #buffer: Buffer;
  #bufferedBytes = 0;
  /** Bytes of the current frame that were taken before the ring was full. */
  #taken = 0;
  /** Position of the first buffered, or next, pair on the stream's time line. */
  #positionSamples = 0;
  #sequence: number;
  /** Unmasked samples, described again for each packet. */
  readonly #plain = { bytes: new Uint8Array(0) as Uint8Array, from: 0, mask: 0 };
  /** Samples, of all channels, that arrived after the engine had ended the stream. */
  droppedSamples = 0;

  constructor(
    ordered: OrderedIngest,
    deinterleaver: Deinterleaver,
    stream: number,
    media: SelectedMedia,
    firstSequence: number,
  ) {
    this.#ordered = ordered;
    this.#deinterleaver = deinterleaver;
    this.#stream = stream;
    this.#channels = channelMap(media);
    this.#sampleBytes = sampleBytes(media);
    this.#pairBytes = this.#sampleBytes * this.#channels.length;
    this.#maxPairs = Math.round(media.rate * MAX_PACKET_SECONDS);
    this.#buffer = Buffer.alloc(Math.round(media.rate * MIN_PACKET_SECONDS) * this.#pairBytes);
    this.#sequence = firstSequence;
  }

  /** Sequence number of the next packet of every channel. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Takes one frame; `positionSamples` is the position of the first pair that ends in it. False when the ring is full:
   * call again with the same arguments before anything else, and it continues where it stopped.
   */
  write(bytes: Uint8Array, positionSamples: number, arrivalUs: number): boolean {
    if (this.#taken === 0 && this.#bufferedBytes < this.#pairBytes) this.#positionSamples = positionSamples;
    if (this.#bufferedBytes > 0) {
      this.#taken += this.#append(bytes, this.#taken);
      if (this.#bufferedBytes === this.#buffer.length) {
        if (!this.#emitPlain(this.#buffer, 0, this.#buffer.length / this.#pairBytes, arrivalUs)) return false;
        this.#bufferedBytes = 0;
      }
    }
    if (bytes.length - this.#taken >= this.#buffer.length) {
      for (let pairs = this.#pairsLeft(bytes); pairs > 0; pairs = this.#pairsLeft(bytes)) {
        const count = Math.min(pairs, this.#maxPairs);
        if (!this.#emitPlain(bytes, this.#taken, count, arrivalUs)) return false;
        this.#taken += count * this.#pairBytes;
      }
    }
    this.#append(bytes, this.#taken);
    this.#taken = 0;
    return true;
  }

  /**
   * Takes a whole number of pairs that make one packet, when nothing is buffered: true; they may be masked. False, and
   * nothing done, when that is not so, or when the ring is full: then they must come by write().
   */
  writeWhole(samples: Interleaved, pairs: number, positionSamples: number, arrivalUs: number): boolean {
    if (this.#taken > 0 || this.#bufferedBytes > 0 || pairs > this.#maxPairs) return false;
    if (pairs * this.#pairBytes < this.#buffer.length) return false;
    this.#positionSamples = positionSamples;
    return this.#emit(samples, pairs, arrivalUs);
  }

  /**
   * Sends the whole pairs that are buffered; half a pair stays. True when there were any and the ring took them.
   */
  release(arrivalUs: number): boolean {
    if (this.#bufferedBytes < this.#pairBytes) return false;
    const pairs = Math.floor(this.#bufferedBytes / this.#pairBytes);
    if (!this.#emitPlain(this.#buffer, 0, pairs, arrivalUs)) return false;
    this.#buffer.copyWithin(0, pairs * this.#pairBytes, this.#bufferedBytes);
    this.#bufferedBytes -= pairs * this.#pairBytes;
    return true;
  }

  /** Sends everything that is buffered; half a pair is dropped. False when the ring is full, as for write(). */
  flush(arrivalUs: number): boolean {
    if (this.#bufferedBytes >= this.#pairBytes && !this.release(arrivalUs)) return false;
    this.#bufferedBytes = 0;
    return true;
  }

  #pairsLeft(bytes: Uint8Array): number {
    return Math.floor((bytes.length - this.#taken) / this.#pairBytes);
  }

  #append(bytes: Uint8Array, from: number): number {
    const length = Math.min(bytes.length - from, this.#buffer.length - this.#bufferedBytes);
    for (let i = 0; i < length; i++) this.#buffer[this.#bufferedBytes++] = bytes[from + i] as number;
    return length;
  }

  #emitPlain(bytes: Uint8Array, from: number, pairs: number, arrivalUs: number): boolean {
    this.#plain.bytes = bytes;
    this.#plain.from = from;
    return this.#emit(this.#plain, pairs, arrivalUs);
  }

  /** Sends a packet of `pairs` on every channel; false when the ring is full. */
  #emit(samples: Interleaved, pairs: number, arrivalUs: number): boolean {
    const ordered = this.#ordered;
    const channels = this.#channels;
    const claim = ordered.claim(this.#stream, pairs * this.#sampleBytes);
    if (claim === CLAIM.FULL) return false;
    if (claim === CLAIM.GIVEN) {
      const first = ordered.at[channels[0] as number] as number;
      const second = channels.length === 1 ? -1 : (ordered.at[channels[1] as number] as number);
      this.#deinterleaver.write(samples, pairs, this.#sampleBytes, first, second);
      ordered.commit(this.#sequence, this.#positionSamples, arrivalUs);
    } else {
      this.droppedSamples += pairs * channels.length;
    }
    this.#positionSamples += pairs;
    this.#sequence += 1;
    return true;
  }
}
