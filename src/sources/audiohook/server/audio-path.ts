import { Buffer } from 'node:buffer';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FrameFilter, frameBytes, headerBytes, WHOLE_MESSAGE } from '../../../core/network/frame-filter.js';
import { readInto } from '../../../core/network/read-into.js';
import type { Interleaved } from '../protocol/deinterleave.js';

/** Of a masked frame. */
const SHORTEST_HEADER = 6;
const MASK_BYTES = 4;
/** Longest frame that is assembled here when a read ends within it; the usual ones have 3 to 13 kB. */
const MOST_CARRIED = 65_536;
const READ_BYTES = 65_536;

/** All sockets read into the same bytes, as each read is processed before the next one. */
const readBytes = Buffer.allocUnsafeSlow(READ_BYTES);

/** What takes audio. */
export interface AudioPathDependencies {
  /** A longer message ends the connection. */
  readonly messageBytes: number;
  /**
   * Takes the audio of a frame, `length` bytes that are still masked; valid until this returns. False, and nothing done,
   * when it must come by ws.
   */
  audio(samples: Interleaved, length: number): boolean;
}

/**
 * The way of audio from a client's socket: whole data frames go to the session at once, past ws, which would copy and
 * unmask them first and emit two events for each.
 *
 * Each read goes into memory that all sockets share, where Node offers that: otherwise it allocates 64 kB for each, and the
 * garbage collector has more to do than all that is done with the audio here. Then this takes what Node gives to push(),
 * from where it would go to the listeners for data, and so to ws. Over TLS it is the same.
 */
export class AudioPath extends FrameFilter {
  readonly #socket: Duplex;
  readonly #push: Duplex['push'];
  readonly #dependencies: AudioPathDependencies;
  readonly #mostTaken: number;
  readonly #samples = { bytes: new Uint8Array(0) as Uint8Array, from: 0, mask: 0 };
  /** The read at hand goes to the listeners for data at once: the socket is not paused, nor anything before it waiting. */
  #isFlowing = false;

  /** @param socket where ws has just begun to read: the next byte begins a frame, unless some wait already. */
  constructor(socket: Duplex, dependencies: AudioPathDependencies) {
    const mostTaken = dependencies.messageBytes + SHORTEST_HEADER;
    super({ head: WHOLE_MESSAGE.BINARY, masked: true, mostCarried: Math.min(MOST_CARRIED, mostTaken) });
    this.#socket = socket;
    this.#push = socket.push;
    this.#dependencies = dependencies;
    this.#mostTaken = mostTaken;
    // Another stream may wait for push() itself before it reads on.
    if (!(socket instanceof Socket) || socket.readableLength > 0) return;
    socket.push = (chunk: unknown, encoding?: BufferEncoding) => this.#take(chunk, encoding);
    this.start();
    readInto(socket, readBytes, (length) => this.#read(readBytes, length));
  }

  protected override takeFrames(bytes: Buffer, from: number, to: number): number {
    let at = from;
    for (;;) {
      const size = frameBytes(bytes, at, to);
      if (size === 0 || size > to - at || size > this.#mostTaken || !this.takesForm(bytes, at)) return at;
      const header = headerBytes(bytes, at);
      const samples = this.#samples;
      samples.bytes = bytes;
      samples.from = at + header;
      samples.mask = bytes.readInt32LE(at + header - MASK_BYTES);
      if (!this.#dependencies.audio(samples, size - header)) return at;
      at += size;
    }
  }

  protected override pass(bytes: Buffer, from: number, to: number, isRead: boolean): boolean {
    // What was carried is overwritten by the next frame, and shared memory by the next read; ws may keep what it gets.
    const part = isRead && bytes !== readBytes ? bytes.subarray(from, to) : Buffer.from(bytes.subarray(from, to));
    if (!this.#isFlowing) return this.#push.call(this.#socket, part);
    // All of a read, even when the socket is paused within it: ws would not stop in the middle of one either.
    this.#socket.emit('data', part);
    return true;
  }

  /** What Node gives to push(): a read into memory of its own, or the end. */
  #take(chunk: unknown, encoding: BufferEncoding | undefined): boolean {
    if (Buffer.isBuffer(chunk)) return this.#read(chunk, chunk.length);
    this.#isFlowing = false;
    this.close();
    return this.#push.call(this.#socket, chunk, encoding);
  }

  #read(bytes: Buffer, length: number): boolean {
    const { readableFlowing, readableLength } = this.#socket;
    this.#isFlowing = readableFlowing === true && readableLength === 0;
    return this.read(bytes, length, this.#isFlowing);
  }
}
