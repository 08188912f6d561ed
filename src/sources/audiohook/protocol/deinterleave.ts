/**
 * Separates interleaved channels, four or two pairs at a time, because every byte of a call passes through here. A
 * DataView reads words from the socket's buffer at any alignment; in shared memory they are aligned.
 */

/** The same shared memory as bytes and as words. */
export interface Target {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

/** `pairs` of 8-bit samples from `bytes[from]` on; first and second are byte offsets, multiples of 4. */
export function split8(
  bytes: Uint8Array,
  from: number,
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
    const low = source.getInt32(at, true);
    const high = source.getInt32(at + 4, true);
    words[one++] = (low & 0xff) | ((low >>> 8) & 0xff00) | ((high & 0xff) << 16) | ((high & 0xff0000) << 8);
    words[two++] = ((low >>> 8) & 0xff) | ((low >>> 16) & 0xff00) | ((high & 0xff00) << 8) | (high & 0xff000000);
  }
  for (let i = whole; i < pairs; i++) {
    target.bytes[first + i] = source.getUint8(i * 2);
    target.bytes[second + i] = source.getUint8(i * 2 + 1);
  }
}

/** The same for samples of 16 bits. */
export function split16(
  bytes: Uint8Array,
  from: number,
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
    const low = source.getInt32(at, true);
    const high = source.getInt32(at + 4, true);
    words[one++] = (low & 0xffff) | (high << 16);
    words[two++] = (low >>> 16) | (high & 0xffff0000);
  }
  if (whole === pairs) return;
  for (let i = 0; i < 2; i++) {
    target.bytes[first + whole * 2 + i] = source.getUint8(whole * 4 + i);
    target.bytes[second + whole * 2 + i] = source.getUint8(whole * 4 + 2 + i);
  }
}

export function copy(bytes: Uint8Array, from: number, length: number, to: Uint8Array, at: number): void {
  to.set(bytes.subarray(from, from + length), at);
}
