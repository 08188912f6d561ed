import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CONDITIONS } from '../../../bench/quality/corpus/conditions.js';
import { corpus } from '../../../bench/quality/corpus/corpus.js';
import type { QualityReport } from '../../../bench/quality/quality.js';
import { qualityPage } from '../../../bench/quality/report/page.js';
import { qualityTable } from '../../../bench/quality/report/table.js';
import { type Detector, detectionOf } from '../../../bench/quality/silence/detector.js';
import { allDetectors } from '../../../bench/quality/silence/detectors.js';
import { calibratedMarks, marksOf } from '../../../bench/quality/silence/marks.js';
import { type SilenceRows, silenceRows } from '../../../bench/quality/silence/rows.js';
import { sileroDetector } from '../../../bench/quality/silence/silero.js';
import { webrtcDetector } from '../../../bench/quality/silence/webrtc.js';
import type { SilenceScore } from '../../../src/evaluation/silence/evaluate.js';
import { scoreOf } from '../../../src/evaluation/silence/evaluate.js';
import type { WavAudio } from '../../../src/evaluation/wav-audio.js';
import { speechWithPauses } from '../../support/speech.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-quality-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('fills gaps of less than 300 ms in the frames of other detectors', () => {
  const flags = Uint8Array.from([0, 1, 1, ...Array(14).fill(0), 1, ...Array(15).fill(0), 1]);
  expect(detectionOf(flags).speechSpans).toEqual([
    [20, 360],
    [660, 680],
  ]);
});

describe('detectors to compare with', () => {
  const pcm = speechWithPauses([2000, 2000, 2000]);
  const audio: WavAudio = {
    ...{ codec: 'l16', sampleRate: 8000, bytesPerSample: 2 },
    payload: new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength),
  };
  const lengthMs = pcm.length / 8;

  it.each([
    ['WebRTC', () => webrtcDetector('WebRTC', 3)],
    ['Silero, 8 kHz', () => sileroDetector('Silero, 8 kHz', 8000)],
    ['Silero, 16 kHz', () => sileroDetector('Silero, 16 kHz', 16_000)],
  ] satisfies [string, () => Promise<Detector>][])('%s tells words from pauses', async (_, make) => {
    const detector = await make();
    const detection = await detector.detect(audio);
    // A new file begins from a fresh state.
    expect(await detector.detect(audio)).toEqual(detection);
    await detector.close();
    const { live } = scoreOf(detection, [[2000, lengthMs - 2000]]);
    expect(detection.frames).toBe(Math.floor(lengthMs / 20));
    expect(live.nonSpeechHit).toBeGreaterThan(90);
    expect(detection.speechSpans.length).toBeGreaterThan(0);
  });
});

/** Says speech for the share of all frames, from the first on. */
function detectorOfShare(name: string, share: number): Detector {
  return {
    name,
    detect: async ({ payload }) => {
      const frames = Math.floor(payload.length / 160);
      return detectionOf(Uint8Array.from({ length: frames }, (_, frame) => (frame < share * frames ? 1 : 0)));
    },
    close: async () => {},
  };
}

it('scores every detector in every condition, and shows it as text and as a page', async () => {
  const conditions = CONDITIONS.filter(({ name }) => ['clean', 'white-20'].includes(name));
  const made = corpus({ set: 'shipped', seconds: 10, folder, conditions });
  const detectors = [detectorOfShare('never', 0), detectorOfShare('adaptive', 1)];
  const { rows, examples } = await silenceRows(made, detectors, () => {});
  for (const { scores } of rows.conditions) {
    expect(scores['never']).toMatchObject({ frames: 2500, live: { speechHit: 0, nonSpeechHit: 100 } });
    expect(scores['adaptive']).toMatchObject({ frames: 2500, live: { speechHit: 100, nonSpeechHit: 0 } });
    const sum = (scores['never']?.live.accuracy ?? 0) + (scores['adaptive']?.live.accuracy ?? 0);
    expect(sum).toBeCloseTo(100, 5);
  }
  const mark = { what: 'non-speech found', atLeast: 90, measured: 99, isMet: true };
  const report: QualityReport = {
    ...{ version: '1', commit: null, date: '2026-01-01T00:00:00Z', arguments: [], node: 'v0', measurement: false },
    machine: { cpu: '<cpu>', cores: 1, memoryBytes: 1, system: 'x', loadBefore: 0 },
    corpus: { version: 1, set: 'shipped', seconds: 10, talkers: made.talkers, missingPackages: ['flite'] },
    silence: rows,
    marks: { adaptive: marksOf(rows, 'adaptive'), calibrated: [mark] },
    shardCosts: [{ backend: 'native', micros: { fixed: 0.3, adaptive: 0.55, neural: 2 } }],
    concealment: [
      { lossPercent: 1, pattern: 'random', lostPackets: 9, zeroFill: 4, mirrored: 3, periods: 2, periodsToNext: 1 },
    ],
    jitter: [
      {
        ...{ name: '1 % overtaken', isTrace: false, packets: 100, lostPercent: 0, reorderedPercent: 1 },
        ...{ adaptive: { latePercent: 0.1, addedMillis: 2 }, fixed: { latePercent: 0.7, addedMillis: 50 } },
      },
    ],
  };
  const text = qualityTable(report);
  const page = qualityPage(report, examples);
  expect(text).toContain('Not installed: flite');
  expect(text).toMatch(/never +.* \/ 0 \/ 100/);
  expect(text).toMatch(
    /Marks of adaptive\n[\s\S]*MISSED 13 conditions, live[\s\S]*\n\nMarks of calibrated\n {2}met {4}non-speech found: 99/,
  );
  for (const one of [text, page]) expect(one).toContain('fixed 0.30, adaptive 0.55 (+0.25)');
  expect(text).toContain('adaptive  0.10 % late,   2.0 ms   fixed  0.70 % late,  50.0 ms');
  expect(page).toContain('&lt;cpu&gt;');
  expect(page.match(/<svg/g)?.length).toBe(2 * 2 + 2);
  expect(`${text}${page}`).not.toMatch(/undefined|NaN/);
});

it('judges the marks by the conditions that they are about', () => {
  const score = (live: number, spans: number): SilenceScore => {
    const rates = (accuracy: number) => ({ accuracy, speechHit: accuracy, nonSpeechHit: accuracy });
    const onsetErrorMillis = { p50: 0, p95: 0, found: 1, missed: 0 };
    return { frames: 100, live: rates(live), spans: rates(spans), onsetErrorMillis };
  };
  const conditions = CONDITIONS.map((condition) => {
    const low = condition.name === 'babble-0' || condition.groups.includes('extra');
    const isQuiet = condition.name === 'level-46-clean';
    const own = low ? score(10, 20) : score(97, isQuiet ? 91 : 99);
    return { condition, scores: { adaptive: condition.name === 'car-5' ? score(91.9, 99) : own, neural: own } };
  });
  const of = (live: number, spans: number) => {
    const rates = { live: score(live, 0).live, spans: score(spans, 0).live };
    return { adaptive: rates, neural: rates };
  };
  const rows: SilenceRows = { conditions, means: { usual: of(96, 97.9), noisy: of(87.9, 92.9) }, microsPerFrame: {} };
  expect(marksOf(rows, 'adaptive').map(({ measured, isMet }) => [measured, isMet])).toEqual([
    [96, true],
    [97.9, false],
    [97, true],
    // Three conditions of four at 99 and one at 91.
    [97, true],
    [87.9, true],
    [92.9, true],
    // The spans do not make up for the live flag in car noise of 5 dB.
    [91.9, false],
    [99, true],
    [91.9, true],
    [99, true],
  ]);
  // Its mean has a mark of its own.
  expect(marksOf(rows, 'neural').filter(({ atLeast }) => atLeast === 88)).toEqual([
    { what: '13 conditions, live', atLeast: 88, measured: 87.9, isMet: false },
    { what: '13 conditions, spans', atLeast: 88, measured: 92.9, isMet: true },
  ]);
  expect(marksOf(rows, 'fixed')).toEqual([]);
});

it('judges calibrate by the worst of white and car noise that is 10 dB or more below speech', () => {
  const rows = CONDITIONS.map((condition) => {
    const nonSpeechHit = { 'car-10': 91, 'white-5': 12, 'babble-30': 13 }[condition.name] ?? 95;
    const rates = { accuracy: 0, speechHit: 0, nonSpeechHit };
    const onsetErrorMillis = { p50: 0, p95: 0, found: 1, missed: 0 };
    return { condition, scores: { calibrated: { frames: 1, live: rates, spans: rates, onsetErrorMillis } } };
  });
  const silence = { conditions: rows, means: {}, microsPerFrame: {} };
  expect(calibratedMarks(silence, 'calibrated')).toEqual([expect.objectContaining({ measured: 91, isMet: true })]);
  expect(calibratedMarks(silence, 'other')).toEqual([]);
});

it('says which detectors there are when none has the name', async () => {
  const options = { native: 'off', quick: true, only: 'xyz', log: () => {} } as const;
  await expect(allDetectors(options)).rejects.toThrow(/no detector with "xyz".*\nfixed\n/s);
});
