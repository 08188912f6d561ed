import { expect, test } from 'vitest';
import { OpusDecoder } from '../../../src/audio/codecs/opus.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';
import { codingOf, formatOf, LoopLibrary } from '../../../src/simulator/sound/loops.js';
import { resampleCircular } from '../../../src/simulator/sound/resample.js';
import { loadClips } from '../../../src/simulator/sound/speech.js';

const clips = loadClips();
const library = new LoopLibrary(clips);

function rms(pcm: Int16Array): number {
  let sum = 0;
  for (const sample of pcm) sum += (sample / 32_768) ** 2;
  return Math.sqrt(sum / pcm.length);
}

function frames(pcm: Int16Array, samples: number): Int16Array[] {
  return Array.from({ length: pcm.length / samples }, (_, i) => pcm.subarray(i * samples, (i + 1) * samples));
}

function bytesOf(payload: string | undefined): Uint8Array {
  return new Uint8Array(Buffer.from(payload ?? '', 'base64'));
}

test('the clips are speech with pauses that are quiet but never digital silence', () => {
  expect(clips.length).toBeGreaterThanOrEqual(4);
  expect(new Set(clips.map(({ sampleRate }) => sampleRate))).toEqual(new Set([8000, 16_000]));
  for (const { name, sampleRate, pcm } of clips) {
    expect(pcm.length / sampleRate, name).toBeGreaterThan(6);
    expect(pcm.length / sampleRate, name).toBeLessThan(12);
    const levels = frames(pcm, sampleRate / 50).map(rms);
    expect(Math.min(...levels), name).toBeGreaterThan(0.0002);
    const quiet = levels.filter((level) => level < 0.005).length / levels.length;
    const loud = levels.filter((level) => level > 0.02).length / levels.length;
    expect(quiet, name).toBeGreaterThan(0.2);
    expect(loud, name).toBeGreaterThan(0.3);
    // It ends in a pause of half a second at least, where it can loop.
    expect(Math.max(...levels.slice(-25)), name).toBeLessThan(0.005);
  }
});

test.each([
  [16_000, 8000],
  [8000, 16_000],
  [8000, 48_000],
  [16_000, 48_000],
])('resampling from %i to %i Hz keeps a tone and its level', (from, to) => {
  const tone = (rate: number) =>
    Int16Array.from({ length: rate }, (_, i) => Math.round(10_000 * Math.sin((2 * Math.PI * 1000 * i) / rate)));
  const resampled = resampleCircular(tone(from), from, to);
  const expected = tone(to);
  expect(resampled.length).toBe(to);
  const worst = resampled.reduce((most, sample, i) => Math.max(most, Math.abs(sample - (expected[i] ?? 0))), 0);
  expect(worst).toBeLessThan(30);
});

test('resampling down removes what the lower rate cannot carry', () => {
  const high = Int16Array.from({ length: 16_000 }, (_, i) =>
    Math.round(10_000 * Math.sin((2 * Math.PI * 6000 * i) / 16_000)),
  );
  expect(rms(resampleCircular(high, 16_000, 8000))).toBeLessThan(0.001);
});

test('codecs are dealt out in turn, with DTX and the wide band for every second one', () => {
  const dealt = Array.from({ length: 10 }, (_, i) => codingOf('mixed', i)).map(
    ({ codec, sampleRate, dtx }) => `${codec} ${sampleRate}${dtx ? ' dtx' : ''}`,
  );
  expect(dealt).toEqual([
    'pcmu 8000',
    'pcma 8000',
    'l16 8000',
    'opus 16000',
    'opus 48000',
    'pcmu 8000',
    'pcma 8000',
    'l16 16000',
    'opus 16000 dtx',
    'opus 48000 dtx',
  ]);
  expect([0, 1, 2, 3].map((i) => codingOf('opus', i))).toEqual([
    { codec: 'opus', sampleRate: 16_000, dtx: false },
    { codec: 'opus', sampleRate: 48_000, dtx: false },
    { codec: 'opus', sampleRate: 16_000, dtx: true },
    { codec: 'opus', sampleRate: 48_000, dtx: true },
  ]);
  expect(formatOf(codingOf('opus', 0), 1)).toEqual({
    codec: 'opus',
    clockRate: 48_000,
    sampleRate: 16_000,
    channels: 1,
  });
  expect(formatOf(codingOf('l16', 1), 2)).toEqual({ codec: 'l16', clockRate: 16_000, sampleRate: 16_000, channels: 2 });
});

test('every loop has a packet for each 20 ms of its clip, of the size that its codec has', () => {
  clips.forEach(({ pcm, sampleRate }, clip) => {
    const packets = (pcm.length * 50) / sampleRate;
    for (const [codec, rate, bytes] of [
      ['pcmu', 8000, 160],
      ['pcma', 8000, 160],
      ['l16', 8000, 320],
      ['l16', 16_000, 640],
    ] as const) {
      const { payloads } = library.loop(clip, { codec, sampleRate: rate, dtx: false });
      expect(payloads).toHaveLength(packets);
      expect(new Set(payloads.map((payload) => bytesOf(payload).length))).toEqual(new Set([bytes]));
    }
  });
});

test.each([16_000, 48_000])('Opus at %i Hz decodes to speech, and with DTX sends nothing in pauses', (sampleRate) => {
  const samples = sampleRate / 50;
  for (const dtx of [false, true]) {
    const { payloads } = library.loop(2, { codec: 'opus', sampleRate, dtx });
    const decoder = new OpusDecoder(sampleRate);
    const sound = new SampleMemory(new ArrayBuffer(2 * payloads.length * samples));
    const pcm = sound.samples;
    payloads.forEach((payload, i) => {
      if (payload === '') return;
      const bytes = bytesOf(payload);
      expect(bytes.length).toBeGreaterThan(2);
      expect(decoder.decode(SampleMemory.copyOf(bytes), 0, bytes.length, sound, i * samples)).toBe(samples);
    });
    decoder.free();
    const levels = frames(pcm, samples).map(rms);
    expect(levels.filter((level) => level > 0.02).length / levels.length).toBeGreaterThan(0.3);
    expect(levels.filter((level) => level < 0.005).length / levels.length).toBeGreaterThan(0.2);
    const unsent = payloads.filter((payload) => payload === '').length;
    if (dtx) expect(unsent).toBeGreaterThan(30);
    else expect(unsent).toBe(0);
  }
});

test('a loop is encoded once', () => {
  const coding = { codec: 'pcmu', sampleRate: 8000, dtx: false } as const;
  expect(library.loop(0, coding)).toBe(library.loop(0, coding));
  expect(library.loop(0, coding)).not.toBe(library.loop(1, coding));
});
