import { Buffer } from 'node:buffer';
import type { PacketBatch } from '../engine/packet-batch.js';
import { channelMap, type SelectedMedia, sampleBytes } from './media.js';

/** Longest packet handed to the engine. */
const MAX_PACKET_SECONDS = 0.2;
/** Shorter frames are put together up to this, so that tiny ones cost the engine no more than the usual ones. */
const MIN_PACKET_SECONDS = 0.02;

/**
 * Takes interleaved frames of any size apart into packets of one channel each, straight from the socket's buffer into
 * the batch's arena. Only what is shorter than 20 ms, or half a sample pair, is held over to the next frame. Nothing is
 * allocated after construction.
 */
export class Packetiser {
  readonly #batch: PacketBatch;
  readonly #stream: number;
  readonly #channels: readonly number[];
  readonly #sampleBytes: number;
  readonly #pairBytes: number;
  readonly #maxPairs: number;
  readonly #held: Buffer;
  #heldBytes = 0;
  /** Place of the first held, or next, pair on the stream's time line. */
  #positionSamples = 0;
  #sequence: number;
  /** Samples, of all channels, that found no room in the arena: a hole on the time line. */
  droppedSamples = 0;

  constructor(batch: PacketBatch, stream: number, media: SelectedMedia, firstSequence: number) {
    this.#batch = batch;
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

  /** One frame; `positionSamples` is that of the first pair that ends in it. */
  write(bytes: Uint8Array, positionSamples: number, arrivalUs: number): void {
    let at = 0;
    if (this.#heldBytes > 0) {
      if (this.#heldBytes < this.#pairBytes) this.#positionSamples = positionSamples;
      at = this.#hold(bytes, 0);
      if (this.#heldBytes < this.#held.length) return;
      this.#emit(this.#held, 0, this.#held.length / this.#pairBytes, arrivalUs);
      this.#heldBytes = 0;
    } else {
      this.#positionSamples = positionSamples;
    }
    const left = bytes.length - at;
    if (left >= this.#held.length) {
      const pairs = Math.floor(left / this.#pairBytes);
      this.#emit(bytes, at, pairs, arrivalUs);
      at += pairs * this.#pairBytes;
    }
    this.#hold(bytes, at);
  }

  /** Lets go of the whole pairs that are held, if any; half a pair goes on waiting for its other half. */
  release(arrivalUs: number): boolean {
    if (this.#heldBytes < this.#pairBytes) return false;
    const pairs = Math.floor(this.#heldBytes / this.#pairBytes);
    this.#emit(this.#held, 0, pairs, arrivalUs);
    this.#held.copyWithin(0, pairs * this.#pairBytes, this.#heldBytes);
    this.#heldBytes -= pairs * this.#pairBytes;
    return true;
  }

  /** Lets go of everything that is held. Half a pair has lost its other half and is dropped. */
  flush(arrivalUs: number): void {
    this.release(arrivalUs);
    this.#heldBytes = 0;
  }

  #hold(bytes: Uint8Array, from: number): number {
    const end = Math.min(bytes.length, from + this.#held.length - this.#heldBytes);
    for (let i = from; i < end; i++) this.#held[this.#heldBytes++] = bytes[i] as number;
    return end;
  }

  #emit(bytes: Uint8Array, from: number, pairs: number, arrivalUs: number): void {
    let at = from;
    for (let left = pairs; left > 0; ) {
      const count = Math.min(left, this.#maxPairs);
      this.#packet(bytes, at, count, arrivalUs);
      at += count * this.#pairBytes;
      left -= count;
      this.#positionSamples += count;
      this.#sequence += 1;
    }
  }

  #packet(bytes: Uint8Array, from: number, pairs: number, arrivalUs: number): void {
    const batch = this.#batch;
    const length = pairs * this.#sampleBytes;
    const to = batch.claim(length * this.#channels.length);
    if (to < 0) {
      this.droppedSamples += pairs * this.#channels.length;
      return;
    }
    if (this.#channels.length === 1) copy(bytes, from, batch.bytes, to, length);
    else if (this.#sampleBytes === 1) split8(bytes, from, batch.bytes, to, length);
    else split16(bytes, from, batch.bytes, to, length);
    for (let place = 0; place < this.#channels.length; place++) {
      const channel = this.#channels[place] as number;
      const at = to + place * length;
      batch.push(this.#stream, channel, this.#sequence, this.#positionSamples, arrivalUs, 0, at, length);
    }
  }
}

// One pass each: these loops are most of what a frame costs here.

function copy(bytes: Uint8Array, from: number, out: Uint8Array, to: number, length: number): void {
  for (let i = 0; i < length; i++) out[to + i] = bytes[from + i] as number;
}

function split8(bytes: Uint8Array, from: number, out: Uint8Array, to: number, length: number): void {
  for (let first = to, second = to + length, read = from; first < to + length; read += 2) {
    out[first++] = bytes[read] as number;
    out[second++] = bytes[read + 1] as number;
  }
}

function split16(bytes: Uint8Array, from: number, out: Uint8Array, to: number, length: number): void {
  for (let first = to, second = to + length, read = from; first < to + length; read += 4) {
    out[first++] = bytes[read] as number;
    out[first++] = bytes[read + 1] as number;
    out[second++] = bytes[read + 2] as number;
    out[second++] = bytes[read + 3] as number;
  }
}
