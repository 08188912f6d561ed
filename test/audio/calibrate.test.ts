import { describe, expect, it } from 'vitest';
import { type Calibration, Calibrator } from '../../src/audio/calibrate.js';
import { FrameEnergy, measureFrame } from '../../src/audio/frame-energy.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { cutFrame, feedHops, initSilence, SILENCE_EDGE_SLOTS, SILENCE_STATE_SLOTS } from '../../src/audio/silence.js';
import { hasSpeechFile, noise, speechFile, speechWithPauses, stretches } from '../support/speech.js';

function calibrated(sampleRate: number, pcm: Int16Array, chunk = 160): Calibration {
  const calibrator = new Calibrator(sampleRate);
  for (let at = 0; at < pcm.length; at += chunk) calibrator.feed(pcm, at, Math.min(chunk, pcm.length - at));
  return calibrator.result();
}

describe('Calibrator', () => {
  it('puts the threshold 12 dB above ambient sound without speech', () => {
    const { threshold, ambientRms, speechRms, seconds } = calibrated(16000, stretches(16000, [0.002, 5000]));
    expect(ambientRms).toBeCloseTo(0.002, 3);
    expect(threshold).toBeCloseTo(4 * ambientRms, 9);
    expect(speechRms).toBe(0);
    expect(seconds).toBe(5);
  });

  it('measures sound of any sample rate, also where 5 ms are no whole number of samples', () => {
    for (const sampleRate of [11025, 22050, 44100]) {
      const sound = stretches(sampleRate, [0.001, 1000], [0.1, 3000], [0.001, 1000]);
      const { verdict, ambientRms, seconds } = calibrated(sampleRate, sound);
      expect(verdict).toBe('works');
      expect(ambientRms).toBeCloseTo(0.001, 3);
      expect(seconds).toBeCloseTo(5, 2);
    }
  });

  it('tells speech from ambient sound', () => {
    const { threshold, ambientRms, speechRms } = calibrated(
      8000,
      stretches(8000, [0.001, 1000], [0.1, 3000], [0.001, 500]),
    );
    expect(ambientRms).toBeCloseTo(0.001, 3);
    expect(speechRms).toBeGreaterThan(0.09);
    expect(speechRms).toBeLessThan(0.105);
    expect(threshold).toBeCloseTo(0.004, 3);
  });

  it('stays below speech, but half of it always above the noise', () => {
    for (const [noise, speech] of [
      [0.006, 0.03],
      [0.004, 0.05],
      [0.1, 0.4],
    ] as const) {
      const found = calibrated(8000, stretches(8000, [noise, 2000], [speech, 2000], [noise, 1000]));
      expect(found.verdict).toBe('works');
      expect(found.releaseLevel).toBeGreaterThan(found.ambientRms * 1.12);
      expect(found.threshold).toBeLessThan(speech * 0.8);
      expect(found.separationDb).toBeCloseTo(20 * Math.log10(found.speechRms / found.ambientRms), 9);
    }
  });

  it('says when nothing stands out from the ambient sound, and when there are no pauses', () => {
    expect(calibrated(8000, stretches(8000, [0.01, 5000])).verdict).toBe('noSpeech');
    // Speech 3 dB above the ambient sound: silence would not return between the two.
    expect(calibrated(8000, stretches(8000, [0.01, 2000], [0.014, 2000], [0.01, 2000])).verdict).toBe('noThreshold');
    // A tone that is on for 300 ms and off for 100 ms, without end: never 500 ms of quiet.
    const parts = Array.from({ length: 20 }, () => [[0.1, 300] as const, [0.001, 100] as const]).flat();
    const ceaseless = calibrated(8000, stretches(8000, ...parts));
    expect(ceaseless.verdict).toBe('noSilence');
  });

  it('keeps within bounds, and leaves digital silence out', () => {
    expect(calibrated(8000, new Int16Array(80_000))).toMatchObject({
      ...{ threshold: 0.001, releaseLevel: 0.0005, ambientRms: 0, speechRms: 0, seconds: 10 },
      ...{
        verdict: 'noSpeech',
        separationDb: null,
        silenceShare: 1,
        digitalSilenceShare: 1,
        levelsDbfs: null,
        peak: 0,
      },
    });
    expect(calibrated(8000, new Int16Array(0))).toMatchObject({
      ...{ threshold: 0.001, releaseLevel: 0.0005, ambientRms: 0, speechRms: 0, seconds: 0 },
      ...{ verdict: 'noSpeech', silenceShare: 1, digitalSilenceShare: 0 },
    });
    // The limit of 0.05 does not hold where the ambient sound is louder.
    expect(calibrated(8000, stretches(8000, [0.015, 1000])).threshold).toBe(0.05);
    expect(calibrated(8000, stretches(8000, [0.1, 1000])).releaseLevel).toBeGreaterThan(0.115);
    const gated = calibrated(8000, stretches(8000, [0, 9000], [0.002, 1000]));
    expect(gated.ambientRms).toBeCloseTo(0.002, 3);
    expect(gated.digitalSilenceShare).toBeCloseTo(0.9, 2);
  });

  it('counts every window that is not digital silence in the histogram, silence below speech', () => {
    const { histogram, levelsDbfs } = calibrated(
      8000,
      stretches(8000, [0.001, 2000], [0.1, 1000], [0, 500], [0.001, 500]),
    );
    const sum = (bins: readonly number[]) => bins.reduce((all, count) => all + count, 0);
    expect(sum(histogram.silence) + sum(histogram.speech)).toBe(200 * 3.5);
    expect(sum(histogram.speech)).toBeCloseTo(200, -1);
    const fullest = (bins: readonly number[]) => histogram.fromDbfs + bins.indexOf(Math.max(...bins));
    expect(fullest(histogram.silence)).toBeCloseTo(-60, -1);
    expect(fullest(histogram.speech)).toBeCloseTo(-20, -1);
    expect(levelsDbfs?.p10).toBeLessThan(-59);
    expect(levelsDbfs?.p95).toBeGreaterThan(-21);
  });

  it('keeps the threshold below a voice whose pauses are digital silence', () => {
    for (const level of [0.06, 0.1, 0.3]) {
      const { threshold } = calibrated(8000, stretches(8000, [level, 2000], [0, 1000], [level, 2000], [0, 500]));
      expect(threshold).toBeLessThanOrEqual(0.05);
    }
  });

  it('does not depend on how the sound is cut', () => {
    const pcm = stretches(8000, [0.001, 990], [0.1, 1234]);
    expect(calibrated(8000, pcm, 37)).toEqual(calibrated(8000, pcm, 100_000));
  });

  it('finds a threshold between line noise and voices', () => {
    const { threshold, ambientRms, speechRms } = calibrated(8000, speechWithPauses([1000, 1500, 800, 1200]));
    expect(ambientRms).toBeCloseTo(0.0006, 4);
    expect(threshold).toBeGreaterThan(2 * ambientRms);
    expect(threshold).toBeLessThan(speechRms / 2);
    expect(speechRms).toBeGreaterThan(0.05);
  });

  it.skipIf(!hasSpeechFile)(
    'finds a threshold between noise and voice in recorded speech (needs ../shared/corpora/speech)',
    () => {
      const { threshold, ambientRms, speechRms } = calibrated(8000, speechFile());
      expect(ambientRms).toBeGreaterThan(0.0005);
      expect(ambientRms).toBeLessThan(0.0025);
      expect(threshold).toBeGreaterThan(2 * ambientRms);
      expect(threshold).toBeLessThan(0.02);
      expect(speechRms).toBeGreaterThan(0.05);
    },
  );
});

/** What the detector makes of a sound with the threshold recommended for another stretch of the same line. */
function silenceAfter(
  sampleRate: number,
  threshold: number,
  pcm: Int16Array,
): { spoke: boolean; silentAtEnd: boolean } {
  const state = new Float64Array(SILENCE_STATE_SLOTS);
  const edges = new Float64Array(SILENCE_EDGE_SLOTS);
  const energy = new FrameEnergy();
  initSilence(state, 0, { sampleRate, threshold });
  let spoke = false;
  let silentAtEnd = true;
  const frame = sampleRate / 50;
  for (let at = 0; at + frame <= pcm.length; at += frame) {
    cutFrame(state, 0, at, energy);
    measureFrame(SampleMemory.copyOf(pcm.subarray(at, at + frame)), 0, frame, energy);
    const found = feedHops(state, 0, energy, frame, edges);
    for (let i = 0; i < found; i++) {
      silentAtEnd = edges[2 * i + 1] === 1;
      spoke ||= !silentAtEnd;
    }
  }
  return { spoke, silentAtEnd };
}

/** Noise whose level swings by so many decibels up and down, once a second, as babble and traffic do. */
function swinging(sampleRate: number, rms: number, decibels: number, seconds: number, seed: number): Int16Array {
  const pcm = noise(1 / 4, seconds * sampleRate, seed);
  return pcm.map((sample, i) => sample * 4 * rms * 10 ** ((decibels * Math.sin((2 * Math.PI * i) / sampleRate)) / 20));
}

describe('the recommended threshold', () => {
  const cases = [8000, 16000].flatMap((rate) =>
    [0.0004, 0.002, 0.01, 0.03, 0.1, 0.2].flatMap((rms) => [0, 3, 5].map((swing) => [rate, rms, swing] as const)),
  );

  it.each(cases)(
    'at %i Hz lets silence return to a line of ambient sound %f that swings by %i dB',
    (rate, rms, swing) => {
      const line = swinging(rate, rms, swing, 10, 1);
      const speech = noise(Math.min(0.5, rms * 10), 2 * rate, 2);
      for (const samples of [line, joined(line, speech)]) {
        const { threshold } = calibrated(rate, samples);
        const later = silenceAfter(rate, threshold, joined(speech, swinging(rate, rms, swing, 5, 3)));
        expect(later.silentAtEnd, `threshold ${threshold}`).toBe(true);
        // Speech 20 dB above the ambient sound; it does not fit where that is louder than 0.05.
        if (rms <= 0.03) expect(later.spoke, `threshold ${threshold}`).toBe(true);
      }
    },
  );
});

function joined(a: Int16Array, b: Int16Array): Int16Array {
  return Int16Array.from([...a, ...b]);
}
