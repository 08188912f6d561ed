import type { Buffer } from 'node:buffer';
import type { PayloadArena } from './payload-arena.js';

/**
 * A batch of packet descriptors, the one form in which any source hands packets to the engine. Payloads lie in an
 * arena of shared memory, descriptors in preallocated arrays: nothing is allocated a packet. The JavaScript sources
 * fill it message by message; a native reader may fill the same arrays from a whole socket read.
 *
 * A source claims room, writes the payload into `bytes` there, and pushes the descriptor:
 *
 *     const at = batch.claim(maxBytes);
 *     if (at >= 0) batch.push(stream, channel, sequence, timestamp, arrivalUs, flags, at, writtenBytes);
 */
export class PacketBatch {
  static readonly CAPACITY = 512;

  /** The arena's memory; offsets are absolute within it. */
  readonly bytes: Buffer;
  readonly stream = new Int32Array(PacketBatch.CAPACITY);
  readonly channel = new Uint8Array(PacketBatch.CAPACITY);
  readonly flags = new Uint8Array(PacketBatch.CAPACITY);
  /** As on the wire, not unwrapped. */
  readonly sequence = new Float64Array(PacketBatch.CAPACITY);
  /** As on the wire, not unwrapped. */
  readonly timestamp = new Float64Array(PacketBatch.CAPACITY);
  readonly arrivalUs = new Float64Array(PacketBatch.CAPACITY);
  readonly payloadOffset = new Int32Array(PacketBatch.CAPACITY);
  readonly payloadLength = new Int32Array(PacketBatch.CAPACITY);
  count = 0;

  readonly #arena: PayloadArena;
  readonly #onFull: () => void;

  constructor(arena: PayloadArena, onFull: () => void) {
    this.bytes = arena.bytes;
    this.#arena = arena;
    this.#onFull = onFull;
  }

  /** Room for a payload of at most `maxBytes`: an absolute offset into `bytes`, or −1 when the arena is full. */
  claim(maxBytes: number): number {
    return this.#arena.claim(maxBytes);
  }

  /** The same, for packets that can still find room one by one: nothing is counted as refused. */
  room(maxBytes: number): number {
    return this.#arena.room(maxBytes);
  }

  /** Adds the packet whose payload lies where the last claim said. */
  push(
    stream: number,
    channel: number,
    sequence: number,
    timestamp: number,
    arrivalUs: number,
    flags: number,
    payloadOffset: number,
    payloadLength: number,
  ): void {
    const i = this.count;
    this.stream[i] = stream;
    this.channel[i] = channel;
    this.sequence[i] = sequence;
    this.timestamp[i] = timestamp;
    this.arrivalUs[i] = arrivalUs;
    this.flags[i] = flags;
    this.payloadOffset[i] = payloadOffset;
    this.payloadLength[i] = payloadLength;
    this.#arena.commit(payloadOffset, payloadLength);
    this.count = i + 1;
    if (this.count === PacketBatch.CAPACITY) this.#onFull();
  }
}
