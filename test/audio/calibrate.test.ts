import { describe, expect, it } from 'vitest';
import { type Calibration, Calibrator } from '../../src/audio/calibrate.js';
import { hasSpeechFile, speechFile, speechWithPauses, stretches } from '../support/speech.js';

function calibrated(sampleRate: number, pcm: Int16Array, chunk = 160): Calibration {
  const calibrator = new Calibrator(sampleRate);
  for (let at = 0; at < pcm.length; at += chunk) calibrator.feed(pcm, at, Math.min(chunk, pcm.length - at));
  return calibrator.result();
}

describe('Calibrator', () => {
  it('puts the threshold 12 dB above a room without speech', () => {
    const { threshold, ambientRms, speechRms, seconds } = calibrated(16000, stretches(16000, [0.002, 5000]));
    expect(ambientRms).toBeCloseTo(0.002, 3);
    expect(threshold).toBeCloseTo(4 * ambientRms, 9);
    expect(speechRms).toBe(0);
    expect(seconds).toBe(5);
  });

  it('tells speech from the room', () => {
    const { threshold, ambientRms, speechRms } = calibrated(
      8000,
      stretches(8000, [0.001, 1000], [0.1, 3000], [0.001, 500]),
    );
    expect(ambientRms).toBeCloseTo(0.001, 3);
    expect(speechRms).toBeCloseTo(0.1, 2);
    expect(threshold).toBeCloseTo(0.004, 3);
  });

  it('stays 12 dB below speech, but always above the noise', () => {
    // Four times the noise would be more than a quarter of the speech, which here is less than twice the noise.
    const noisy = calibrated(8000, stretches(8000, [0.006, 2000], [0.03, 2000]));
    expect(noisy.threshold).toBeCloseTo(2 * noisy.ambientRms, 9);
    const clear = calibrated(8000, stretches(8000, [0.004, 2000], [0.05, 2000]));
    expect(clear.threshold).toBeCloseTo(clear.speechRms / 4, 9);
  });

  it('keeps within bounds, and leaves digital silence out', () => {
    expect(calibrated(8000, new Int16Array(80_000))).toEqual({
      threshold: 0.001,
      ambientRms: 0,
      speechRms: 0,
      seconds: 10,
    });
    expect(calibrated(8000, new Int16Array(0))).toEqual({ threshold: 0.001, ambientRms: 0, speechRms: 0, seconds: 0 });
    expect(calibrated(8000, stretches(8000, [0.4, 1000])).threshold).toBe(0.05);
    const gated = calibrated(8000, stretches(8000, [0, 9000], [0.002, 1000]));
    expect(gated.ambientRms).toBeCloseTo(0.002, 3);
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
      expect(threshold).toBeLessThan(0.015);
      expect(speechRms).toBeGreaterThan(0.05);
    },
  );
});
