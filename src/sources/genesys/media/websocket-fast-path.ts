import { Buffer } from 'node:buffer';
import { createConnection, isIP, type NetConnectOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { LIMITS } from '../../../core/limits.js';
import type { InteractionTable } from '../interaction-table.js';
import type { PacketIngest } from './packet-ingest.js';

// RFC 6455 section 5.2.
const FIN = 0x80;
const RESERVED = 0x70;
const OPCODE = 0x0f;
const MASK = 0x80;
const LENGTH = 0x7f;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;
const CONTINUATION = 0;
const BINARY = 2;
const PING = 9;
const PONG = 10;
/** First byte of every frame with a packet. */
const WHOLE_TEXT = FIN | 1;

/** Longest frame that is assembled here when a read ends within it: the largest message and its header. */
const MOST_CARRIED = LIMITS.maxMessageBytes + 4;
const READ_BYTES = 65_536;

/** All sockets read into the same bytes, as each read is processed before the next one. */
const readBytes = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * Takes media packets out of what a socket reads before ws sees them. Everything else goes to ws byte for byte: the
 * handshake, control frames, control messages, packets of an unusual form, and violations of the protocol.
 *
 * For each message ws creates two or three objects and emits events, and for each read Node allocates 64 kB; with a
 * packet every 20 ms a stream, that costs more than all that is done with the packet here. The frames that ws does not
 * see are whole unfragmented text frames, which change nothing in its state.
 *
 * Uses the `onread` option of net.Socket: the socket reads into memory of ours, and what we push goes to the listeners
 * of its data. Behind a proxy there is no such socket: the fast path stays closed, and ws gets everything.
 */
export class WebSocketFastPath {
  readonly #packetIngest: PacketIngest;
  readonly #table: InteractionTable;
  #socket: Socket | undefined;
  #isOpen = false;
  /** Bytes still to come of a frame that ws has begun to get. */
  #passing = 0;
  /** ws is receiving a fragmented message, and other frames may come between its fragments. */
  #isFragmented = false;
  /** Beginning of a frame whose rest has not come yet. */
  #carry = Buffer.alloc(0);
  #carried = 0;

  constructor(packetIngest: PacketIngest, table: InteractionTable) {
    this.#packetIngest = packetIngest;
    this.#table = table;
  }

  /** The function with which ws connects instead of its own. */
  connector(isSecure: boolean): typeof createConnection {
    const connect = (given: NetConnectOpts): Socket => {
      const onread = { buffer: readBytes, callback: (length: number) => this.#take(length) };
      const options = { ...given, onread };
      this.#socket = isSecure ? tlsConnect({ ...options, ...serverName(given) }) : createConnection(options);
      return this.#socket;
    };
    // Of its overloads, http.request knows only this one.
    return connect as typeof createConnection;
  }

  /** The handshake is done: the next byte that is read begins a frame. */
  open(): void {
    // Bytes that came together with the server's answer are with ws already, and may end anywhere within a frame.
    this.#isOpen = this.#socket?.readableLength === 0;
  }

  /** From now on, everything goes to ws. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const carried = this.#carried;
    this.#carried = 0;
    this.#pass(this.#carry, 0, carried);
  }

  /** Returns false to stop reading, as Socket expects it. */
  #take(length: number): boolean {
    if (!this.#isOpen) return this.#pass(readBytes, 0, length);
    let at = this.#carried > 0 ? this.#complete(length) : 0;
    let goesOn = true;
    if (this.#passing > 0) {
      const from = at;
      at = Math.min(length, at + this.#passing);
      this.#passing -= at - from;
      goesOn = this.#pass(readBytes, from, at);
    }
    return this.#walk(readBytes, at, length) && goesOn;
  }

  /** Processes the bytes from `from`, where a frame begins, up to `to`. */
  #walk(bytes: Buffer, from: number, to: number): boolean {
    let goesOn = true;
    for (let at = from; at < to; ) {
      if (!this.#isOpen) return this.#pass(bytes, at, to) && goesOn;
      if (!this.#isFragmented) at = this.#packetIngest.read(bytes, at, to, this.#table);
      if (at === to) break;
      const size = frameBytes(bytes, at, to);
      if (size === 0 || (size > to - at && this.#isWaitedFor(bytes, at, size))) {
        if (this.#carry.length === 0) this.#carry = Buffer.allocUnsafeSlow(MOST_CARRIED);
        this.#carried = bytes.copy(this.#carry, 0, at, to);
        break;
      }
      const end = Math.min(to, at + size);
      this.#passing = at + size - end;
      this.#note(bytes[at] as number, bytes[at + 1] as number);
      goesOn = this.#pass(bytes, at, end) && goesOn;
      at = end;
    }
    return goesOn;
  }

  /** Completes the frame that was cut off and processes it. Returns how many bytes of the read that took. */
  #complete(length: number): number {
    const carry = this.#carry;
    let at = 0;
    let size = frameBytes(carry, 0, this.#carried);
    while (size === 0 && at < length) {
      carry[this.#carried++] = readBytes[at++] as number;
      size = frameBytes(carry, 0, this.#carried);
    }
    if (size === 0) return at;
    if (this.#isWaitedFor(carry, 0, size)) {
      const from = at;
      at = Math.min(length, from + size - this.#carried);
      this.#carried += readBytes.copy(carry, this.#carried, from, at);
      if (this.#carried < size) return at;
    }
    const carried = this.#carried;
    this.#carried = 0;
    this.#walk(carry, 0, carried);
    return at;
  }

  /** Whether a frame that has begun may be a packet's. Of any other, ws gets the part that is there. */
  #isWaitedFor(bytes: Buffer, at: number, size: number): boolean {
    const isPlain = bytes[at] === WHOLE_TEXT && (bytes[at + 1] as number) < MASK;
    return isPlain && !this.#isFragmented && size <= MOST_CARRIED;
  }

  /** Notes what a frame that ws gets means for the frames after it. */
  #note(head: number, second: number): void {
    const opcode = head & OPCODE;
    const isLast = (head & FIN) !== 0;
    const isData = opcode <= BINARY && (opcode === CONTINUATION) === this.#isFragmented;
    // RFC 6455 section 5.5: whole, and of 125 bytes at most.
    const isSignal = (opcode === PING || opcode === PONG) && isLast && (second & LENGTH) < LENGTH_16;
    // After a close frame, or one for which ws will end the connection, nothing counts.
    if ((head & RESERVED) !== 0 || (second & MASK) !== 0 || !(isData || isSignal)) this.#isOpen = false;
    else if (isData) this.#isFragmented = !isLast;
  }

  /** To ws. The bytes are copied, as the next read overwrites them. */
  #pass(bytes: Buffer, from: number, to: number): boolean {
    if (to <= from) return true;
    return this.#socket?.push(Buffer.from(bytes.subarray(from, to))) ?? false;
  }
}

/** Bytes of the frame whose header begins at `at`, header included; 0 when the header is not whole. */
function frameBytes(bytes: Buffer, at: number, to: number): number {
  if (to - at < 2) return 0;
  const second = bytes[at + 1] as number;
  const mask = (second & MASK) === 0 ? 0 : MASK_BYTES;
  const length = second & LENGTH;
  if (length < LENGTH_16) return 2 + mask + length;
  if (length < LENGTH_64) return to - at < 4 ? 0 : 4 + mask + bytes.readUInt16BE(at + 2);
  return to - at < 10 ? 0 : 10 + mask + Number(bytes.readBigUInt64BE(at + 2));
}

/** For SNI, as ws has it: the name of the host, and none for an address. A name that is given is kept. */
function serverName(options: ConnectionOptions): { servername: string } {
  const { servername, host = '' } = options;
  return { servername: servername ?? (isIP(host) > 0 ? '' : host) };
}
