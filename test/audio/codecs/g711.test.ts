import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePcma, decodePcmu, encodePcma, encodePcmu } from '../../../src/audio/codecs/g711.js';
import { FrameEnergy, measureFrame } from '../../../src/audio/frame-energy.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';

const ALL_CODES = Uint8Array.from({ length: 256 }, (_, code) => code);
const CORPUS = new URL('../../../../shared/corpora/g711/', import.meta.url);

type Decode = typeof decodePcmu;

function decoded(decode: Decode, codes: Uint8Array): number[] {
  const out = new SampleMemory(new ArrayBuffer(2 * codes.length));
  decode(SampleMemory.copyOf(codes), 0, codes.length, out, 0);
  return [...out.samples];
}

/**
 * G.711 tables 2a and 2b as the Recommendation builds them: decision values x(n) with steps that double from segment
 * to segment, decoder output y(0) = 0 and y(n) = (x(n) + x(n+1)) / 2, character signal n counting down from 127.
 */
function ulawByDecisionValues(): number[] {
  const decisions = [0, 1];
  for (let step = 2; decisions.length < 129; ) {
    const last = decisions.at(-1) as number;
    decisions.push(last + step);
    if ([31, 95, 223, 479, 991, 2015, 4063].includes(last + step)) step *= 2;
  }
  const values = decisions.slice(0, -1).map((low, n) => (n === 0 ? 0 : (low + (decisions[n + 1] as number)) / 2));
  // Codes 0x80–0xff are positive, 0xff being n = 0; codes 0x00–0x7f the same, negative. 14 bits stand in 16.
  return [...ALL_CODES].map((code) => (code & 0x80 ? 4 : -4) * (values[127 - (code & 0x7f)] as number) || 0);
}

/** G.711 tables 1a and 1b: 32 steps of 2, then 16 each of 4, 8, … 128; y(n) lies in the middle of its interval. */
function alawByDecisionValues(): number[] {
  const values: number[] = [];
  let low = 0;
  for (let n = 0; n < 128; n++) {
    const step = n < 32 ? 2 : 2 << ((n >> 4) - 1);
    values.push(low + step / 2);
    low += step;
  }
  return [...ALL_CODES].map((code) => (code & 0x80 ? 8 : -8) * (values[(code ^ 0x55) & 0x7f] as number));
}

describe('G.711', () => {
  it('decodes all 256 µ-law codes to the values of tables 2a and 2b', () => {
    expect(decoded(decodePcmu, ALL_CODES)).toEqual(ulawByDecisionValues());
  });

  it('decodes all 256 A-law codes to the values of tables 1a and 1b', () => {
    expect(decoded(decodePcma, ALL_CODES)).toEqual(alawByDecisionValues());
  });

  it('knows the ends of both laws', () => {
    expect(decoded(decodePcmu, Uint8Array.of(0x00, 0x80, 0x7f, 0xff))).toEqual([-32124, 32124, 0, 0]);
    expect(decoded(decodePcma, Uint8Array.of(0x2a, 0xaa, 0x55, 0xd5))).toEqual([-32256, 32256, -8, 8]);
  });

  it.each([
    ['µ-law', decodePcmu, encodePcmu],
    ['A-law', decodePcma, encodePcma],
  ] as const)('encodes what it decoded back to the same value in %s', (_, decode, encode) => {
    const values = decoded(decode, ALL_CODES);
    expect(decoded(decode, encode(Int16Array.from(values)))).toEqual(values);
  });

  it.each([
    ['µ-law', decodePcmu],
    ['A-law', decodePcma],
  ] as const)('decodes alike wherever codes and samples lie, and writes only its own samples, %s', (_, decode) => {
    const values = decoded(decode, ALL_CODES);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), fc.nat(9), fc.nat(5), fc.nat(50), (codes, at, outAt, length) => {
        const taken = codes.slice(at, at + length);
        const out = SampleMemory.copyOf(new Int16Array(60).fill(7));
        decode(SampleMemory.copyOf(codes), at, taken.length, out, outAt);
        const expected = new Int16Array(60).fill(7);
        taken.forEach((code, i) => {
          expected[outAt + i] = values[code] as number;
        });
        expect(out.samples).toEqual(expected);
      }),
    );
  });

  it.each([
    ['µ-law', decodePcmu],
    ['A-law', decodePcma],
  ] as const)('measures what it decodes as measureFrame() does, %s', (_, decode) => {
    const energyOf = (hop: number, toCut: number) => Object.assign(new FrameEnergy(), { hop, toCut });
    const found = ({ parts, count, largest }: FrameEnergy) => [...parts.subarray(0, count), largest];
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.nat(5),
        fc.nat(5),
        fc.integer({ min: 1, max: 90 }),
        fc.nat(90),
        (codes, at, outAt, hop, cut) => {
          const toCut = 1 + (cut % hop);
          const length = Math.max(0, codes.length - at);
          const out = SampleMemory.copyOf(new Int16Array(outAt + length));
          const inPassing = energyOf(hop, toCut);
          decode(SampleMemory.copyOf(codes), at, length, out, outAt, inPassing);
          const afterwards = energyOf(hop, toCut);
          measureFrame(out, outAt, length, afterwards);
          expect(found(inPassing)).toEqual(found(afterwards));
        },
      ),
    );
  });
});

/** All 16-bit samples, as in the sweep of ITU-T G.191. */
const SWEEP = Int16Array.from({ length: 65_536 }, (_, i) => i - 32_768);

/** How many elements differ. */
function mismatches(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  return Array.from(expected).filter((value, i) => value !== got[i]).length;
}

/**
 * The code whose interval a sample falls into, by searching the decision values. As in G.191 a negative sample is
 * mirrored by ones' complement; µ-law then takes 14 bits of it, A-law 13, sign included.
 */
function encodedByDecisionValues(sample: number, law: 'µ-law' | 'A-law'): number {
  const shift = law === 'µ-law' ? 2 : 4;
  const magnitude = (sample < 0 ? ~sample : sample) >> shift;
  const lowest = law === 'µ-law' ? ULAW_LOWEST : ALAW_LOWEST;
  const n = lowest.findLastIndex((low) => low <= magnitude);
  const sign = sample < 0 ? 0 : 0x80;
  return law === 'µ-law' ? sign | (127 - n) : (sign | n) ^ 0x55;
}

/** Lower ends of the 128 intervals: in µ-law 1 step of 1, 15 of 2, then 16 each of 4, 8, … 256. */
const ULAW_LOWEST = lowerEnds((n) => (n === 0 ? 1 : n < 16 ? 2 : 2 << (n >> 4)));
/** In A-law 32 steps of 1, then 16 each of 2, 4, … 64. */
const ALAW_LOWEST = lowerEnds((n) => (n < 32 ? 1 : 1 << ((n >> 4) - 1)));

function lowerEnds(stepOf: (n: number) => number): number[] {
  const ends = [0];
  for (let n = 0; n < 127; n++) ends.push((ends[n] as number) + stepOf(n));
  return ends;
}

describe('all 65,536 samples', () => {
  it.each([
    ['µ-law', decodePcmu, encodePcmu, ulawByDecisionValues],
    ['A-law', decodePcma, encodePcma, alawByDecisionValues],
  ] as const)('are coded and decoded as the tables of G.711 say, %s', (law, decode, encode, table) => {
    const expected = Uint8Array.from(SWEEP, (sample) => encodedByDecisionValues(sample, law));
    expect(mismatches(encode(SWEEP), expected)).toBe(0);
    const values = table();
    expect(
      mismatches(
        decoded(decode, expected),
        Array.from(expected, (code) => values[code] as number),
      ),
    ).toBe(0);
  });

  it.skipIf(!existsSync(CORPUS)).each([
    ['µ-law', 'sweep-r.u', 'sweep-r.reu', decodePcmu, encodePcmu],
    ['A-law', 'sweep-r.a', 'sweep-r.rea', decodePcma, encodePcma],
  ] as const)(
    'are coded and decoded as in the files of ITU-T G.191, %s (needs ../shared/corpora)',
    (law, coded, linear, decode, encode) => {
      const source = words('sweep.src');
      const codes = Uint8Array.from(words(coded));
      expect(source.length).toBe(65_536);
      expect(mismatches(encode(source), codes)).toBe(0);
      expect(
        mismatches(
          Uint8Array.from(source, (sample) => encodedByDecisionValues(sample, law)),
          codes,
        ),
      ).toBe(0);
      expect(mismatches(decoded(decode, codes), words(linear))).toBe(0);
    },
  );

  function words(name: string): Int16Array {
    const bytes = readFileSync(new URL(name, CORPUS));
    return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  }
});
