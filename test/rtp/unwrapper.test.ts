import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { channelStates, FIELD } from '../../src/rtp/channel-state.js';
import { MODULUS_16, MODULUS_32, Unwrapper } from '../../src/rtp/unwrapper.js';

/** Unwraps and takes as the newest what is higher than all before it, as reception does. */
function unwrapAll(unwrapper: Unwrapper, wire: readonly number[], channel = 0): number[] {
  let newest = Number.NEGATIVE_INFINITY;
  return wire.map((number) => {
    const value = unwrapper.unwrap(channel, number);
    if (value > newest) {
      newest = value;
      unwrapper.accept(channel, number, value);
    }
    return value;
  });
}

/** For two channels. */
function opened(modulus: typeof MODULUS_16 | typeof MODULUS_32): Unwrapper {
  const unwrapper = new Unwrapper(modulus, channelStates(2), FIELD.SEQUENCE_MODULUS);
  for (const channel of [0, 1]) unwrapper.open(channel);
  return unwrapper;
}

describe('Unwrapper', () => {
  it('begins at the number on the wire', () => {
    for (const first of [0, 7, 65535, 65536, 70_000, 2 ** 32 - 1, 2 ** 32, 2 ** 40]) {
      expect(unwrapAll(opened(MODULUS_16), [first])).toEqual([first]);
    }
    expect(unwrapAll(opened(MODULUS_32), [2 ** 32 - 5])).toEqual([2 ** 32 - 5]);
  });

  it('takes a fall from near 65535 to near 0 for a 16-bit wrap', () => {
    expect(unwrapAll(opened(MODULUS_16), [65534, 65535, 0, 1])).toEqual([65534, 65535, 65536, 65537]);
  });

  it('takes a number above 65535 for 32 bits, and does not wrap at 65535 then', () => {
    const unwrapper = opened(MODULUS_16);
    expect(unwrapAll(unwrapper, [65534, 65535, 65536, 65535, 65537])).toEqual([65534, 65535, 65536, 65535, 65537]);
    expect(unwrapper.unwrap(0, 1)).toBe(1);
  });

  it('wraps at 2^32 when numbers have shown 32 bits', () => {
    expect(unwrapAll(opened(MODULUS_16), [2 ** 32 - 2, 2 ** 32 - 1, 0, 1])).toEqual([
      2 ** 32 - 2,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 32 + 1,
    ]);
  });

  it('never wraps once a number is above 2^32 − 1', () => {
    const unwrapper = opened(MODULUS_32);
    expect(unwrapAll(unwrapper, [2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1])).toEqual([2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1]);
    expect(unwrapper.unwrap(0, 5)).toBe(5);
    expect(unwrapper.unwrap(0, 2 ** 45)).toBe(2 ** 45);
  });

  it('gives a number before the first one of a channel its place below zero', () => {
    expect(unwrapAll(opened(MODULUS_16), [1, 65535, 0, 2])).toEqual([1, -1, 0, 2]);
  });

  it('learns nothing from a number that is not accepted', () => {
    const unwrapper = opened(MODULUS_16);
    unwrapAll(unwrapper, [65534, 65535]);
    expect(unwrapper.unwrap(0, 3_000_000)).toBe(3_000_000);
    expect(unwrapper.unwrap(0, 0)).toBe(65536);
  });

  it('knows the shortest way between two numbers', () => {
    const unwrapper = opened(MODULUS_16);
    expect(unwrapper.distance(0, 65535, 0)).toBe(1);
    expect(unwrapper.distance(0, 0, 65535)).toBe(-1);
    expect(unwrapper.distance(0, 65535, 65536)).toBe(1);
    expect(unwrapper.distance(0, 2 ** 32 - 1, 0)).toBe(1);
    expect(unwrapper.distance(0, 2 ** 32, 2 ** 32 - 1)).toBe(-1);
  });

  it('keeps channels apart and forgets on open()', () => {
    const unwrapper = opened(MODULUS_16);
    unwrapAll(unwrapper, [65535, 0], 0);
    expect(unwrapAll(unwrapper, [40_000, 40_001], 1)).toEqual([40_000, 40_001]);
    expect(unwrapper.unwrap(0, 1)).toBe(65537);
    unwrapper.open(0);
    expect(unwrapAll(unwrapper, [9], 0)).toEqual([9]);
  });

  it('restores any walk of short steps, forward and back, with any modulus', () => {
    const walk = fc.record({
      modulus: fc.constantFrom(2 ** 16, 2 ** 32, Number.POSITIVE_INFINITY),
      start: fc.oneof(fc.nat(70_000), fc.integer({ min: 65_400, max: 65_600 }), fc.nat(1000)),
      // A walk of 32-bit numbers that wraps begins near the top; one that never wraps goes beyond it.
      high: fc.boolean(),
      steps: fc.array(fc.integer({ min: -60, max: 120 }), { maxLength: 400, size: 'max' }),
    });
    fc.assert(
      fc.property(walk, ({ modulus, start, high, steps }) => {
        const first = (high && modulus > 2 ** 16 ? 2 ** 32 - 3000 : 0) + start;
        const numbers = [first];
        for (const step of steps) numbers.push(Math.max(first, (numbers.at(-1) as number) + step));
        const wire = numbers.map((n) => (modulus === Number.POSITIVE_INFINITY ? n : n % modulus));
        const values = unwrapAll(opened(MODULUS_16), wire);
        const offset = (values[0] as number) - first;
        expect(values.map((v) => v - offset)).toEqual(numbers);
      }),
    );
  });
});
