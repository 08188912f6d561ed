import { createRequire } from 'node:module';
import { Application, Bandwidth, createDecoder, createEncoder } from 'libopus-wasm';
import { afterAll, describe, expect, it } from 'vitest';
import {
  hasOpusRedundancy,
  OPUS_ERROR,
  OpusDecoder,
  OpusEncoder,
  opusMemoryBytes,
  opusPacketSamples,
} from '../../../src/audio/codecs/opus.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';
import type { SAMPLE_RATES } from '../../../src/core/codec.js';
import { below, mulberry32, type Random } from '../../support/random.js';

type SampleRate = (typeof SAMPLE_RATES)[number];
const RATES: readonly SampleRate[] = [8000, 12000, 16000, 24000, 48000];

const sound = new SampleMemory(new ArrayBuffer(2 * 5760));
const out = sound.samples;
const opened: { free(): void }[] = [];
afterAll(() => {
  for (const one of opened) one.free();
});

function decoder(sampleRate: number): OpusDecoder {
  const made = new OpusDecoder(sampleRate);
  opened.push(made);
  return made;
}

/** A voice of sorts: gliding harmonics under a slow envelope, with pauses. */
function voice(random: Random, sampleRate: number, samples: number): Int16Array {
  let phase = random() * 6;
  return Int16Array.from({ length: samples }, (_, i) => {
    const t = i / sampleRate;
    phase += (2 * Math.PI * (140 + 60 * Math.sin(3 * t))) / sampleRate;
    const envelope = Math.max(0, Math.sin(7 * t));
    return envelope * (6000 * Math.sin(phase) + 3000 * Math.sin(3 * phase) + 1500 * (random() - 0.5));
  });
}

function packets(
  sampleRate: number,
  ms: number,
  count: number,
  options: { bitrate?: number; dtx?: boolean; seed?: number } = {},
) {
  const { seed = 1, ...encoding } = options;
  const encoder = new OpusEncoder({ sampleRate, ...encoding });
  const samples = (sampleRate * ms) / 1000;
  const pcm = voice(mulberry32(seed), sampleRate, samples * count);
  const made = Array.from({ length: count }, (_, i) => encoder.encode(pcm.subarray(i * samples, (i + 1) * samples)));
  encoder.free();
  return made;
}

/** Frames of one configuration as one packet of code 3, each led by its length (RFC 6716 §3.2.5). */
function joined(singles: readonly Uint8Array[], padding = 0): Uint8Array {
  const toc = ((singles[0] as Uint8Array)[0] as number) | 3;
  const frames = singles.map((single) => single.subarray(1));
  const lengths = frames
    .slice(0, -1)
    .flatMap(({ length }) => (length < 252 ? [length] : [252 + (length & 3), (length - 252 - (length & 3)) / 4]));
  const padded = padding > 0 ? [padding] : [];
  const counts = 0x80 | (padding > 0 ? 0x40 : 0) | frames.length;
  return Uint8Array.of(
    toc,
    counts,
    ...padded,
    ...lengths,
    ...frames.flatMap((frame) => [...frame]),
    ...new Uint8Array(padding),
  );
}

function decodeAll(from: OpusDecoder, all: readonly Uint8Array[]): number[] {
  const pcm: number[] = [];
  for (const packet of all) {
    const samples = from.decode(SampleMemory.copyOf(packet), 0, packet.length, sound, 0);
    expect(samples).toBeGreaterThan(0);
    pcm.push(...out.subarray(0, samples));
  }
  return pcm;
}

/** By the package's own wrapper around the same libopus, which is the reference here. */
async function referenceDecode(sampleRate: SampleRate, all: readonly Uint8Array[]): Promise<number[]> {
  const reference = await createDecoder({ sampleRate, channels: 1 });
  const pcm = all.flatMap((packet) => [...reference.decode(packet)]);
  reference.free();
  return pcm;
}

describe('OpusDecoder', () => {
  it.each(RATES)('decodes as libopus does, at %i Hz, whatever the rate of the encoder', async (sampleRate) => {
    for (const encoded of [8000, 16000, 48000]) {
      const all = packets(encoded, 20, 30);
      expect(decodeAll(decoder(sampleRate), all)).toEqual(await referenceDecode(sampleRate, all));
    }
  });

  it.each(RATES)('decodes as libopus 1.4 in opusscript does, within one step, at %i Hz', (sampleRate) => {
    const Independent = createRequire(import.meta.url)('opusscript') as new (
      rate: number,
      channels: number,
    ) => { decode(packet: Buffer): Buffer; delete(): void };
    const independent = new Independent(sampleRate, 1);
    const all = packets(16000, 20, 30);
    const expected = all.flatMap((packet) => {
      const bytes = independent.decode(Buffer.from(packet));
      return [...new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2)];
    });
    independent.delete();
    const pcm = decodeAll(decoder(sampleRate), all);
    expect(pcm).toHaveLength(expected.length);
    expect(Math.max(...pcm.map((sample, i) => Math.abs(sample - (expected[i] as number))))).toBeLessThanOrEqual(1);
    expect(Math.max(...pcm)).toBeGreaterThan(1000);
  });

  it.each([2.5, 5, 10, 20, 40])('decodes packets of %f ms', async (ms) => {
    const all = packets(48000, ms, 20);
    const pcm = decodeAll(decoder(48000), all);
    expect(pcm.length).toBe(20 * 48 * ms);
    expect(pcm).toEqual(await referenceDecode(48000, all));
  });

  it('decodes six frames of 20 ms in one packet as it does one by one', () => {
    const singles = packets(16000, 20, 24, { bitrate: 24000 });
    const tocs = new Set(singles.map((single) => single[0]));
    expect(tocs.size).toBe(1);
    const big = [0, 6, 12, 18].map((i) => joined(singles.slice(i, i + 6), 5));
    expect(big.map((packet) => opusPacketSamples(packet, 0, packet.length, 48000))).toEqual([5760, 5760, 5760, 5760]);
    expect(decodeAll(decoder(48000), big)).toEqual(decodeAll(decoder(48000), singles));
  });

  it('writes nothing beyond the samples it returns', () => {
    const [packet] = packets(16000, 20, 1) as [Uint8Array];
    const framed = SampleMemory.copyOf(Uint8Array.of(9, 9, 9, ...packet, 9));
    const around = SampleMemory.copyOf(new Int16Array(400).fill(77));
    for (const at of [40, 41]) {
      around.samples.fill(77);
      expect(decoder(16000).decode(framed, 3, packet.length, around, at)).toBe(320);
      expect([...around.samples.subarray(at, at + 320)]).toEqual(decodeAll(decoder(16000), [packet]));
      const outside = [...around.samples.subarray(0, at), ...around.samples.subarray(at + 320)];
      expect(new Set(outside)).toEqual(new Set([77]));
    }
    expect(decoder(16000).decode(framed, 3, packet.length, around, 81)).toBe(OPUS_ERROR.OUTPUT_FULL);
  });

  it('takes the packets of one or two bytes that DTX sends', async () => {
    const speech = packets(16000, 20, 10);
    const toc = (speech[9]?.[0] as number) & 0xfc;
    const dtx = [...speech, Uint8Array.of(toc), Uint8Array.of(toc, 0)];
    expect(decodeAll(decoder(16000), dtx)).toEqual(await referenceDecode(16000, dtx));
  });

  it('mixes stereo packets down', async () => {
    const encoder = await stereoEncoder(48000);
    const tone = (hz: number, gain: number) =>
      Array.from({ length: 960 * 10 }, (_, i) => gain * Math.sin((2 * Math.PI * hz * i) / 48000));
    const left = tone(300, 8000);
    const right = tone(300, -8000);
    const same = left.flatMap((value) => [value, value]);
    const opposite = left.flatMap((value, i) => [value, right[i] as number]);
    const rms = (interleaved: number[]) => {
      const pcm = decodeAll(decoder(48000), encoder(interleaved));
      expect(pcm.length).toBe(9600);
      const late = pcm.slice(4800);
      return Math.sqrt(late.reduce((sum, value) => sum + value * value, 0) / late.length);
    };
    expect(rms(same)).toBeGreaterThan(4000);
    expect(rms(opposite)).toBeLessThan(500);
  });

  it('does nothing after free(), and free() may be called twice', () => {
    const [packet] = packets(16000, 20, 1) as [Uint8Array];
    const one = new OpusDecoder(16000);
    one.free();
    one.free();
    expect(one.decode(SampleMemory.copyOf(packet), 0, packet.length, sound, 0)).toBe(OPUS_ERROR.FREED);
    expect(one.conceal(10, sound, 0)).toBe(OPUS_ERROR.FREED);
  });

  it('is as new after reset()', () => {
    const all = packets(16000, 20, 10);
    const one = decoder(16000);
    const first = decodeAll(one, all);
    one.reset();
    expect(one.conceal(320, sound, 0)).toBe(320);
    expect(out.subarray(0, 320).every((value) => value === 0)).toBe(true);
    expect(decodeAll(one, all)).toEqual(first);
  });

  it('refuses rates that Opus does not have', () => {
    expect(() => new OpusDecoder(44100)).toThrow(expect.objectContaining({ code: 'CODEC_UNSUPPORTED' }));
  });
});

describe('concealment', () => {
  it.each(RATES)('is that of libopus, %i Hz', async (sampleRate) => {
    const all = packets(48000, 20, 10);
    const reference = await createDecoder({ sampleRate, channels: 1 });
    for (const packet of all) reference.decode(packet);
    const samples = (sampleRate * 120) / 1000;
    const expected = [...reference.decodePacketLoss(samples)];
    reference.free();
    const one = decoder(sampleRate);
    decodeAll(one, all);
    expect(one.conceal(samples, sound, 0)).toBe(samples);
    expect([...out.subarray(0, samples)]).toEqual(expected);
    expect(out.subarray(0, 100).some((value) => value !== 0)).toBe(true);
  });

  it.each(RATES)('has any length asked for and keeps to it, %i Hz', (sampleRate) => {
    const all = packets(48000, 20, 10);
    const random = mulberry32(sampleRate);
    const one = decoder(sampleRate);
    decodeAll(one, all);
    for (const samples of [
      0,
      1,
      7,
      sampleRate / 400,
      sampleRate / 100 + 3,
      ...Array.from({ length: 20 }, () => below(random, 3000)),
    ]) {
      const memory = new SampleMemory(new ArrayBuffer(2 * (samples + 20)));
      const around = memory.samples.fill(77);
      expect(one.conceal(samples, memory, 10), `${samples} samples`).toBe(samples);
      expect([...around.subarray(0, 10), ...around.subarray(samples + 10)]).toEqual(Array(20).fill(77));
      expect(one.conceal(samples, memory, 21)).toBe(OPUS_ERROR.OUTPUT_FULL);
    }
  });

  it('is silence before the first packet, and leaves the decoder as new', () => {
    const all = packets(16000, 20, 5);
    const one = decoder(16000);
    out.fill(99);
    expect(one.conceal(333, sound, 0)).toBe(333);
    expect(out.subarray(0, 333).every((value) => value === 0)).toBe(true);
    expect(decodeAll(one, all)).toEqual(decodeAll(decoder(16000), all));
  });

  it('fades away when the loss lasts, and speech comes back after it', () => {
    const all = packets(16000, 20, 40);
    const one = decoder(16000);
    decodeAll(one, all.slice(0, 20));
    for (let i = 0; i < 50; i++) one.conceal(320, sound, 0);
    expect(Math.max(...out.subarray(0, 320))).toBeLessThan(300);
    expect(Math.max(...decodeAll(one, all.slice(20)))).toBeGreaterThan(1000);
  });
});

describe('in-band FEC', () => {
  const cases: [string, SampleRate, number, Bandwidth][] = [
    ['SILK, 8 kHz', 8000, 20, Bandwidth.Narrowband],
    ['SILK, 16 kHz', 16000, 20, Bandwidth.Wideband],
    ['SILK, 40 ms', 16000, 40, Bandwidth.Wideband],
    ['SILK, 60 ms', 16000, 60, Bandwidth.Wideband],
    ['hybrid', 48000, 20, Bandwidth.Fullband],
  ];

  async function encoded(sampleRate: SampleRate, ms: number, maxBandwidth: Bandwidth, fec = true) {
    const frameSize = (sampleRate * ms) / 1000;
    const encoder = await createEncoder({
      ...{ sampleRate, channels: 1, frameSize, maxBandwidth, fec, packetLossPercent: 20 },
      ...{ application: Application.Voip, bitrate: 32_000 },
    });
    const pcm = voice(mulberry32(7), sampleRate, frameSize * 60);
    const made = Array.from({ length: 60 }, (_, i) => encoder.encode(pcm.subarray(i * frameSize, (i + 1) * frameSize)));
    encoder.free();
    return { made, pcm, frameSize };
  }

  it.each(cases)('is what libopus makes of it, and nearer to what was said than concealment: %s', async (...args) => {
    const [, sampleRate, ms, maxBandwidth] = args;
    const { made, frameSize } = await encoded(sampleRate, ms, maxBandwidth);
    const whole = decodeAll(decoder(sampleRate), made);
    const reference = await createDecoder({ sampleRate, channels: 1 });
    const one = decoder(sampleRate);
    const other = decoder(sampleRate);
    const error = { fec: 0, concealed: 0 };
    let recovered = 0;
    for (const [i, packet] of made.entries()) {
      const next = made[i + 1];
      if (i % 4 !== 3 || next === undefined) {
        reference.decode(packet);
        for (const decoding of [one, other]) decodeAll(decoding, [packet]);
        continue;
      }
      const has = one.recover(SampleMemory.copyOf(next), 0, next.length, frameSize, sound, 0);
      const made1 = [...out.subarray(0, frameSize)];
      expect(made1).toEqual([...reference.decode(next, { decodeFec: true, frameSize })]);
      other.conceal(frameSize, sound, 0);
      if (!has) continue;
      recovered++;
      for (let k = 0; k < frameSize; k++) {
        const truth = whole[i * frameSize + k] as number;
        error.fec += ((made1[k] as number) - truth) ** 2;
        error.concealed += ((out[k] as number) - truth) ** 2;
      }
    }
    reference.free();
    expect(recovered).toBeGreaterThan(5);
    expect(error.fec).toBeLessThan(error.concealed / 2);
  });

  it('is not found in packets without it, of CELT, or that are damaged', async () => {
    const { made } = await encoded(16_000, 20, Bandwidth.Wideband, false);
    const celt = packets(48_000, 5, 20);
    for (const [at, all] of [
      [0, made],
      [0, celt],
      [1, made],
    ] as const) {
      for (const packet of all) {
        expect(hasOpusRedundancy(packet, at, at === 0 ? packet.length : 0)).toBe(false);
      }
    }
  });

  it('conceals what is longer than the frame before the next packet, and all of it where libopus would not take FEC', async () => {
    const { made, frameSize } = await encoded(16_000, 20, Bandwidth.Wideband);
    const reference = await createDecoder({ sampleRate: 16_000, channels: 1 });
    const one = decoder(16_000);
    for (const packet of made.slice(0, 20)) reference.decode(packet);
    decodeAll(one, made.slice(0, 20));
    const next = made.slice(21).find((packet) => hasOpusRedundancy(packet, 0, packet.length)) as Uint8Array;
    // Three frames lost at once: concealment for two, FEC for the last.
    expect(one.recover(SampleMemory.copyOf(next), 0, next.length, 3 * frameSize, sound, 0)).toBe(true);
    expect([...out.subarray(0, 3 * frameSize)]).toEqual([
      ...reference.decode(next, { decodeFec: true, frameSize: 3 * frameSize }),
    ]);
    // Shorter than the frame, and no multiple of 2.5 ms.
    for (const samples of [frameSize / 2, frameSize + 3]) {
      expect(one.recover(SampleMemory.copyOf(next), 0, next.length, samples, sound, 0)).toBe(false);
    }
    expect(decoder(16_000).recover(SampleMemory.copyOf(next), 0, next.length, frameSize, sound, 0)).toBe(false);
    reference.free();
  });
});

describe('a copy of a decoder', () => {
  it('decodes all that follows as the one that it was made of', () => {
    const all = packets(16000, 20, 60, { bitrate: 20_000 });
    const one = decoder(16000);
    const copy = decoder(16000);
    decodeAll(one, all.slice(0, 30));
    copy.copyFrom(one);
    expect(copy.isSame(one)).toBe(true);
    const expected = decodeAll(one, all.slice(30));
    expect(copy.isSame(one)).toBe(false);
    expect(decodeAll(copy, all.slice(30))).toEqual(expected);
    expect(copy.isSame(one)).toBe(true);
  });
});

describe('thousands of decoders in one thread', () => {
  it('all decode rightly while the memory grows beneath 4,000 of them', () => {
    const all = packets(16000, 20, 6);
    const expected = decodeAll(decoder(16000), all);
    const before = opusMemoryBytes();
    const many: OpusDecoder[] = [];
    const decoded: number[] = [];
    const hear = (i: number, turn: number) => {
      const packet = all[turn] as Uint8Array;
      const samples = (many[i] as OpusDecoder).decode(SampleMemory.copyOf(packet), 0, packet.length, sound, 0);
      if (samples !== 320 || out.subarray(0, 320).some((value, k) => value !== expected[turn * 320 + k]))
        decoded.push(i);
    };
    for (let i = 0; i < 4000; i++) {
      many.push(decoder(16000));
      hear(i, 0);
    }
    expect(opusMemoryBytes()).toBeGreaterThan(before);
    for (let turn = 1; turn < 6; turn++) for (let i = 0; i < 4000; i++) hear(i, turn);
    expect(decoded).toEqual([]);
    for (const one of many) one.free();
  });

  it('uses the same memory again through 20,000 lives', () => {
    const [packet] = packets(16000, 20, 1) as [Uint8Array];
    const before = opusMemoryBytes();
    for (let i = 0; i < 20_000; i++) {
      const one = new OpusDecoder(RATES[i % 5] as SampleRate);
      if (i % 100 === 0) one.decode(SampleMemory.copyOf(packet), 0, packet.length, sound, 0);
      one.free();
    }
    expect(opusMemoryBytes()).toBe(before);
  });
});

describe('bad packets', () => {
  it('never throw, never write out of bounds and leave every decoder able, through 20,000 of them', async () => {
    const seed = 20_250_101;
    const random = mulberry32(seed);
    const good = [8000, 16000, 48000].flatMap((rate) =>
      [8000, 32000, 96000].flatMap((bitrate) => [5, 10, 20, 40].flatMap((ms) => packets(rate, ms, 5, { bitrate }))),
    );
    const decoders = RATES.map((rate) => decoder(rate));
    const memory = new SampleMemory(new ArrayBuffer(2 * (5760 + 8)));
    const guarded = memory.samples;
    const results = { decoded: 0, refused: 0 };
    for (let i = 0; i < 20_000; i++) {
      const packet = hostile(random, good);
      const which = below(random, 5);
      guarded.fill(77, 5760);
      const context = `seed ${seed}, packet ${i}: ${Buffer.from(packet).toString('hex')}`;
      const due = opusPacketSamples(packet, 0, packet.length, RATES[which] as number);
      const samples = (decoders[which] as OpusDecoder).decode(SampleMemory.copyOf(packet), 0, packet.length, memory, 0);
      if (due < 0) expect(samples, context).toBe(OPUS_ERROR.BAD_PACKET);
      else if (samples >= 0) expect(samples, context).toBe(due);
      else expect(samples, context).toBe(OPUS_ERROR.BAD_FRAME);
      if (guarded.subarray(5760).some((value) => value !== 77)) expect.unreachable(context);
      results[samples > 0 ? 'decoded' : 'refused']++;
      if (i % 10 === 0)
        expect(
          (decoders[which] as OpusDecoder).conceal(below(random, 2000), memory, 0),
          context,
        ).toBeGreaterThanOrEqual(0);
    }
    expect(results.decoded).toBeGreaterThan(2000);
    expect(results.refused).toBeGreaterThan(2000);
    const all = packets(16000, 20, 5);
    for (const [i, rate] of RATES.entries()) {
      (decoders[i] as OpusDecoder).reset();
      expect(decodeAll(decoders[i] as OpusDecoder, all)).toEqual(await referenceDecode(rate, all));
    }
  });
});

function hostile(random: Random, good: readonly Uint8Array[]): Uint8Array {
  const kind = random();
  if (kind < 0.35) return Uint8Array.from({ length: below(random, 400) }, () => below(random, 256));
  if (kind < 0.5) {
    const frames = 1 + below(random, 50);
    const noise = Uint8Array.from({ length: 2 + frames * below(random, 40) }, () => below(random, 256));
    noise[0] = below(random, 256) | 3;
    noise[1] = frames;
    return noise;
  }
  const packet = Uint8Array.from(good[below(random, good.length)] as Uint8Array);
  for (let k = below(random, 4); k > 0; k--) packet[below(random, packet.length)] = below(random, 256);
  if (random() < 0.1) packet[0] = below(random, 256);
  return random() < 0.2 ? packet.subarray(0, below(random, packet.length + 1)) : packet;
}

describe('OpusEncoder', () => {
  it('withholds next to nothing of silence when DTX is on', () => {
    const bytes = (dtx: boolean) => {
      const encoder = new OpusEncoder({ sampleRate: 16000, dtx });
      const sizes = Array.from({ length: 50 }, () => encoder.encode(new Int16Array(320)).length);
      encoder.free();
      return sizes.slice(25);
    };
    expect(bytes(true).filter((size) => size <= 2).length).toBeGreaterThan(20);
    expect(bytes(false).filter((size) => size <= 2).length).toBe(0);
  });

  it('keeps to the bitrate', () => {
    const mean = (bitrate: number) =>
      packets(16000, 20, 50, { bitrate }).reduce((sum, packet) => sum + packet.length, 0) / 50;
    expect(mean(12_000)).toBeLessThan(45);
    expect(mean(48_000)).toBeGreaterThan(60);
  });

  it('says what it cannot do', () => {
    const encoder = new OpusEncoder({ sampleRate: 48000 });
    opened.push(encoder);
    for (const samples of [0, 100, 5760]) {
      expect(() => encoder.encode(new Int16Array(samples))).toThrow(
        expect.objectContaining({ code: 'CODEC_UNSUPPORTED' }),
      );
    }
    expect(() => new OpusEncoder({ sampleRate: 48000, bitrate: -5 })).toThrow(
      expect.objectContaining({ code: 'CODEC_UNSUPPORTED' }),
    );
    encoder.free();
    expect(() => encoder.encode(new Int16Array(960))).toThrow(expect.objectContaining({ code: 'ENGINE_CLOSED' }));
  });
});

/** Stereo packets of 20 ms from interleaved samples. */
async function stereoEncoder(sampleRate: SampleRate): Promise<(interleaved: number[]) => Uint8Array[]> {
  const frameSize = sampleRate / 50;
  const encoder = await createEncoder({ sampleRate, channels: 2, frameSize });
  opened.push(encoder);
  return (interleaved) =>
    Array.from({ length: interleaved.length / (2 * frameSize) }, (_, i) =>
      encoder.encode(Int16Array.from(interleaved.slice(i * 2 * frameSize, (i + 1) * 2 * frameSize))),
    );
}
