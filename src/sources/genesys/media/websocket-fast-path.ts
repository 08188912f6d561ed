import { Buffer } from 'node:buffer';
import { createConnection, isIP, type NetConnectOpts, type Socket } from 'node:net';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { LIMITS } from '../../../core/limits.js';
import { FrameFilter, WHOLE_MESSAGE } from '../../../core/network/frame-filter.js';
import type { InteractionTable } from '../interaction-table.js';
import type { PacketIngest } from './packet-ingest.js';

/** Longest frame that is assembled here when a read ends within it: the largest message and its header. */
const MOST_CARRIED = LIMITS.maxMessageBytes + 4;
const READ_BYTES = 65_536;

/** All sockets read into the same bytes, as each read is processed before the next one. */
const readBytes = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * Takes media packets, each a text frame, out of what a socket reads before ws sees them. Packets of an unusual form go to
 * ws with everything else.
 *
 * For each message ws creates two or three objects and emits events, and for each read Node allocates 64 kB; with a
 * packet every 20 ms a stream, that costs more than all that is done with the packet here.
 *
 * Uses the `onread` option of net.Socket: the socket reads into memory of ours, and what we push goes to the listeners
 * of its data. Behind a proxy there is no such socket: the fast path stays closed, and ws gets everything.
 */
export class WebSocketFastPath extends FrameFilter {
  readonly #packetIngest: PacketIngest;
  readonly #table: InteractionTable;
  #socket: Socket | undefined;

  constructor(packetIngest: PacketIngest, table: InteractionTable) {
    super({ head: WHOLE_MESSAGE.TEXT, masked: false, mostCarried: MOST_CARRIED });
    this.#packetIngest = packetIngest;
    this.#table = table;
  }

  /** The function with which ws connects instead of its own. */
  connector(isSecure: boolean): typeof createConnection {
    const connect = (given: NetConnectOpts): Socket => {
      const onread = { buffer: readBytes, callback: (length: number) => this.read(readBytes, length) };
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
    if (this.#socket?.readableLength === 0) this.start();
  }

  protected override takeFrames(bytes: Buffer, from: number, to: number): number {
    return this.#packetIngest.read(bytes, from, to, this.#table);
  }

  /** The bytes are copied, as the next read overwrites them. */
  protected override pass(bytes: Buffer, from: number, to: number): boolean {
    return this.#socket?.push(Buffer.from(bytes.subarray(from, to))) ?? false;
  }
}

/** For SNI, as ws has it: the name of the host, and none for an address. A name that is given is kept. */
function serverName(options: ConnectionOptions): { servername: string } {
  const { servername, host = '' } = options;
  return { servername: servername ?? (isIP(host) > 0 ? '' : host) };
}
