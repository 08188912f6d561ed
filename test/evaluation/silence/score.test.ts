import { describe, expect, it } from 'vitest';
import { scoreOf } from '../../../src/evaluation/silence/evaluate.js';
import { parseSpeech, type SpeechSegment, segmentsWithin } from '../../../src/evaluation/silence/labels.js';
import { hitRates, onsetError, speechFrames } from '../../../src/evaluation/silence/score.js';

const bits = (text: string): Uint8Array => Uint8Array.from(text, Number);
const invalid = expect.objectContaining({ code: 'FILE_INVALID' });

describe('frames of true speech', () => {
  it('are those that speech fills for half of their length or more', () => {
    // Frames begin at 0, 20, 40, …; 29.9 to 70 ms leaves 10.1 ms to the second and 10 to the fourth.
    expect(speechFrames([[29.9, 70]], 5)).toEqual(bits('01110'));
    expect(speechFrames([[30.1, 69.9]], 5)).toEqual(bits('00100'));
  });

  it('add up what several segments leave to one frame', () => {
    expect(
      speechFrames(
        [
          [0, 6],
          [14, 20],
        ] as SpeechSegment[],
        2,
      ),
    ).toEqual(bits('10'));
    expect(
      speechFrames(
        [
          [0, 4],
          [15, 20],
        ] as SpeechSegment[],
        2,
      ),
    ).toEqual(bits('00'));
  });

  it('end with the audio', () => {
    expect(speechFrames([[20, 1e9]], 3)).toEqual(bits('011'));
    expect(speechFrames([], 3)).toEqual(bits('000'));
  });
});

describe('hit rates', () => {
  it('are what a hand counts', () => {
    // 6 frames of speech, 4 found; 4 others, 3 found: 7 of 10.
    expect(hitRates(bits('1111110000'), bits('0011110001'))).toEqual({
      accuracy: 70,
      speechHit: 66.67,
      nonSpeechHit: 75,
    });
  });

  it('are null for what does not occur', () => {
    expect(hitRates(bits('000'), bits('010'))).toEqual({ accuracy: 66.67, speechHit: null, nonSpeechHit: 66.67 });
    expect(hitRates(bits('11'), bits('11'))).toEqual({ accuracy: 100, speechHit: 100, nonSpeechHit: null });
  });
});

describe('the error of onsets', () => {
  it('is the distance to the nearest detected onset since the speech before', () => {
    const truth: SpeechSegment[] = [
      [1000, 2000],
      [3000, 4000],
      [5000, 6000],
    ];
    // 30 ms late; 80 ms early, beside one of 900 ms early; 10 ms late, found again within the segment.
    const detected: SpeechSegment[] = [
      [1030, 2050],
      [2100, 2200],
      [2920, 4100],
      [5010, 5500],
      [5600, 6000],
    ];
    expect(onsetError(truth, detected)).toEqual({ p50: 30, p95: 80, found: 3, missed: 0 });
  });

  it('is none where the pause before or the speech was not found', () => {
    const truth: SpeechSegment[] = [
      [1000, 2000],
      [2600, 3000],
      [5000, 5100],
    ];
    expect(onsetError(truth, [[1000, 3100]])).toEqual({ p50: 0, p95: 0, found: 1, missed: 2 });
    expect(onsetError(truth, [])).toEqual({ p50: null, p95: null, found: 0, missed: 3 });
    expect(onsetError([], [[0, 10]])).toEqual({ p50: null, p95: null, found: 0, missed: 0 });
  });
});

it('scores live flags and spans by themselves', () => {
  // Speech from 40 to 120 ms: frames 2 to 5 of 10.
  const detection = {
    frames: 10,
    liveSpeech: bits('0001111100'),
    speechSpans: [[45, 120]] as SpeechSegment[],
  };
  expect(scoreOf(detection, [[40, 120]])).toEqual({
    frames: 10,
    live: { accuracy: 70, speechHit: 75, nonSpeechHit: 66.67 },
    spans: { accuracy: 100, speechHit: 100, nonSpeechHit: 100 },
    onsetErrorMillis: { p50: 5, p95: 5, found: 1, missed: 0 },
  });
});

describe('labels', () => {
  it('may come in any order and overlap', () => {
    expect(
      parseSpeech([
        [500, 700],
        [0, 100],
        [650, 900],
        [100, 120],
      ]),
    ).toEqual([
      [0, 120],
      [500, 900],
    ]);
    expect(parseSpeech([])).toEqual([]);
  });

  it.each([
    null,
    {},
    'speech',
    [1, 2],
    [[1]],
    [[1, 2, 3]],
    [[2, 1]],
    [[1, 1]],
    [[-1, 5]],
    [['1', '2']],
    [[0, null]],
    [[0, Number.POSITIVE_INFINITY]],
    [[Number.NaN, 4]],
  ])('are refused as %j', (value) => {
    expect(() => parseSpeech(value)).toThrow(invalid);
  });

  it('of another file are refused, and an end beyond the audio is cut off', () => {
    expect(segmentsWithin([[10, 1005]], 1000)).toEqual([[10, 1000]]);
    expect(() =>
      segmentsWithin(
        [
          [10, 20],
          [1000, 1100],
        ] as SpeechSegment[],
        1000,
      ),
    ).toThrow(invalid);
  });
});
