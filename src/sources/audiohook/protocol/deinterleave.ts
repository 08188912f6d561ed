/** The same shared memory as bytes and as words. */
export interface Target {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

/**
 * Where samples come from. They may still be masked as WebSocket clients mask what they send: byte i of the samples is
 * XORed with byte i mod 4 of the mask (RFC 6455 section 5.3); a mask of 0 changes nothing.
 */
export interface Interleaved {
  readonly bytes: Uint8Array;
  /** Where the samples begin. */
  readonly from: number;
  /** Little-endian: its first byte is the lowest. */
  readonly mask: number;
}

/** Writes the samples of each channel into shared memory. JsDeinterleaver is the reference; native/wire does the same. */
export interface Deinterleaver {
  /**
   * @param count Samples of one channel, or pairs of two.
   * @param sampleBytes 1 or 2.
   * @param first Byte offset of the first channel's samples, a multiple of 8.
   * @param second The same of the second one; −1 when there is one channel only.
   */
  write(source: Interleaved, count: number, sampleBytes: number, first: number, second: number): void;
}

/**
 * Four or two pairs at a time, because every byte of a call passes through here. A DataView reads words from the socket's
 * buffer at any alignment; in shared memory they are aligned.
 */
export class JsDeinterleaver implements Deinterleaver {
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  write(source: Interleaved, count: number, sampleBytes: number, first: number, second: number): void {
    if (second < 0) copy(source, count * sampleBytes, this.#target, first);
    else if (sampleBytes === 1) split8(source, count, this.#target, first, second);
    else split16(source, count, this.#target, first, second);
  }
}

function split8(
  { bytes, from, mask }: Interleaved,
  pairs: number,
  target: Target,
  first: number,
  second: number,
): void {
  const { words } = target;
  const source = new DataView(bytes.buffer, bytes.byteOffset + from, pairs * 2);
  const whole = pairs & ~3;
  let one = first >> 2;
  let two = second >> 2;
  for (let at = 0; at < whole * 2; at += 8) {
    const low = source.getInt32(at, true) ^ mask;
    const high = source.getInt32(at + 4, true) ^ mask;
    words[one++] = (low & 0xff) | ((low >>> 8) & 0xff00) | ((high & 0xff) << 16) | ((high & 0xff0000) << 8);
    words[two++] = ((low >>> 8) & 0xff) | ((low >>> 16) & 0xff00) | ((high & 0xff00) << 8) | (high & 0xff000000);
  }
  for (let i = whole; i < pairs; i++) {
    target.bytes[first + i] = source.getUint8(i * 2) ^ maskByte(mask, i * 2);
    target.bytes[second + i] = source.getUint8(i * 2 + 1) ^ maskByte(mask, i * 2 + 1);
  }
}

/** The same for samples of 16 bits. */
function split16(
  { bytes, from, mask }: Interleaved,
  pairs: number,
  target: Target,
  first: number,
  second: number,
): void {
  const { words } = target;
  const source = new DataView(bytes.buffer, bytes.byteOffset + from, pairs * 4);
  const whole = pairs & ~1;
  let one = first >> 2;
  let two = second >> 2;
  for (let at = 0; at < whole * 4; at += 8) {
    const low = source.getInt32(at, true) ^ mask;
    const high = source.getInt32(at + 4, true) ^ mask;
    words[one++] = (low & 0xffff) | (high << 16);
    words[two++] = (low >>> 16) | (high & 0xffff0000);
  }
  if (whole === pairs) return;
  for (let i = 0; i < 2; i++) {
    target.bytes[first + whole * 2 + i] = source.getUint8(whole * 4 + i) ^ maskByte(mask, i);
    target.bytes[second + whole * 2 + i] = source.getUint8(whole * 4 + 2 + i) ^ maskByte(mask, 2 + i);
  }
}

function copy({ bytes, from, mask }: Interleaved, length: number, target: Target, to: number): void {
  if (mask === 0) {
    target.bytes.set(bytes.subarray(from, from + length), to);
    return;
  }
  for (let i = 0; i < length; i++) target.bytes[to + i] = (bytes[from + i] as number) ^ maskByte(mask, i);
}

function maskByte(mask: number, at: number): number {
  return (mask >>> ((at & 3) * 8)) & 0xff;
}
