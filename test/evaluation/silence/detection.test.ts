import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePcmu } from '../../../src/audio/codecs/g711.js';
import { SilenceDetection } from '../../../src/evaluation/silence/detection.js';
import { evaluateSilence } from '../../../src/evaluation/silence/evaluate.js';
import type { SpeechSegment } from '../../../src/evaluation/silence/labels.js';
import { wavAudio } from '../../../src/evaluation/wav-audio.js';
import { nativeMissing } from '../../support/engine/shard-rig.js';
import { hasSpeechFile, speechFile, speechWithPauses, stretches } from '../../support/speech.js';
import { wavFile } from '../../support/wav-file.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);
if (!hasSpeechFile) console.warn('skipped: ../shared/corpora/speech is not here');

const pcmFile = (pcm: Int16Array, sampleRate = 8000): Buffer =>
  wavFile({ sampleRate, data: Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength) });

describe.each(missing === undefined ? (['off', 'require'] as const) : (['off'] as const))('native %s', (native) => {
  let detection: SilenceDetection;
  beforeAll(async () => {
    detection = await SilenceDetection.start({ native, silenceDetector: 'fixed' });
  });
  afterAll(() => detection.close());

  it('finds loud stretches between quiet ones', async () => {
    expect(detection.backend).toBe(native === 'off' ? 'js' : 'native');
    const pcm = stretches(8000, [0.0005, 1500], [0.1, 2000], [0.0005, 2500], [0.1, 1000], [0.0005, 3000]);
    const truth: SpeechSegment[] = [
      [1500, 3500],
      [6000, 7000],
    ];
    const { score } = await evaluateSilence(detection, wavAudio(pcmFile(pcm)), truth);
    expect(score.frames).toBe(500);
    expect(score.spans.accuracy).toBeGreaterThanOrEqual(98);
    expect(score.live.speechHit).toBeGreaterThanOrEqual(97);
    expect(score.onsetErrorMillis).toMatchObject({ found: 2, missed: 0 });
    expect(score.onsetErrorMillis.p95).toBeLessThanOrEqual(50);
  });

  it('takes one file after another, of any rate, each from a fresh start', async () => {
    const lengths = [0.02, 61.37, 3].map((seconds) => Math.round(seconds * 16_000));
    for (const length of lengths) {
      const { frames, speechSpans } = await detection.run(wavAudio(pcmFile(new Int16Array(length), 16_000)));
      expect(frames).toBe(Math.floor(length / 320));
      expect(speechSpans).toEqual([]);
    }
  });

  it('refuses less than one frame, and goes on', async () => {
    const invalid = expect.objectContaining({ code: 'FILE_INVALID' });
    await expect(detection.run(wavAudio(pcmFile(new Int16Array(159))))).rejects.toEqual(invalid);
    const { frames } = await detection.run(wavAudio(pcmFile(new Int16Array(160))));
    expect(frames).toBe(1);
  });

  it('finds the same in µ-law and in the same audio as PCM', async () => {
    const codes = Buffer.from(encodePcmu(speechWithPauses([900, 1200, 800])));
    const asUlaw = await detection.run(wavAudio(wavFile({ tag: 7, bits: 8, data: codes })));
    const pcm = wavAudio(wavFile({ tag: 7, bits: 8, sampleRate: 16_000, data: codes }));
    const asPcm = await detection.run({ ...pcm, sampleRate: 8000 });
    expect(asPcm).toEqual(asUlaw);
    expect(asUlaw.speechSpans.length).toBeGreaterThan(0);
  });

  it.skipIf(!hasSpeechFile)('finds the pauses that the file of the shared corpora is known to have', async () => {
    const { speechSpans, frames } = await detection.run(wavAudio(pcmFile(speechFile())));
    const edges = [0, ...speechSpans.flat(), frames * 20];
    const pauses = Array.from({ length: edges.length / 2 }, (_, i) => (edges[2 * i + 1] ?? 0) - (edges[2 * i] ?? 0));
    for (const known of [3710, 2210, 1780, 1050, 5290]) {
      const isFound = pauses.some((pause) => Math.abs(pause - known) <= 50);
      expect(isFound, `${known} ms in ${pauses}`).toBe(true);
    }
  });

  it('refuses a detector that the engine has not', async () => {
    const start = SilenceDetection.start({ native, silenceDetector: 'guess' as 'fixed' });
    await expect(start).rejects.toEqual(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
