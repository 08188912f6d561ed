import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeL16, decodeL16Le, encodeL16, encodeL16Le } from '../../src/media/l16.js';

describe('L16', () => {
  it('reads network byte order, and the other order for AudioHook', () => {
    const out = new Int16Array(3).fill(9);
    expect(decodeL16(Uint8Array.of(0xff, 0x80, 0x00, 0x7f, 0xff), 1, 4, out, 1)).toBe(2);
    expect([...out]).toEqual([9, -32768, 32767]);
    expect(decodeL16Le(Uint8Array.of(0x00, 0x80, 0xff, 0x7f), 0, 4, out, 0)).toBe(2);
    expect([...out]).toEqual([-32768, 32767, 32767]);
  });

  it.each([decodeL16, decodeL16Le])('decodes nothing of an odd number of bytes (%o)', (decode) => {
    const out = new Int16Array(2).fill(9);
    expect(decode(new Uint8Array(3), 0, 3, out, 0)).toBe(-1);
    expect([...out]).toEqual([9, 9]);
    expect(decode(new Uint8Array(0), 0, 0, out, 0)).toBe(0);
  });

  it.each([
    ['big', encodeL16, decodeL16],
    ['little', encodeL16Le, decodeL16Le],
  ] as const)('keeps every sample, %s-endian', (_, encode, decode) => {
    fc.assert(
      fc.property(fc.int16Array(), (pcm) => {
        const out = new Int16Array(pcm.length);
        expect(decode(encode(pcm), 0, pcm.length * 2, out, 0)).toBe(pcm.length);
        expect(out).toEqual(pcm);
      }),
    );
  });
});
