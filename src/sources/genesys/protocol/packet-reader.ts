import { Buffer } from 'node:buffer';
import { CODEC_ID, codecId } from '../../../core/codec.js';
import type { InteractionTable } from '../interaction-table.js';
import { type Message, parseMessage } from './wire.js';

/** The first four characters of a word as getInt32 reads them, big-endian. */
function word(text: string, at = 0): number {
  return Buffer.from(text, 'latin1').readInt32BE(at);
}

// Each key with its quote and colon is compared in whole words, the last overlapping the one before.
const INTE = word('interactionId":"');
const RACT = word('interactionId":"', 4);
const IONI = word('interactionId":"', 8);
const ID_END = word('interactionId":"', 12);
const SEQU = word('sequenceNumber":');
const ENCE = word('sequenceNumber":', 4);
const NUMB = word('sequenceNumber":', 8);
const SEQUENCE_END = word('sequenceNumber":', 12);
const TIME = word('timestamp":');
const STAM = word('timestamp":', 4);
const TIMESTAMP_END = word('timestamp":', 7);
const PAYL = word('payload":"');
const OAD = word('payload":"', 4);
const PAYLOAD_END = word('payload":"', 6);
const CODE = word('codec":"');
const CODEC_END = word('codec":"', 4);
const CHAN = word('channel":');
const NEL = word('channel":', 4);
const CHANNEL_END = word('channel":', 5);

const PCMU = word('pcmu');
const PCMA = word('pcma');
const OPUS = word('opus');
const L16 = word('l16"');

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const ZERO = 0x30;

const HAS_ID = 1;
const HAS_SEQUENCE = 2;
const HAS_TIMESTAMP = 4;
const HAS_PAYLOAD = 8;
const HAS_CODEC = 16;
const HAS_CHANNEL = 32;
const WHOLE = HAS_ID | HAS_SEQUENCE | HAS_TIMESTAMP | HAS_PAYLOAD;

/** A packet with the shortest of ids and an empty payload has more bytes than this. */
const SHORTEST = 64;

// Fifteen digits are an exact integer however they are added up.
const MAX_DIGITS = 15;

// Of the four bytes of a word.
const FOUR_ZEROS = 0x30303030;
const HIGH_BITS = 0x80808080 | 0;
/** Added to a byte, sets its high bit if that is above 9. */
const ABOVE_NINE = 0x76767676;
const ALTERNATE = 0x00ff00ff;

/**
 * Reads packets from the bytes of a message, without making a string or an object. What it found stands in its fields
 * until the next call.
 *
 * `scan` knows the compact form that servers write, {"interactionId":"…","sequenceNumber":n,…}, with its keys in any
 * order, and an id that is on the table. Anything else (white space, escapes, other keys, an
 * unknown id) makes it return false, and `readExact`, by way of JSON.parse, says what the message is. The two agree on
 * every packet that `scan` accepts and whose payload then turns out to be base64.
 */
export class PacketReader {
  /** Where the payload's bytes are: of the message, or of a copy. */
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Offset in `view`, and length, of the payload in base64. */
  payloadStart = 0;
  payloadLength = 0;
  /** Of the table, −1 for an id that is not on it. */
  slot = -1;
  sequenceNumber = 0;
  timestamp = 0;
  /** 0 or 1, or −1 when the packet does not say. */
  channel = -1;
  /** A CodecId, or −1 when the packet does not say. */
  codec = -1;

  #messageView = this.view;
  #idLength = 36;
  // Most servers write the payload last; then its end is the message's, and need not be looked for. Should a codec or
  // channel follow, the decoder stumbles over the quote, and the end is searched from then on.
  #payloadIsLast = true;
  #guessed = false;

  /**
   * True when the message from `from` up to `to` in `bytes` is a packet of the usual form; its payload's characters are
   * not checked.
   */
  scan(bytes: Uint8Array, from: number, to: number, table: InteractionTable): boolean {
    // Many messages lie in what one socket read has brought, so that a view serves for all of them.
    if (bytes.buffer !== this.#messageView.buffer) this.#messageView = new DataView(bytes.buffer);
    const view = this.#messageView;
    const start = bytes.byteOffset + from;
    const end = bytes.byteOffset + to;
    if (end - start < SHORTEST || view.getUint8(start) !== OPEN) return false;
    let seen = 0;
    let at = start + 1;
    this.channel = -1;
    this.codec = -1;
    this.#guessed = false;
    for (;;) {
      if (at + 12 > end || view.getUint8(at) !== QUOTE) return false;
      const key = view.getInt32(at + 1);
      let field: number;
      if (key === PAYL) {
        if (view.getInt32(at + 5) !== OAD || view.getInt32(at + 7) !== PAYLOAD_END) return false;
        field = HAS_PAYLOAD;
        at += 11;
        const close = this.#payloadClose(view, bytes, at, end);
        if (close <= at) return false;
        this.payloadStart = at;
        this.payloadLength = close - at;
        at = close + 1;
      } else if (key === SEQU) {
        if (at + 18 > end || view.getInt32(at + 5) !== ENCE) return false;
        if (view.getInt32(at + 9) !== NUMB || view.getInt32(at + 13) !== SEQUENCE_END) return false;
        field = HAS_SEQUENCE;
        const from = at + 17;
        at = this.#digits(view, from, end);
        if (at < 0) return false;
        this.sequenceNumber = this.#number;
      } else if (key === TIME) {
        if (view.getInt32(at + 5) !== STAM || view.getInt32(at + 8) !== TIMESTAMP_END) return false;
        field = HAS_TIMESTAMP;
        at = this.#digits(view, at + 12, end);
        if (at < 0) return false;
        this.timestamp = this.#number;
      } else if (key === INTE) {
        if (at + 18 > end || view.getInt32(at + 5) !== RACT) return false;
        if (view.getInt32(at + 9) !== IONI || view.getInt32(at + 13) !== ID_END) return false;
        field = HAS_ID;
        at = this.#interaction(view, bytes, at + 17, end, table);
        if (at < 0) return false;
      } else if (key === CHAN) {
        if (view.getInt32(at + 5) !== NEL || view.getInt32(at + 6) !== CHANNEL_END) return false;
        field = HAS_CHANNEL;
        this.channel = view.getUint8(at + 10) - ZERO;
        if (this.channel !== 0 && this.channel !== 1) return false;
        at += 11;
      } else if (key === CODE) {
        if (at + 14 > end || view.getInt32(at + 5) !== CODEC_END) return false;
        field = HAS_CODEC;
        at = this.#codecName(view, at + 9);
        if (at < 0 || at >= end || view.getUint8(at - 1) !== QUOTE) return false;
      } else return false;
      // A key that comes twice counts by its last value, as with JSON.parse.
      if (at >= end) return false;
      seen |= field;
      const after = view.getUint8(at++);
      if (after === COMMA) continue;
      if (after !== CLOSE || at !== end || (seen & WHOLE) !== WHOLE) return false;
      this.view = view;
      return true;
    }
  }

  /** Reads any message exactly. Of a packet the fields are set; its payload lies in a copy. */
  readExact(message: Buffer, table: InteractionTable): Message {
    const read = parseMessage(message.toString('utf8'));
    if (read.kind !== 'packet') return read;
    // A packet that the scan took for another form than it has: look for the end of the payload from here on.
    if (this.#guessed) this.#payloadIsLast = false;
    this.#guessed = false;
    this.slot = table.slotOf(read.interactionId);
    this.sequenceNumber = read.sequenceNumber;
    this.timestamp = read.timestamp;
    this.channel = read.channel ?? -1;
    this.codec = read.codec === undefined ? -1 : codecId(read.codec);
    const payload = Buffer.from(read.payload, 'utf8');
    this.view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    this.payloadStart = 0;
    this.payloadLength = payload.length;
    return read;
  }

  #number = 0;

  /** Leaves the number in #number; returns where it ends, or −1 for what is not a plain integer of JSON. */
  #digits(view: DataView, from: number, end: number): number {
    let at = from;
    let value = 0;
    // Four at a time as long as there are four, each digit in a byte of its own.
    for (; at + 4 <= end; at += 4) {
      const digits = view.getInt32(at) ^ FOUR_ZEROS;
      if (((digits | (digits + ABOVE_NINE)) & HIGH_BITS) !== 0) break;
      const pairs = ((digits >> 8) & ALTERNATE) * 10 + (digits & ALTERNATE);
      value = value * 10_000 + (pairs >> 16) * 100 + (pairs & 0xff);
    }
    for (; at < end; at++) {
      const digit = view.getUint8(at) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const count = at - from;
    if (count === 0 || count > MAX_DIGITS || (count > 1 && view.getUint8(from) === ZERO)) return -1;
    this.#number = value;
    return at;
  }

  /** Finds the id that begins at `from`; returns the place after its quote, or −1 when it is not on the table. */
  #interaction(view: DataView, bytes: Uint8Array, from: number, end: number, table: InteractionTable): number {
    // An id on the table has no quote in it, so one that equals it and is followed by a quote is the whole value. It
    // is mostly as long as the last one.
    let length = this.#idLength;
    const isGuess = from + length < end && view.getUint8(from + length) === QUOTE;
    this.slot = isGuess ? table.find(view, from, length) : -1;
    if (this.slot < 0) {
      length = quoteFrom(bytes, from, end) - from;
      if (length <= 0 || (isGuess && length === this.#idLength)) return -1;
      this.#idLength = length;
      this.slot = table.find(view, from, length);
    }
    return this.slot < 0 ? -1 : from + length + 1;
  }

  /** Where the payload's closing quote is, or −1. */
  #payloadClose(view: DataView, bytes: Uint8Array, from: number, end: number): number {
    if (this.#payloadIsLast && end - 2 > from && view.getUint8(end - 2) === QUOTE) {
      this.#guessed = true;
      return end - 2;
    }
    const close = quoteFrom(bytes, from, end);
    if (close === end - 2) this.#payloadIsLast = true;
    return close;
  }

  /** Sets the codec; returns the place after the closing quote (the caller checks that it is one), or −1. */
  #codecName(view: DataView, at: number): number {
    const name = view.getInt32(at);
    if (name === PCMU) this.codec = CODEC_ID.PCMU;
    else if (name === PCMA) this.codec = CODEC_ID.PCMA;
    else if (name === OPUS) this.codec = CODEC_ID.OPUS;
    else if (name === L16) this.codec = CODEC_ID.L16;
    else return -1;
    return name === L16 ? at + 4 : at + 5;
  }
}

/** Where the next quote is, as an offset into the buffer that `bytes` lie in, or −1 when there is none before `end`. */
function quoteFrom(bytes: Uint8Array, from: number, end: number): number {
  const at = bytes.indexOf(QUOTE, from - bytes.byteOffset) + bytes.byteOffset;
  return at < from || at >= end ? -1 : at;
}
