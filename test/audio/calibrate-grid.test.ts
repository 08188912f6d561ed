import { describe, expect, it } from 'vitest';
import { Calibrator } from '../../src/audio/calibrate.js';
import { FrameEnergy, measureFrame } from '../../src/audio/frame-energy.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { cutFrame, feedHops, initSilence, SILENCE_EDGE_SLOTS, SILENCE_STATE_SLOTS } from '../../src/audio/silence.js';
import { findSilence, windowLevels } from '../../src/audio/threshold-search.js';
import { resampleCircular } from '../../src/simulator/sound/resample.js';
import { loadClips } from '../../src/simulator/sound/speech.js';
import { mulberry32, type Random } from '../support/random.js';

const RATE = 8000;
const HOP = RATE / 200;
const SECONDS = 20;
const clips = loadClips().map(({ pcm, sampleRate }) => resampleCircular(pcm, sampleRate, RATE));

type Noise = 'white' | 'car' | 'swinging' | 'babble';

const gauss = (random: Random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Noise of RMS 1. */
function noiseOf(kind: Noise, samples: number, random: Random): Float64Array {
  const out = new Float64Array(samples);
  let first = 0;
  let second = 0;
  const voices = Array.from({ length: 8 }, (_, i) => ({
    pcm: clips[i % clips.length] ?? new Int16Array(1),
    at: random(),
  }));
  for (let i = 0; i < samples; i++) {
    if (kind === 'babble') {
      for (const { pcm, at } of voices) {
        out[i] = (out[i] as number) + (pcm[(Math.floor(at * pcm.length) + i) % pcm.length] as number);
      }
      continue;
    }
    const white = gauss(random);
    // The second-order low-pass of a car's rumble; a level that swings by 3 dB once a second.
    first = 0.93 * first + white;
    second = 0.9 * second + first;
    out[i] =
      kind === 'car' ? second : kind === 'white' ? white : white * 10 ** (0.15 * Math.sin((2 * Math.PI * i) / RATE));
  }
  const rms = Math.sqrt(out.reduce((sum, value) => sum + value * value, 0) / samples);
  return out.map((value) => value / rms);
}

/** Stretches of speech with pauses of 0.8 to 2.8 s, over noise; `speech` is 1 for the hops of 5 ms with speech in them. */
function line(kind: Noise, ambientRms: number, separationDb: number, seed: number) {
  const random = mulberry32(seed);
  const samples = SECONDS * RATE;
  const voice = new Float64Array(samples);
  for (let at = RATE; at < samples - 2 * RATE; ) {
    const clip = clips[Math.floor(random() * clips.length)] ?? new Int16Array(1);
    const length = Math.min(Math.floor((1 + 2.5 * random()) * RATE), samples - RATE - at);
    const from = Math.floor(random() * clip.length);
    for (let i = 0; i < length; i++) voice[at + i] = clip[(from + i) % clip.length] as number;
    at += length + Math.floor((0.8 + 2 * random()) * RATE);
  }
  const levels = Float64Array.from({ length: samples / HOP }, (_, hop) => {
    let sum = 0;
    for (let i = 0; i < HOP; i++) sum += (voice[hop * HOP + i] as number) ** 2;
    return sum / HOP;
  });
  const loud = levels.filter((level) => level > 0).sort();
  const least = (loud[Math.floor(loud.length * 0.9)] as number) * 1e-3;
  const speech = levels.map((level) => (level > least ? 1 : 0));
  bridgeShortPauses(speech);
  const active = levels.filter((_, hop) => speech[hop] === 1);
  const speechRms = Math.sqrt(active.reduce((sum, level) => sum + level, 0) / active.length);
  const gain = (ambientRms * 10 ** (separationDb / 20)) / speechRms;
  const noise = noiseOf(kind, samples, random);
  const pcm = Int16Array.from(voice, (sample, i) =>
    Math.max(-32768, Math.min(32767, Math.round(32768 * (sample * gain + (noise[i] as number) * ambientRms)))),
  );
  return { pcm, speech };
}

/** What is shorter than 300 ms lies between words. */
function bridgeShortPauses(speech: Float64Array): void {
  let last = Number.NEGATIVE_INFINITY;
  for (const [hop, flag] of speech.entries()) {
    if (flag === 0) continue;
    if (hop - last < 60) speech.fill(1, last + 1, hop);
    last = hop;
  }
}

/** Silence by the engine's detector, as spans: 1 for each hop of speech. */
function detected(pcm: Int16Array, threshold: number): Uint8Array {
  const state = new Float64Array(SILENCE_STATE_SLOTS);
  const edges = new Float64Array(SILENCE_EDGE_SLOTS);
  const energy = new FrameEnergy();
  initSilence(state, 0, { sampleRate: RATE, threshold });
  const out = new Uint8Array(pcm.length / HOP);
  const frame = RATE / 50;
  for (let at = 0; at + frame <= pcm.length; at += frame) {
    cutFrame(state, 0, at, energy);
    measureFrame(SampleMemory.copyOf(pcm.subarray(at, at + frame)), 0, frame, energy);
    const found = feedHops(state, 0, energy, frame, edges);
    for (let i = 0; i < found; i++) out.fill(edges[2 * i + 1] === 1 ? 0 : 1, (edges[2 * i] as number) / HOP);
  }
  return out;
}

function share(speech: Float64Array, found: Uint8Array, flag: 0 | 1): number {
  const of = [...speech.keys()].filter((hop) => speech[hop] === flag);
  return of.filter((hop) => found[hop] === flag).length / of.length;
}

function calibrated(pcm: Int16Array) {
  const calibrator = new Calibrator(RATE);
  calibrator.feed(pcm);
  return calibrator.result();
}

describe('after calibration, the fixed detector on another stretch of the line', () => {
  // The whole grid takes a minute.
  const isFull = process.env['TRUNKLINE_E2E'] === 'full';
  const ambient = isFull ? [0.001, 0.003, 0.01, 0.03, 0.1] : [0.001, 0.1];
  const separations = isFull ? [10, 14, 18, 25] : [10, 18];
  it.each(['white', 'car', 'swinging', 'babble'] as const)(
    'finds nine tenths of what is not speech in %s noise of any level from 0.001 to 0.1, 10 dB and more below speech',
    { timeout: isFull ? 600_000 : 60_000 },
    (kind) => {
      for (const [i, rms] of ambient.entries()) {
        for (const [j, separation] of separations.entries()) {
          const { threshold, verdict } = calibrated(line(kind, rms, separation, 10 * i + j + 1).pcm);
          const { pcm, speech } = line(kind, rms, separation, 1000 + 10 * i + j);
          const found = detected(pcm, threshold);
          const where = `ambient ${rms}, speech ${separation} dB above, threshold ${threshold}`;
          expect(verdict, where).toBe('works');
          expect(share(speech, found, 0), where).toBeGreaterThanOrEqual(0.9);
          expect(share(speech, found, 1), where).toBeGreaterThan(separation < 14 ? 0.5 : 0.8);
        }
      }
    },
  );
});

describe('calibration where speech hardly stands out', () => {
  it.each(['white', 'car'] as const)('says that no threshold works in %s noise as loud as speech', (kind) => {
    const { verdict, threshold } = calibrated(line(kind, 0.02, 0, 7).pcm);
    expect(verdict).toBe('noThreshold');
    // Half of it lies above the noise: silence returns all the same.
    expect(threshold / 2).toBeGreaterThan(0.02);
  });

  it.each([
    ['white', 0.02, 6],
    ['car', 0.02, 6],
    ['car', 0.1, 8],
    ['babble', 0.1, 8],
  ] as const)('finds a threshold that works in %s noise of %f, %i dB below speech', (kind, rms, separation) => {
    const { verdict, threshold } = calibrated(line(kind, rms, separation, 7).pcm);
    const { pcm, speech } = line(kind, rms, separation, 1007);
    const found = detected(pcm, threshold);
    expect(verdict).toBe('works');
    expect(share(speech, found, 0)).toBeGreaterThanOrEqual(0.9);
    expect(share(speech, found, 1)).toBeGreaterThan(0.65);
  });

  it('keeps the threshold low on a clean line, in the lower half from its noise to speech in decibels', () => {
    const { threshold, verdict, ambientRms, speechRms } = calibrated(line('white', 0.0004, 45, 9).pcm);
    expect(verdict).toBe('works');
    expect(threshold).toBeLessThan(ambientRms * (speechRms / ambientRms) ** 0.5);
  });
});

describe('findSilence', () => {
  it('finds the silence that the detector finds, from its first speech on', () => {
    for (const seed of [1, 2, 3, 4]) {
      const { pcm } = line('swinging', 0.01, 15, seed);
      const hops = Float64Array.from({ length: pcm.length / HOP }, (_, hop) => {
        let sum = 0;
        for (const sample of pcm.subarray(hop * HOP, (hop + 1) * HOP)) sum += sample * sample;
        return sum / (HOP * 32768 * 32768);
      });
      for (const threshold of [0.012, 0.02, 0.03, 0.05]) {
        const silent = new Uint8Array(hops.length);
        findSilence(hops, windowLevels(hops), threshold, silent);
        const speech = detected(pcm, threshold);
        const first = speech.indexOf(1);
        expect(first).toBeGreaterThan(0);
        expect(silent.subarray(first).map((flag) => 1 - flag)).toEqual(speech.subarray(first));
      }
    }
  });
});
