import { createDecoder } from 'libopus-wasm';
import { describe, expect, it } from 'vitest';
import { OPUS_ERROR, opusPacketSamples } from '../../../src/audio/codecs/opus-packet.js';
import { below, mulberry32 } from '../../support/random.js';

const BAD = OPUS_ERROR.BAD_PACKET;
const samples = (bytes: readonly number[], sampleRate = 48000) =>
  opusPacketSamples(Uint8Array.from(bytes), 0, bytes.length, sampleRate);
const zeros = (count: number): number[] => Array(count).fill(0);

describe('opusPacketSamples', () => {
  it('knows the frame durations of all 32 configurations (RFC 6716 table 2)', () => {
    const silk = [10, 20, 40, 60];
    const celt = [2.5, 5, 10, 20];
    const durations = [...silk, ...silk, ...silk, 10, 20, 10, 20, ...celt, ...celt, ...celt, ...celt];
    for (const sampleRate of [8000, 12000, 16000, 24000, 48000]) {
      const got = durations.map((_, config) => samples([config << 3, 0], sampleRate));
      expect(got).toEqual(durations.map((ms) => (ms * sampleRate) / 1000));
    }
  });

  it('does not mind the stereo bit, nor where the packet lies', () => {
    expect(samples([0x0c, 1, 2, 3])).toBe(960);
    expect(opusPacketSamples(Uint8Array.of(255, 255, 0x08, 1, 255), 2, 2, 48000)).toBe(960);
  });

  const twentyMs = 1 << 3;
  it.each<[string, number[], number]>([
    ['nothing at all (R1)', [], BAD],
    ['a TOC alone: DTX', [twentyMs], 960],
    ['one frame of 1275 bytes', [twentyMs, ...zeros(1275)], 960],
    ['one frame of 1276 bytes (R2)', [twentyMs, ...zeros(1276)], BAD],
    ['two equal frames', [twentyMs | 1, 1, 2], 1920],
    ['two empty frames', [twentyMs | 1], 1920],
    ['two equal frames of an odd sum (R3)', [twentyMs | 1, 1, 2, 3], BAD],
    ['two equal frames of 1276 bytes (R2)', [twentyMs | 1, ...zeros(2552)], BAD],
    ['two frames of 1 and 2 bytes', [twentyMs | 2, 1, 9, 9, 9], 1920],
    ['two frames without a length (R4)', [twentyMs | 2], BAD],
    ['two frames, the first beyond the end (R4)', [twentyMs | 2, 3, 9, 9], BAD],
    ['two frames, half a length of two bytes (R4)', [twentyMs | 2, 252], BAD],
    ['two frames, a length of two bytes', [twentyMs | 2, 252, 1, ...zeros(256)], 1920],
    ['two frames, the second of 1276 bytes (R2)', [twentyMs | 2, 0, ...zeros(1276)], BAD],
    ['code 3 without a count', [twentyMs | 3], BAD],
    ['code 3 with no frames (R5)', [twentyMs | 3, 0], BAD],
    ['six frames of 20 ms', [twentyMs | 3, 6, ...zeros(12)], 5760],
    ['seven frames of 20 ms: 140 ms (R5)', [twentyMs | 3, 7, ...zeros(14)], BAD],
    ['48 frames of 2.5 ms', [(16 << 3) | 3, 48], 5760],
    ['49 frames of 2.5 ms (R5)', [(16 << 3) | 3, 49], BAD],
    ['equal frames that do not divide (R6)', [twentyMs | 3, 3, 1, 2, 3, 4], BAD],
    ['padding', [twentyMs | 3, 0x40 | 2, 3, 1, 2, 0, 0, 0], 1920],
    ['padding of 255, which stands for 254 and more', [twentyMs | 3, 0x40 | 2, 255, 1, 1, 2, ...zeros(255)], 1920],
    ['padding beyond the end (R6)', [twentyMs | 3, 0x40 | 2, 4, 1, 2, 0], BAD],
    ['a padding length that never ends (R6)', [twentyMs | 3, 0x40 | 2, 255], BAD],
    ['frames with lengths', [twentyMs | 3, 0x80 | 3, 1, 2, 9, 9, 9, 9], 2880],
    ['frames with lengths beyond the end (R7)', [twentyMs | 3, 0x80 | 3, 1, 4, 9, 9, 9, 9], BAD],
    ['frames with a length missing (R7)', [twentyMs | 3, 0x80 | 3, 1], BAD],
  ])('%s', (_, bytes, expected) => {
    expect(samples(bytes)).toBe(expected);
  });

  it('turns away just what libopus turns away, over 5,000 packets made up at random', async () => {
    const libopus = await createDecoder({ sampleRate: 8000, channels: 1 });
    const seed = 77;
    const random = mulberry32(seed);
    const tally = { sound: 0, bad: 0 };
    for (let i = 0; i < 5000; i++) {
      // Short ones, and few values: that is where the rules meet.
      const packet = Buffer.from(
        Array.from({ length: 1 + below(random, 12) }, () => below(random, random() < 0.5 ? 8 : 256)),
      );
      if (random() < 0.7) packet[0] = (packet[0] as number) | 3;
      let accepted = true;
      try {
        libopus.decode(packet);
      } catch {
        accepted = false;
      }
      const context = `seed ${seed}, packet ${i}: ${packet.toString('hex')}`;
      expect(opusPacketSamples(packet, 0, packet.length, 8000) > 0, context).toBe(accepted);
      tally[accepted ? 'sound' : 'bad']++;
    }
    expect(Math.min(tally.sound, tally.bad)).toBeGreaterThan(500);
  });
});
