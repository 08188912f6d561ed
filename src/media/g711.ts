/**
 * ITU-T G.711: 8-bit logarithmic PCM, µ-law (PCMU) and A-law (PCMA), to and from 16-bit linear PCM. Codes decode to
 * the values of the ITU software tool library (G.191, ulaw_expand and alaw_expand): 14-bit µ-law values stand in the
 * upper bits of 16, times 4; 13-bit A-law values times 8.
 *
 * Decoding is a table look-up over offsets, for it is done for every packet; encoding serves the simulator.
 */

const ULAW_BIAS = 33;
const ULAW_CLIP = 0x1fff;

// G.711 table 2a. A code goes over the line with all bits inverted: sign, three bits of segment, four of interval.
function expandUlaw(code: number): number {
  const bits = ~code & 0xff;
  const segment = (bits >> 4) & 7;
  const magnitude = ((((bits & 15) << 1) + ULAW_BIAS) << segment) - ULAW_BIAS;
  return bits & 0x80 ? -magnitude * 4 : magnitude * 4;
}

// G.711 table 1a. A code goes over the line with its even bits inverted (0x55). Segments 0 and 1 share one step size.
function expandAlaw(code: number): number {
  const bits = code ^ 0x55;
  const segment = (bits >> 4) & 7;
  const interval = ((bits & 15) << 1) + 1;
  const magnitude = segment === 0 ? interval : (interval + 32) << (segment - 1);
  return bits & 0x80 ? magnitude * 8 : -magnitude * 8;
}

const ULAW_TO_LINEAR = Int16Array.from({ length: 256 }, (_, code) => expandUlaw(code));
const ALAW_TO_LINEAR = Int16Array.from({ length: 256 }, (_, code) => expandAlaw(code));

/** Decodes `length` bytes from `input[at]` on to as many samples from `out[outAt]` on. */
export function decodePcmu(input: Uint8Array, at: number, length: number, out: Int16Array, outAt: number): void {
  for (let i = 0; i < length; i++) out[outAt + i] = ULAW_TO_LINEAR[input[at + i] as number] as number;
}

/** Decodes `length` bytes from `input[at]` on to as many samples from `out[outAt]` on. */
export function decodePcma(input: Uint8Array, at: number, length: number, out: Int16Array, outAt: number): void {
  for (let i = 0; i < length; i++) out[outAt + i] = ALAW_TO_LINEAR[input[at + i] as number] as number;
}

// Negative samples are mirrored by one's complement in both laws, as G.191 does it, so that -1 falls where 0 does.
function compressUlaw(sample: number): number {
  const magnitude = Math.min(((sample < 0 ? ~sample : sample) >> 2) + ULAW_BIAS, ULAW_CLIP);
  const segment = 26 - Math.clz32(magnitude);
  const bits = (segment << 4) | ((magnitude >> (segment + 1)) & 15) | (sample < 0 ? 0x80 : 0);
  return ~bits & 0xff;
}

function compressAlaw(sample: number): number {
  const magnitude = (sample < 0 ? ~sample : sample) >> 4;
  const segment = magnitude < 16 ? 0 : 28 - Math.clz32(magnitude);
  const interval = segment === 0 ? magnitude : (magnitude >> (segment - 1)) & 15;
  return ((segment << 4) | interval | (sample < 0 ? 0 : 0x80)) ^ 0x55;
}

/** One byte a sample. */
export function encodePcmu(pcm: Int16Array): Uint8Array {
  const codes = new Uint8Array(pcm.length);
  for (let i = 0; i < pcm.length; i++) codes[i] = compressUlaw(pcm[i] as number);
  return codes;
}

/** One byte a sample. */
export function encodePcma(pcm: Int16Array): Uint8Array {
  const codes = new Uint8Array(pcm.length);
  for (let i = 0; i < pcm.length; i++) codes[i] = compressAlaw(pcm[i] as number);
  return codes;
}
