import { LIMITS } from '../../../core/limits.js';
import type { PacketBatch } from '../../../engine/input/packet-batch.js';
import type { InteractionTable } from '../interaction-table.js';
import { decodeBase64, maxDecodedBytes } from './base64.js';
import { PacketReader } from './packet-reader.js';

/**
 * Reads the packets in the bytes of a socket read, each in a WebSocket frame of its own (RFC 6455 section 5.2: text,
 * final, unmasked) with a message in compact form (PacketReader.scan).
 */
export interface SocketReader {
  /** Where the last read() stopped. */
  readonly end: number;
  /**
   * Reads from `from`, where a frame begins, and fills the batch's rows from batch.row on. Stops before the first frame
   * that is not whole, is of another form, or carries no packet for a flowing interaction of the table in the format of
   * its stream. Returns how many rows it has filled; the caller adds them.
   */
  read(bytes: Uint8Array, from: number, to: number, table: InteractionTable, arrivalUs: number): number;
}

// RFC 6455 section 5.2. No packet is so short that its length would fit into the second byte.
const FINAL_TEXT = 0x81;
const LENGTH_16 = 126;
const HEADER_BYTES = 4;

/** Where the frame at `at` ends if it is whole and of the form that packets have, else −1. */
export function packetFrameEnd(bytes: Uint8Array, at: number, to: number): number {
  if (at + HEADER_BYTES > to || bytes[at] !== FINAL_TEXT || bytes[at + 1] !== LENGTH_16) return -1;
  const end = at + HEADER_BYTES + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
  return end > to ? -1 : end;
}

/** Of a frame as packetFrameEnd() knows it. */
export function messageStart(at: number): number {
  return at + HEADER_BYTES;
}

/** The reference; native/wire does the same. */
export class JsSocketReader implements SocketReader {
  readonly #batch: PacketBatch;
  readonly #reader = new PacketReader();
  readonly #payloads: DataView;
  #end = 0;

  constructor(batch: PacketBatch) {
    this.#batch = batch;
    this.#payloads = new DataView(batch.bytes.buffer);
  }

  get end(): number {
    return this.#end;
  }

  read(bytes: Uint8Array, from: number, to: number, table: InteractionTable, arrivalUs: number): number {
    const batch = this.#batch;
    const { columns } = batch;
    const reader = this.#reader;
    this.#end = from;
    let offset = batch.tryClaim(maxDecodedBytes(to - from));
    if (offset < 0) return 0;
    const first = batch.row;
    const last = first + batch.rows;
    let row = first;
    while (row < last) {
      const end = packetFrameEnd(bytes, this.#end, to);
      if (end < 0 || !reader.scan(bytes, messageStart(this.#end), end, table)) break;
      const { slot } = reader;
      if (table.flowing[slot] === 0 || !fits(table, reader)) break;
      if (maxDecodedBytes(reader.payloadLength) > LIMITS.maxPayloadBytes) break;
      const length = decodeBase64(reader.view, reader.payloadStart, reader.payloadLength, this.#payloads, offset);
      if (length < 0) break;
      columns.channel[row] = (table.stream[slot] as number) * 2 + Math.max(reader.channel, 0);
      columns.wireSequence[row] = reader.sequenceNumber;
      columns.wireTimestamp[row] = reader.timestamp;
      columns.arrivalUs[row] = arrivalUs;
      columns.flags[row] = 0;
      columns.payloadOffset[row] = offset;
      columns.payloadLength[row] = length;
      offset += length;
      row++;
      this.#end = end;
    }
    return row - first;
  }
}

/** Whether the stream of a packet's interaction has the channel and the codec that the packet names. */
export function fits(table: InteractionTable, packet: PacketReader): boolean {
  const { slot, channel, codec } = packet;
  return Math.max(channel, 0) < (table.channels[slot] as number) && (codec < 0 || codec === table.codec[slot]);
}
