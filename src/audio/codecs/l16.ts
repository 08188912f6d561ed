import { copySamples, type SampleMemory } from '../sample-memory.js';

/**
 * L16: uncompressed 16-bit PCM, big-endian (RFC 3551 §4.5.11) or little-endian (AudioHook). Two bytes make a sample,
 * so a payload of an odd length is damaged and none of it is decoded: which half of it would be in step is unknown.
 */

/** Decodes big-endian samples; returns how many, or −1 when `length` is odd. */
export function decodeL16(input: SampleMemory, at: number, length: number, out: SampleMemory, outAt: number): number {
  if (length & 1) return -1;
  const samples = length >> 1;
  let done = 0;
  if ((at & 3) === 0 && (outAt & 1) === 0) {
    for (; done + 2 <= samples; done += 2) {
      const word = input.words[(at >> 2) + (done >> 1)] as number;
      out.words[(outAt + done) >> 1] = ((word & 0xff00ff) << 8) | ((word >>> 8) & 0xff00ff);
    }
  }
  for (; done < samples; done++) {
    const from = at + 2 * done;
    out.samples[outAt + done] = ((input.bytes[from] as number) << 8) | (input.bytes[from + 1] as number);
  }
  return samples;
}

/** Decodes little-endian samples; returns how many, or −1 when `length` is odd. */
export function decodeL16Le(input: SampleMemory, at: number, length: number, out: SampleMemory, outAt: number): number {
  if (length & 1) return -1;
  const samples = length >> 1;
  if ((at & 1) === 0) {
    copySamples(input, at >> 1, out, outAt, samples);
    return samples;
  }
  for (let i = 0; i < samples; i++) {
    const from = at + 2 * i;
    out.samples[outAt + i] = ((input.bytes[from + 1] as number) << 8) | (input.bytes[from] as number);
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
