import { describe, expect, it } from 'vitest';
import { opusPacketSamples } from '../../src/audio/codecs/opus-packet.js';
import { CODEC_ID, type CodecId } from '../../src/core/codec.js';
import { packetTicks } from '../../src/rtp/packet-duration.js';

function ticks(codec: CodecId, bytes: number[], clockRate = 8000, sampleRate = clockRate): number {
  return packetTicks(codec, clockRate, clockRate / sampleRate, Uint8Array.from([9, ...bytes]), 1, bytes.length);
}

describe('length of a packet by its payload', () => {
  it('is a byte a sample in G.711 and two in L16', () => {
    const bytes = new Array<number>(160).fill(0);
    expect(ticks(CODEC_ID.PCMU, bytes)).toBe(160);
    expect(ticks(CODEC_ID.PCMA, bytes)).toBe(160);
    expect(ticks(CODEC_ID.L16, bytes, 16_000)).toBe(80);
    expect(ticks(CODEC_ID.L16_LE, bytes, 48_000, 16_000)).toBe(240);
    expect(ticks(CODEC_ID.PCMU, [])).toBe(0);
  });

  it('is what the decoder makes of every Opus configuration and frame count', () => {
    for (let config = 0; config < 32; config++) {
      for (const rest of [[0], [1, 5, 5], [2, 1, 5, 5], [3, 1, 5], [3, 2, 5, 5], [3, 3, 5, 5, 5], [3, 12], [3, 48]]) {
        const packet = [(config << 3) | (rest[0] as number), ...rest.slice(1)];
        const samples = opusPacketSamples(Uint8Array.from(packet), 0, packet.length, 48_000);
        expect(ticks(CODEC_ID.OPUS, packet, 48_000), `${packet}`).toBe(Math.max(0, samples));
      }
    }
    expect(ticks(CODEC_ID.OPUS, [], 48_000)).toBe(0);
    expect(ticks(CODEC_ID.OPUS, [3], 48_000)).toBe(0);
  });
});
