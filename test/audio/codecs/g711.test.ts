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
    const found = ({ pieces, count, largest }: FrameEnergy) => [...pieces.subarray(0, count), largest];
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

describe.skipIf(!existsSync(CORPUS))('ITU-T G.191 sweep (needs ../shared/corpora/g711)', () => {
  const words = (name: string) => {
    const bytes = readFileSync(new URL(name, CORPUS));
    return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  };
  const mismatches = (got: ArrayLike<number>, expected: ArrayLike<number>) =>
    Array.from(expected).filter((value, i) => value !== got[i]).length;

  it.each([
    ['µ-law', 'sweep-r.u', 'sweep-r.reu', decodePcmu, encodePcmu],
    ['A-law', 'sweep-r.a', 'sweep-r.rea', decodePcma, encodePcma],
  ] as const)('matches 65,536 of 65,536 both ways in %s', (_, coded, linear, decode, encode) => {
    const source = words('sweep.src');
    const codes = Uint8Array.from(words(coded));
    expect(source.length).toBe(65_536);
    expect(mismatches(encode(source), codes)).toBe(0);
    expect(mismatches(decoded(decode, codes), words(linear))).toBe(0);
  });
});
