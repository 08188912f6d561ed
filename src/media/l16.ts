/**
 * L16: uncompressed 16-bit PCM, big-endian (RFC 3551 §4.5.11) or little-endian (AudioHook). Two bytes make a sample,
 * so a payload of an odd length is damaged and none of it is decoded: which half of it would be in step is unknown.
 */

/** Decodes big-endian samples; returns how many, or −1 when `length` is odd. */
export function decodeL16(input: Uint8Array, at: number, length: number, out: Int16Array, outAt: number): number {
  if (length & 1) return -1;
  const samples = length >> 1;
  for (let i = 0; i < samples; i++) {
    out[outAt + i] = ((input[at + 2 * i] as number) << 8) | (input[at + 2 * i + 1] as number);
  }
  return samples;
}

/** Decodes little-endian samples; returns how many, or −1 when `length` is odd. */
export function decodeL16Le(input: Uint8Array, at: number, length: number, out: Int16Array, outAt: number): number {
  if (length & 1) return -1;
  const samples = length >> 1;
  for (let i = 0; i < samples; i++) {
    out[outAt + i] = ((input[at + 2 * i + 1] as number) << 8) | (input[at + 2 * i] as number);
  }
  return samples;
}

/** Big-endian, two bytes a sample. */
export function encodeL16(pcm: Int16Array): Uint8Array {
  const bytes = new Uint8Array(pcm.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < pcm.length; i++) view.setInt16(2 * i, pcm[i] as number, false);
  return bytes;
}

/** Little-endian, two bytes a sample. */
export function encodeL16Le(pcm: Int16Array): Uint8Array {
  const bytes = new Uint8Array(pcm.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < pcm.length; i++) view.setInt16(2 * i, pcm[i] as number, true);
  return bytes;
}
