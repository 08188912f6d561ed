import { FrameEnergy } from '../frame-energy.js';
import type { SampleMemory } from '../sample-memory.js';

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

const ULAW = 0;
const ALAW = 256;
const CODES = [expandUlaw, expandAlaw].flatMap((expand) => Array.from({ length: 256 }, (_, code) => expand(code)));

// By law and code. Tables of both laws in one are constants to the compiler, whichever law is asked for.
const SAMPLES = new Int16Array(CODES);
/** The sample as the low half of a word. */
const HALVES = new Int32Array(CODES).map((sample) => sample & 0xffff);
/** Samples of both laws are multiples of four, and squares of their quarters add up by eights without overflow. */
const QUARTERS_SQUARED = 16;
const SQUARES = new Int32Array(CODES).map((sample) => (sample * sample) / QUARTERS_SQUARED);

const nobodyAsked = new FrameEnergy();

/**
 * Decodes `length` bytes from `input.bytes[at]` on to as many samples from `out.samples[outAt]` on; returns how many.
 * `energy` gets what measureFrame() would find in them, which costs little while they are at hand.
 */
export function decodePcmu(
  input: SampleMemory,
  at: number,
  length: number,
  out: SampleMemory,
  outAt: number,
  energy = nobodyAsked,
): number {
  return lookUp(ULAW, input, at, length, out, outAt, energy);
}

/** As decodePcmu(). */
export function decodePcma(
  input: SampleMemory,
  at: number,
  length: number,
  out: SampleMemory,
  outAt: number,
  energy = nobodyAsked,
): number {
  return lookUp(ALAW, input, at, length, out, outAt, energy);
}

function lookUp(
  given: number,
  input: SampleMemory,
  at: number,
  length: number,
  out: SampleMemory,
  outAt: number,
  energy: FrameEnergy,
): number {
  energy.reserve(length);
  const law = given & ALAW;
  // Read within the loops, they would be no constants to the compiler.
  const samples = SAMPLES;
  const halves = HALVES;
  const squares = SQUARES;
  const from = input.words;
  const to = out.words;
  const { parts, hop } = energy;
  let part = 0;
  let largest = 0;
  let done = 0;
  for (let cut = energy.toCut; done < length; cut += hop) {
    const end = Math.min(cut, length);
    let sum = 0;
    if (((at + done) & 3) === 0 && ((outAt + done) & 1) === 0) {
      for (; done + 8 <= end; done += 8) {
        const source = (at + done) >> 2;
        const target = (outAt + done) >> 1;
        const first = from[source] as number;
        const second = from[source + 1] as number;
        const a = (first & 255) | law;
        const b = ((first >> 8) & 255) | law;
        const c = ((first >> 16) & 255) | law;
        const d = (first >>> 24) | law;
        const e = (second & 255) | law;
        const f = ((second >> 8) & 255) | law;
        const g = ((second >> 16) & 255) | law;
        const h = (second >>> 24) | law;
        to[target] = (halves[a] as number) | ((halves[b] as number) << 16);
        to[target + 1] = (halves[c] as number) | ((halves[d] as number) << 16);
        to[target + 2] = (halves[e] as number) | ((halves[f] as number) << 16);
        to[target + 3] = (halves[g] as number) | ((halves[h] as number) << 16);
        const aa = squares[a] as number;
        const bb = squares[b] as number;
        const cc = squares[c] as number;
        const dd = squares[d] as number;
        const ee = squares[e] as number;
        const ff = squares[f] as number;
        const gg = squares[g] as number;
        const hh = squares[h] as number;
        sum += (aa + bb + cc + dd + ee + ff + gg + hh) | 0;
        // As in addSquares(): one branch for eight samples, seldom taken.
        if ((aa | bb | cc | dd | ee | ff | gg | hh) > largest) {
          largest = Math.max(largest, aa, bb, cc, dd, ee, ff, gg, hh);
        }
      }
    }
    for (; done < end; done++) {
      const code = (input.bytes[at + done] as number) | law;
      const square = squares[code] as number;
      out.samples[outAt + done] = samples[code] as number;
      sum += square;
      largest = Math.max(largest, square);
    }
    parts[part++] = sum * QUARTERS_SQUARED;
  }
  energy.count = part;
  energy.largest = largest * QUARTERS_SQUARED;
  return length;
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
