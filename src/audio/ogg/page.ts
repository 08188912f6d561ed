/**
 * Pages of the Ogg container (RFC 3533 §6):
 *
 *     0    "OggS", version 0, flags
 *     6    granule position i64: samples at 48 kHz up to the last packet that ends on the page
 *     14   serial number of the stream, number of the page, u32 each
 *     22   CRC-32 of the page, in which these four bytes are 0
 *     26   number of segments, then a length of each: a packet is so many of 255 and one that is less
 */
export const PAGE_HEADER_BYTES = 27;
export const MAX_SEGMENTS = 255;
/** The longest page. */
export const MAX_PAGE_BYTES = PAGE_HEADER_BYTES + MAX_SEGMENTS + MAX_SEGMENTS * 255;
export const PAGE_FLAG = { CONTINUED: 1, FIRST: 2, LAST: 4 } as const;

const FLAGS_AT = 5;
const GRANULE_AT = 6;
const CRC_AT = 22;
const SEGMENTS_AT = 26;
/** x^32 + x^26 + x^23 + x^22 + x^16 + x^12 + x^11 + x^10 + x^8 + x^7 + x^5 + x^4 + x^2 + x + 1, not reflected. */
const POLYNOMIAL = 0x04c1_1db7;
const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let i = 0; i < 8; i++) crc = crc < 0 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
  return crc >>> 0;
});

/** Also of other bytes: begins with 0, and is not inverted at the end. */
export function oggCrc(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0;
  for (let i = start; i < end; i++) crc = (crc << 8) ^ (CRC[(crc >>> 24) ^ (bytes[i] as number)] as number);
  return crc >>> 0;
}

/** A page in the making: whole packets, which no page shares with another. */
export class OggPage {
  readonly bytes = Buffer.alloc(MAX_PAGE_BYTES);
  readonly #lengths = new Uint8Array(MAX_SEGMENTS);
  readonly #payload = new Uint8Array(MAX_SEGMENTS * 255);
  #segments = 0;
  #payloadBytes = 0;

  get isEmpty(): boolean {
    return this.#segments === 0;
  }

  /** Forgets what was added. */
  clear(): void {
    this.#segments = 0;
    this.#payloadBytes = 0;
  }

  /** Whether a packet of that length fits. One of 65,025 bytes or more, which no Opus packet is, never does. */
  fits(length: number): boolean {
    return this.#segments + Math.floor(length / 255) + 1 <= MAX_SEGMENTS;
  }

  add(packet: Uint8Array, at: number, length: number): void {
    for (let i = 0; i < length; i++) this.#payload[this.#payloadBytes + i] = packet[at + i] as number;
    this.#payloadBytes += length;
    let rest = length;
    for (; rest >= 255; rest -= 255) this.#lengths[this.#segments++] = 255;
    this.#lengths[this.#segments++] = rest;
  }

  /** Completes the page in `bytes` and begins the next one. Returns its length. */
  finish(serial: number, sequence: number, granule: number, flags = 0): number {
    const { bytes } = this;
    bytes.write('OggS\0', 0, 'latin1');
    bytes[FLAGS_AT] = flags;
    bytes.writeBigInt64LE(BigInt(granule), GRANULE_AT);
    bytes.writeUInt32LE(serial, 14);
    bytes.writeUInt32LE(sequence, 18);
    bytes[SEGMENTS_AT] = this.#segments;
    bytes.set(this.#lengths.subarray(0, this.#segments), PAGE_HEADER_BYTES);
    const payloadAt = PAGE_HEADER_BYTES + this.#segments;
    bytes.set(this.#payload.subarray(0, this.#payloadBytes), payloadAt);
    const length = payloadAt + this.#payloadBytes;
    seal(bytes, length);
    this.clear();
    return length;
  }
}

/** Makes a page that lies at the beginning of `bytes` the last one of its stream, which ends at `granule`. */
export function endStream(bytes: Buffer, length: number, granule: number): void {
  bytes[FLAGS_AT] = (bytes[FLAGS_AT] as number) | PAGE_FLAG.LAST;
  bytes.writeBigInt64LE(BigInt(granule), GRANULE_AT);
  seal(bytes, length);
}

/** What a page in a file holds. */
export interface PageContent {
  readonly length: number;
  readonly serial: number;
  readonly sequence: number;
  readonly granule: number;
  /** Where in `bytes` each packet begins, and how long it is. */
  readonly packets: readonly { readonly at: number; readonly length: number }[];
}

/** Reads the page at `at` of `bytes`, up to `end`. Undefined when there is none that is whole, or none of whole packets. */
export function readPage(bytes: Buffer, at: number, end: number): PageContent | undefined {
  if (end - at < PAGE_HEADER_BYTES || bytes.toString('latin1', at, at + 5) !== 'OggS\0') return undefined;
  const segments = bytes[at + SEGMENTS_AT] as number;
  const lengthsEnd = at + PAGE_HEADER_BYTES + segments;
  if (lengthsEnd > end) return undefined;
  const packets: { at: number; length: number }[] = [];
  let next = lengthsEnd;
  let length = 0;
  for (let i = at + PAGE_HEADER_BYTES; i < lengthsEnd; i++) {
    length += bytes[i] as number;
    if (bytes[i] === 255) continue;
    packets.push({ at: next, length });
    next += length;
    length = 0;
  }
  if (next > end || length > 0) return undefined;
  const page = Buffer.from(bytes.subarray(at, next));
  page.writeUInt32LE(0, CRC_AT);
  if (oggCrc(page, 0, page.length) !== bytes.readUInt32LE(at + CRC_AT)) return undefined;
  return {
    length: next - at,
    serial: bytes.readUInt32LE(at + 14),
    sequence: bytes.readUInt32LE(at + 18),
    granule: Number(bytes.readBigInt64LE(at + GRANULE_AT)),
    packets,
  };
}

function seal(bytes: Buffer, length: number): void {
  bytes.writeUInt32LE(0, CRC_AT);
  bytes.writeUInt32LE(oggCrc(bytes, 0, length), CRC_AT);
}
