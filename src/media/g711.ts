import type { SoundMemory } from './sound-memory.js';

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

/** Samples by code; and each of them shifted to be the second of a word. */
interface Table {
  readonly samples: Int16Array;
  readonly lowHalves: Int32Array;
  readonly highHalves: Int32Array;
}

function tableOf(expand: (code: number) => number): Table {
  const samples = Int16Array.from({ length: 256 }, (_, code) => expand(code));
  return {
    samples,
    lowHalves: Int32Array.from(samples, (sample) => sample & 0xffff),
    highHalves: Int32Array.from(samples, (sample) => sample << 16),
  };
}

const ULAW = tableOf(expandUlaw);
const ALAW = tableOf(expandAlaw);

/** Decodes `length` bytes from `input.bytes[at]` on to as many samples from `out.samples[outAt]` on. */
export function decodePcmu(input: SoundMemory, at: number, length: number, out: SoundMemory, outAt: number): void {
  lookUp(ULAW, input, at, length, out, outAt);
}

/** Decodes `length` bytes from `input.bytes[at]` on to as many samples from `out.samples[outAt]` on. */
export function decodePcma(input: SoundMemory, at: number, length: number, out: SoundMemory, outAt: number): void {
  lookUp(ALAW, input, at, length, out, outAt);
}

function lookUp(
  { samples, lowHalves, highHalves }: Table,
  input: SoundMemory,
  at: number,
  length: number,
  out: SoundMemory,
  outAt: number,
): void {
  let done = 0;
  if ((at & 3) === 0 && (outAt & 1) === 0) {
    const from = input.words;
    const to = out.words;
    let target = outAt >> 1;
    for (const end = length - 7; done < end; done += 8, target += 4) {
      const source = (at + done) >> 2;
      const a = from[source] as number;
      const b = from[source + 1] as number;
      to[target] = (lowHalves[a & 255] as number) | (highHalves[(a >> 8) & 255] as number);
      to[target + 1] = (lowHalves[(a >> 16) & 255] as number) | (highHalves[a >>> 24] as number);
      to[target + 2] = (lowHalves[b & 255] as number) | (highHalves[(b >> 8) & 255] as number);
      to[target + 3] = (lowHalves[(b >> 16) & 255] as number) | (highHalves[b >>> 24] as number);
    }
  }
  for (; done < length; done++) out.samples[outAt + done] = samples[input.bytes[at + done] as number] as number;
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
