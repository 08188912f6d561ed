import { Buffer } from 'node:buffer';
import { CLAIM, type OrderedIngest } from '../../../engine/input/ingest.js';
import { copy, split8, split16 } from '../protocol/deinterleave.js';
import { channelMap, type SelectedMedia, sampleBytes } from '../protocol/media.js';

/** Longest packet handed to the engine. */
const MAX_PACKET_SECONDS = 0.2;
/** Shorter frames are put together up to this, so that tiny ones cost the engine no more than the usual ones. */
const MIN_PACKET_SECONDS = 0.02;

/**
 * Takes interleaved frames of any size apart into packets of one channel each, straight from the socket's buffer into
 * the ring of the stream's shard. Only what is shorter than 20 ms, or half a sample pair, is held over to the next
 * frame. What finds no room stays with the caller, who comes again with the same. Nothing is allocated a packet but a
 * view of the frame.
 */
export class Packetiser {
  readonly #ordered: OrderedIngest;
  readonly #stream: number;
  readonly #channels: readonly number[];
  readonly #sampleBytes: number;
  readonly #pairBytes: number;
  readonly #maxPairs: number;
  readonly #held: Buffer;
  #heldBytes = 0;
  /** Bytes of the frame at hand that were taken before room ran out. */
  #taken = 0;
  /** Place of the first held, or next, pair on the stream's time line. */
  #positionSamples = 0;
  #sequence: number;
  /** Samples, of all channels, of a stream that the engine had already ended. */
  droppedSamples = 0;

  constructor(ordered: OrderedIngest, stream: number, media: SelectedMedia, firstSequence: number) {
    this.#ordered = ordered;
    this.#stream = stream;
    this.#channels = channelMap(media);
    this.#sampleBytes = sampleBytes(media);
    this.#pairBytes = this.#sampleBytes * this.#channels.length;
    this.#maxPairs = Math.round(media.rate * MAX_PACKET_SECONDS);
    this.#held = Buffer.alloc(Math.round(media.rate * MIN_PACKET_SECONDS) * this.#pairBytes);
    this.#sequence = firstSequence;
  }

  /** Sequence number of the next packet of every channel. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * One frame; `positionSamples` is that of the first pair that ends in it. False when room has run out: call again
   * with the same before anything else, and it goes on where it stopped.
   */
  write(bytes: Uint8Array, positionSamples: number, arrivalUs: number): boolean {
    if (this.#taken === 0 && this.#heldBytes < this.#pairBytes) this.#positionSamples = positionSamples;
    if (this.#heldBytes > 0) {
      this.#taken += this.#hold(bytes, this.#taken);
      if (this.#heldBytes === this.#held.length) {
        if (!this.#emit(this.#held, 0, this.#held.length / this.#pairBytes, arrivalUs)) return false;
        this.#heldBytes = 0;
      }
    }
    if (bytes.length - this.#taken >= this.#held.length) {
      for (let pairs = this.#pairsLeft(bytes); pairs > 0; pairs = this.#pairsLeft(bytes)) {
        const count = Math.min(pairs, this.#maxPairs);
        if (!this.#emit(bytes, this.#taken, count, arrivalUs)) return false;
        this.#taken += count * this.#pairBytes;
      }
    }
    this.#hold(bytes, this.#taken);
    this.#taken = 0;
    return true;
  }

  /**
   * Lets go of the whole pairs that are held; half a pair goes on waiting for its other half. True when there were any,
   * and room for them.
   */
  release(arrivalUs: number): boolean {
    if (this.#heldBytes < this.#pairBytes) return false;
    const pairs = Math.floor(this.#heldBytes / this.#pairBytes);
    if (!this.#emit(this.#held, 0, pairs, arrivalUs)) return false;
    this.#held.copyWithin(0, pairs * this.#pairBytes, this.#heldBytes);
    this.#heldBytes -= pairs * this.#pairBytes;
    return true;
  }

  /** Lets go of everything that is held; half a pair has lost its other half and is dropped. False: no room, as above. */
  flush(arrivalUs: number): boolean {
    if (this.#heldBytes >= this.#pairBytes && !this.release(arrivalUs)) return false;
    this.#heldBytes = 0;
    return true;
  }

  #pairsLeft(bytes: Uint8Array): number {
    return Math.floor((bytes.length - this.#taken) / this.#pairBytes);
  }

  #hold(bytes: Uint8Array, from: number): number {
    const length = Math.min(bytes.length - from, this.#held.length - this.#heldBytes);
    for (let i = 0; i < length; i++) this.#held[this.#heldBytes++] = bytes[from + i] as number;
    return length;
  }

  /** A packet of `pairs` on every channel; false when there is no room for it. */
  #emit(bytes: Uint8Array, from: number, pairs: number, arrivalUs: number): boolean {
    const ordered = this.#ordered;
    const channels = this.#channels;
    const claim = ordered.claim(this.#stream, pairs * this.#sampleBytes);
    if (claim === CLAIM.FULL) return false;
    if (claim === CLAIM.GIVEN) {
      const first = ordered.at[channels[0] as number] as number;
      if (channels.length === 1) copy(bytes, from, pairs * this.#sampleBytes, ordered.bytes, first);
      else {
        const second = ordered.at[channels[1] as number] as number;
        const split = this.#sampleBytes === 1 ? split8 : split16;
        split(bytes, from, pairs, ordered, first, second);
      }
      ordered.commit(this.#sequence, this.#positionSamples, arrivalUs);
    } else {
      this.droppedSamples += pairs * channels.length;
    }
    this.#positionSamples += pairs;
    this.#sequence += 1;
    return true;
  }
}
