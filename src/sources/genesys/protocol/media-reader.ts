import { LIMITS } from '../../../core/limits.js';
import type { InteractionTable } from '../interaction-table.js';
import { base64Room, decodeBase64 } from './base64.js';
import { PacketReader } from './packet-reader.js';

/** Most packets that one call reads. */
export const READ_MOST = 256;

/** What a call of MediaReader.read() has found; the reader's own, and valid until its next call. */
export interface MediaPackets {
  /** Where the packet's frame ends. */
  readonly end: Int32Array;
  /** On the roster. */
  readonly slot: Uint8Array;
  /** 0 or 1, or −1 when the packet does not say. */
  readonly channel: Int8Array;
  /** A CodecId, or −1 when the packet does not say. */
  readonly codec: Int8Array;
  /** As on the wire. */
  readonly sequence: Float64Array;
  readonly timestamp: Float64Array;
  /** Of the decoded payload, absolute within the arena's memory. */
  readonly payloadOffset: Int32Array;
  readonly payloadLength: Int32Array;
}

export function emptyPackets(): MediaPackets {
  return {
    end: new Int32Array(READ_MOST),
    slot: new Uint8Array(READ_MOST),
    channel: new Int8Array(READ_MOST),
    codec: new Int8Array(READ_MOST),
    sequence: new Float64Array(READ_MOST),
    timestamp: new Float64Array(READ_MOST),
    payloadOffset: new Int32Array(READ_MOST),
    payloadLength: new Int32Array(READ_MOST),
  };
}

/**
 * Reads the media packets that stand one behind the other in the bytes of a socket read, each a WebSocket frame of its
 * own (RFC 6455 section 5.2: text, whole, unmasked) with a message of the usual form (PacketReader.scan).
 */
export interface MediaReader {
  readonly packets: MediaPackets;
  /**
   * Reads up to `most` packets from `from`, where a frame begins, and decodes their payloads one behind the other to
   * `at` of the arena, which must have room for three quarters of the bytes up to `to`. Stops before what is no such
   * frame, or is not whole, and behind the first packet of an interaction that is not flowing yet. Returns how many
   * there were.
   */
  read(bytes: Uint8Array, from: number, to: number, roster: InteractionTable, at: number, most: number): number;
}

// RFC 6455 section 5.2.
const WHOLE_TEXT = 0x81;
const LENGTH_16 = 126;

/** The reference. */
export class JsMediaReader implements MediaReader {
  readonly packets = emptyPackets();
  readonly #reader = new PacketReader();
  readonly #arena: DataView;

  /** @param arena the whole memory that the arena lies in. */
  constructor(arena: ArrayBufferLike) {
    this.#arena = new DataView(arena);
  }

  read(bytes: Uint8Array, from: number, to: number, roster: InteractionTable, at: number, most: number): number {
    const { packets } = this;
    const reader = this.#reader;
    let count = 0;
    let frame = from;
    let free = at;
    // No packet is so short that its length would stand in the second byte of its frame.
    while (count < most && frame + 4 <= to && bytes[frame] === WHOLE_TEXT && bytes[frame + 1] === LENGTH_16) {
      const message = frame + 4;
      const end = message + (((bytes[frame + 2] as number) << 8) | (bytes[frame + 3] as number));
      if (end > to || !reader.scan(bytes, message, end, roster)) break;
      if (base64Room(reader.payloadLength) > LIMITS.maxPayloadBytes) break;
      const length = decodeBase64(reader.view, reader.payloadStart, reader.payloadLength, this.#arena, free);
      if (length < 0) break;
      const { slot } = reader;
      packets.end[count] = end;
      packets.slot[count] = slot;
      packets.channel[count] = reader.channel;
      packets.codec[count] = reader.codec;
      packets.sequence[count] = reader.sequenceNumber;
      packets.timestamp[count] = reader.timestamp;
      packets.payloadOffset[count] = free;
      packets.payloadLength[count] = length;
      count++;
      free += length;
      frame = end;
      if (roster.flowing[slot] === 0) break;
    }
    return count;
  }
}
