import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseWav, WAV_HEADER_BYTES, WAV_MAX_DATA_BYTES, wavHeader } from '../../src/audio/wav.js';

const invalid = expect.objectContaining({ code: 'FILE_INVALID' });
const chunk = (id: string, data: Uint8Array, length = data.length): Buffer => {
  const head = Buffer.alloc(8);
  head.write(id, 'latin1');
  head.writeUInt32LE(length, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length & 1)]);
};
const riff = (...chunks: Buffer[]) => chunk('RIFF', Buffer.concat([Buffer.from('WAVE'), ...chunks]));
const fmt = (channels: number, sampleRate: number, bits: number, tag = 1): Buffer => {
  const data = Buffer.alloc(16);
  data.writeUInt16LE(tag, 0);
  data.writeUInt16LE(channels, 2);
  data.writeUInt32LE(sampleRate, 4);
  data.writeUInt32LE((sampleRate * channels * bits) / 8, 8);
  data.writeUInt16LE((channels * bits) / 8, 12);
  data.writeUInt16LE(bits, 14);
  return chunk('fmt ', data);
};

describe('wavHeader', () => {
  it('is the 44 bytes that every player knows', () => {
    const hex = Buffer.from(wavHeader({ sampleRate: 8000, channels: 2 }, 320)).toString('hex');
    expect(hex).toBe(
      '52494646' +
        '64010000' +
        '57415645' +
        '666d7420' +
        '10000000' +
        '0100' +
        '0200' +
        '401f0000' +
        '007d0000' +
        '0400' +
        '1000' +
        '64617461' +
        '40010000',
    );
  });

  it('is read back as it was written', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(8000, 16000, 44100, 48000),
        fc.constantFrom(1, 2),
        fc.integer({ min: 1, max: 1_000_000 }),
        (sampleRate, channels, blocks) => {
          const dataLength = blocks * 2 * channels;
          const header = wavHeader({ sampleRate, channels }, dataLength);
          expect(parseWav(header, WAV_HEADER_BYTES + dataLength)).toEqual({
            sampleRate,
            channels,
            bitsPerSample: 16,
            dataOffset: 44,
            dataLength,
          });
        },
      ),
    );
  });

  it('does not wrap beyond 4 GB, and the file is still read to its end', () => {
    const dataLength = 5 * 2 ** 30;
    const header = wavHeader({ sampleRate: 8000, channels: 1 }, dataLength);
    const view = new DataView(header.buffer);
    expect(view.getUint32(40, true)).toBe(WAV_MAX_DATA_BYTES);
    expect(view.getUint32(4, true)).toBe(WAV_MAX_DATA_BYTES + 36);
    expect(parseWav(header, WAV_HEADER_BYTES + dataLength).dataLength).toBe(dataLength);
  });
});

describe('parseWav', () => {
  it('passes over other chunks, odd ones with their padding', () => {
    const file = riff(
      chunk('LIST', Buffer.alloc(27)),
      fmt(1, 16000, 16),
      chunk('fact', Buffer.alloc(4)),
      chunk('data', Buffer.alloc(100)),
      chunk('id3 ', Buffer.alloc(50)),
    );
    expect(parseWav(file)).toEqual({
      sampleRate: 16000,
      channels: 1,
      bitsPerSample: 16,
      dataOffset: 12 + 36 + 24 + 12 + 8,
      dataLength: 100,
    });
  });

  it.each([
    ['0', 0],
    ['0xFFFFFFFF', 0xffff_ffff],
    ['beyond the end', 1_000_000],
    ['of before a kill', 400],
  ])('takes all there is when the length is %s', (_, told) => {
    const header = Buffer.from(wavHeader({ sampleRate: 8000, channels: 2 }, told));
    header.writeUInt32LE(told, 40);
    const file = Buffer.concat([header, Buffer.alloc(1003)]);
    expect(parseWav(file).dataLength).toBe(1000);
  });

  it('takes no bytes for audio that another chunk has', () => {
    const file = riff(fmt(1, 8000, 16), chunk('data', Buffer.alloc(200)), chunk('LIST', Buffer.alloc(60)));
    expect(parseWav(file).dataLength).toBe(200);
  });

  it('needs no more than the head of the file', () => {
    const file = Buffer.concat([wavHeader({ sampleRate: 8000, channels: 1 }, 10_000), Buffer.alloc(10_000)]);
    expect(parseWav(file.subarray(0, 44), file.length).dataLength).toBe(10_000);
  });

  it('reads the extensible form of PCM', () => {
    const data = Buffer.concat([
      fmt(1, 48000, 16, 0xfffe).subarray(8),
      Buffer.from('16001000040000000100000000001000800000aa00389b71', 'hex'),
    ]);
    const file = riff(chunk('fmt ', data), chunk('data', Buffer.alloc(20)));
    expect(parseWav(file)).toMatchObject({ sampleRate: 48000, bitsPerSample: 16, dataLength: 20 });
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['something else', Buffer.from('OggS this is no wav file at all')],
    ['no data', riff(fmt(1, 8000, 16))],
    ['no format', riff(chunk('data', Buffer.alloc(100)))],
    ['a format cut off', riff(chunk('fmt ', Buffer.alloc(4)), chunk('data', Buffer.alloc(100)))],
    ['µ-law', riff(fmt(1, 8000, 8, 7), chunk('data', Buffer.alloc(100)))],
    ['no channels', riff(fmt(0, 8000, 16), chunk('data', Buffer.alloc(100)))],
  ])('says so of %s', (_, file) => {
    expect(() => parseWav(file)).toThrow(invalid);
  });

  it('throws nothing else, whatever the bytes', () => {
    const good = riff(chunk('LIST', Buffer.alloc(9)), fmt(2, 8000, 16), chunk('data', Buffer.alloc(64)));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(good.length),
        (changes, length) => {
          const bytes = Uint8Array.from(good.subarray(0, length));
          for (const [at, value] of changes) if (at < length) bytes[at] = value;
          try {
            const { dataOffset, dataLength } = parseWav(bytes);
            expect(dataOffset + dataLength).toBeLessThanOrEqual(length);
          } catch (error) {
            expect(error).toEqual(invalid);
          }
        },
      ),
    );
  });
});
