import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeL16, decodeL16Le, encodeL16, encodeL16Le } from '../../../src/audio/codecs/l16.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';

describe('L16', () => {
  it('reads network byte order, and the other order for AudioHook', () => {
    const out = SampleMemory.copyOf(new Int16Array(3).fill(9));
    const big = SampleMemory.copyOf(Uint8Array.of(0xff, 0x80, 0x00, 0x7f, 0xff));
    expect(decodeL16(big, 1, 4, out, 1)).toBe(2);
    expect([...out.samples.subarray(0, 3)]).toEqual([9, -32768, 32767]);
    const little = SampleMemory.copyOf(Uint8Array.of(0x00, 0x80, 0xff, 0x7f));
    expect(decodeL16Le(little, 0, 4, out, 0)).toBe(2);
    expect([...out.samples.subarray(0, 3)]).toEqual([-32768, 32767, 32767]);
  });

  it.each([decodeL16, decodeL16Le])('decodes nothing of an odd number of bytes (%o)', (decode) => {
    const out = SampleMemory.copyOf(new Int16Array(2).fill(9));
    expect(decode(SampleMemory.copyOf(new Uint8Array(3)), 0, 3, out, 0)).toBe(-1);
    expect([...out.samples]).toEqual([9, 9]);
    expect(decode(SampleMemory.copyOf(new Uint8Array(0)), 0, 0, out, 0)).toBe(0);
  });

  it.each([
    ['big', encodeL16, decodeL16],
    ['little', encodeL16Le, decodeL16Le],
  ] as const)('keeps every sample wherever it lies, %s-endian', (_, encode, decode) => {
    fc.assert(
      fc.property(fc.int16Array(), fc.nat(5), fc.nat(3), (pcm, at, outAt) => {
        const input = SampleMemory.copyOf(Uint8Array.of(...new Uint8Array(at), ...encode(pcm)));
        const out = SampleMemory.copyOf(new Int16Array(outAt + pcm.length + 1).fill(7));
        expect(decode(input, at, pcm.length * 2, out, outAt)).toBe(pcm.length);
        expect([...out.samples.subarray(outAt, outAt + pcm.length)]).toEqual([...pcm]);
        expect([...out.samples.subarray(0, outAt), out.samples[outAt + pcm.length]]).toEqual(Array(outAt + 1).fill(7));
      }),
    );
  });
});
