import { describe, expect, it } from 'vitest';
import { encodePcma, encodePcmu } from '../../src/audio/codecs/g711.js';
import { wavAudio } from '../../src/evaluation/wav-audio.js';
import { wavFile } from '../support/wav-file.js';

const invalid = expect.objectContaining({ code: 'FILE_INVALID' });
const ramp = Int16Array.from({ length: 200 }, (_, i) => (i - 100) * 256);

function samplesOf({ payload }: { readonly payload: Uint8Array }): number[] {
  return [...new Int16Array(payload.buffer, payload.byteOffset, payload.length / 2)];
}

function interleaved(width: number, write: (bytes: Buffer, value: number, at: number) => void, channels = 1): Buffer {
  const bytes = Buffer.alloc(ramp.length * width * channels);
  for (const [i, value] of ramp.entries()) {
    for (let channel = 0; channel < channels; channel++) {
      write(bytes, channel === 0 ? value : -value, (i * channels + channel) * width);
    }
  }
  return bytes;
}

describe('WAV audio', () => {
  it.each([
    [8, 'unsigned', (bytes: Buffer, value: number, at: number) => bytes.writeUInt8((value >> 8) + 128, at)],
    [16, 'signed', (bytes: Buffer, value: number, at: number) => bytes.writeInt16LE(value, at)],
    [24, 'signed', (bytes: Buffer, value: number, at: number) => bytes.writeIntLE(value * 256 + 77, at, 3)],
    [32, 'signed', (bytes: Buffer, value: number, at: number) => bytes.writeInt32LE(value * 65_536 + 77, at)],
  ])('reads PCM of %i bits, %s', (bits, _, write) => {
    const audio = wavAudio(wavFile({ bits, data: interleaved(bits / 8, write) }));
    expect(audio).toMatchObject({ codec: 'l16', sampleRate: 8000, bytesPerSample: 2 });
    expect(samplesOf(audio)).toEqual([...ramp]);
  });

  it('reads floating point, and limits what is beyond full scale', () => {
    const data = Buffer.alloc(16);
    for (const [i, value] of [0.5, -2, 2, Number.NaN].entries()) data.writeFloatLE(value, 4 * i);
    expect(samplesOf(wavAudio(wavFile({ tag: 3, bits: 32, data })))).toEqual([16_384, -32_768, 32_767, 0]);
  });

  it.each([
    ['pcmu', 7, encodePcmu],
    ['pcma', 6, encodePcma],
  ] as const)('passes on %s of 8 kHz as it is', (codec, tag, encode) => {
    const codes = encode(ramp);
    const audio = wavAudio(wavFile({ tag, bits: 8, data: Buffer.from(codes) }));
    expect(audio).toMatchObject({ codec, sampleRate: 8000, bytesPerSample: 1 });
    expect([...audio.payload]).toEqual([...codes]);
  });

  it('decodes G.711 of other rates', () => {
    const audio = wavAudio(wavFile({ tag: 7, bits: 8, sampleRate: 16_000, data: Buffer.from(encodePcmu(ramp)) }));
    expect(audio).toMatchObject({ codec: 'l16', sampleRate: 16_000 });
    const errors = samplesOf(audio).map((sample, i) => Math.abs(sample - (ramp[i] as number)));
    expect(Math.max(...errors)).toBeLessThan(1024);
  });

  it('takes the channel that is asked for', () => {
    const data = interleaved(2, (bytes, value, at) => bytes.writeInt16LE(Math.min(value, 32_767), at), 2);
    const file = wavFile({ channels: 2, data });
    expect(samplesOf(wavAudio(file))).toEqual([...ramp]);
    expect(samplesOf(wavAudio(file, 1))).toEqual([...ramp].map((value) => 0 - value));
    expect(() => wavAudio(file, 2)).toThrow(invalid);
  });

  it.each([
    [11_025, 12_000],
    [22_050, 24_000],
    [44_100, 48_000],
    [32_000, 48_000],
  ])('brings %i Hz to %i Hz, in step', (from, to) => {
    const data = Buffer.alloc(from * 2);
    for (let i = 0; i < from; i++)
      data.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 500 * i) / from)), 2 * i);
    const audio = wavAudio(wavFile({ sampleRate: from, data }));
    const samples = samplesOf(audio);
    expect(audio.sampleRate).toBe(to);
    expect(samples).toHaveLength(to);
    const errors = samples
      .slice(100, -100)
      .map((sample, i) => Math.abs(sample - 8000 * Math.sin((2 * Math.PI * 500 * (i + 100)) / to)));
    expect(Math.max(...errors)).toBeLessThan(80);
  });

  it.each([
    ['no WAV file', Buffer.from('RIFX')],
    ['an empty file', Buffer.alloc(0)],
    ['no samples', wavFile({ data: Buffer.alloc(0) })],
    ['12 bits', wavFile({ bits: 12, data: Buffer.alloc(64) })],
    ['64-bit floating point', wavFile({ tag: 3, bits: 64, data: Buffer.alloc(64) })],
    ['ADPCM', wavFile({ tag: 17, bits: 4, data: Buffer.alloc(64) })],
    ['4 kHz', wavFile({ sampleRate: 4000, data: Buffer.alloc(64) })],
    ['96 kHz', wavFile({ sampleRate: 96_000, data: Buffer.alloc(64) })],
  ])('refuses %s', (_, file) => {
    expect(() => wavAudio(file)).toThrow(invalid);
  });
});
