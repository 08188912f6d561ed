import type { Buffer } from 'node:buffer';
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';

/**
 * Writes prepared bytes to a socket. What the operating system takes at once goes to it directly, which costs a quarter
 * of what a write through a stream of Node does; only what it leaves goes through the stream. Other writers of the
 * same socket, which use the stream, are not overtaken: while the stream holds anything, everything goes through it.
 */
export class SocketWriter {
  readonly #socket: Socket;
  readonly #fd: number;
  /** Writes whose bytes the operating system has not taken whole, and which must not be changed. */
  unwritten = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#fd = descriptorOf(socket);
  }

  /** False when the connection is gone. */
  write(bytes: Buffer): boolean {
    if (this.#socket.destroyed || !this.#socket.writable) return false;
    const taken = this.#fd >= 0 && this.#socket.writableLength === 0 ? this.#writeNow(bytes) : 0;
    if (taken === bytes.length) return true;
    this.unwritten++;
    this.#socket.write(taken === 0 ? bytes : bytes.subarray(taken), this.#written);
    return true;
  }

  readonly #written = (): void => {
    this.unwritten--;
  };

  /** How many bytes were taken. A connection that has broken is left to the stream, which reports it. */
  #writeNow(bytes: Buffer): number {
    try {
      return writeSync(this.#fd, bytes, 0, bytes.length);
    } catch {
      return 0;
    }
  }
}

/** Of a plain socket on Linux or macOS; below 0 elsewhere. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: unknown } };
  return typeof handle?.fd === 'number' ? handle.fd : -1;
}
