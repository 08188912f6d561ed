import { expect, test } from 'vitest';
import { encodePcma, encodePcmu } from '../../../../src/audio/codecs/g711.js';
import { OpusEncoder } from '../../../../src/audio/codecs/opus.js';
import { type Clip, loadClips } from '../../../../src/simulator/sound/speech.js';
import { guessCodec } from '../../../../src/sources/genesys/protocol/formats.js';

const WANTED = ['opus', 'pcmu', 'pcma'] as const;

// Each packet of real speech is taken for the first of a call.
const [clip] = loadClips() as [Clip];

function packets(encoded: Uint8Array, bytes: number): Uint8Array[] {
  return Array.from({ length: Math.floor(encoded.length / bytes) }, (_, i) =>
    encoded.subarray(i * bytes, (i + 1) * bytes),
  );
}

function opusPackets(bitrate: number): Uint8Array[] {
  const encoder = new OpusEncoder({ sampleRate: clip.sampleRate, bitrate });
  const frame = clip.sampleRate / 50;
  const made = Array.from({ length: Math.floor(clip.pcm.length / frame) }, (_, i) =>
    encoder.encode(clip.pcm.subarray(i * frame, (i + 1) * frame)),
  );
  encoder.free();
  return made;
}

function shareTakenForOpus(payloads: readonly Uint8Array[]): number {
  expect(payloads.length).toBeGreaterThan(0);
  return payloads.filter((payload) => guessCodec(payload, WANTED) === 'opus').length / payloads.length;
}

test.each([
  ['pcmu', 80, 0.005],
  ['pcmu', 160, 0.002],
  ['pcma', 160, 0.002],
  ['pcma', 240, 0.002],
  // No whole tens of milliseconds, which would be Opus but for its looks: those of loud speech may deceive.
  ['pcmu', 100, 0.2],
  ['pcma', 100, 0.2],
] as const)('speech in %s, %i bytes a packet, is told from Opus', (law, bytes, most) => {
  const encoded = law === 'pcmu' ? encodePcmu(clip.pcm) : encodePcma(clip.pcm);
  expect(shareTakenForOpus(packets(encoded, bytes))).toBeLessThanOrEqual(most);
});

test('Opus is told from G.711, even where it happens to have its length', () => {
  const all = [16_000, 32_000, 64_000].flatMap(opusPackets);
  expect(shareTakenForOpus(all)).toBeGreaterThan(0.995);
  expect(shareTakenForOpus(all.filter(({ length }) => length % 80 === 0))).toBeGreaterThan(0.9);
});
