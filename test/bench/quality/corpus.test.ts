import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { CONDITIONS } from '../../../bench/quality/corpus/conditions.js';
import { corpus } from '../../../bench/quality/corpus/corpus.js';
import { FILLERS } from '../../../bench/quality/corpus/fillers.js';
import { babble, car, street, white } from '../../../bench/quality/corpus/noise.js';
import { phrasesOf } from '../../../bench/quality/corpus/phrases.js';
import { bandLimited, RATE, rms, type Signal } from '../../../bench/quality/corpus/signal.js';
import { talkersOf } from '../../../bench/quality/corpus/talkers.js';
import { timeline, usualPauses } from '../../../bench/quality/corpus/timeline.js';
import { readSpeech } from '../../../src/evaluation/silence/labels.js';
import { pcmOf, readAudio } from '../../../src/evaluation/wav-audio.js';
import { SeededRandom } from '../../../src/simulator/network/random.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-corpus-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A tone of 1 kHz, of the amplitudes given, each for so many milliseconds. */
function tones(...parts: readonly (readonly [amplitude: number, ms: number])[]): Signal {
  let at = 0;
  return Float64Array.from(
    parts.flatMap(([amplitude, ms]) =>
      Array.from({ length: (ms * RATE) / 1000 }, () => amplitude * Math.sin((2 * Math.PI * 1000 * at++) / RATE)),
    ),
  );
}

describe('the truth', () => {
  it('joins gaps of less than 300 ms, cuts at longer ones and leaves out clicks', () => {
    const utterance = tones(
      ...([
        [0, 200],
        [0.5, 500],
        [0, 290],
        [0.5, 400],
        [0, 310],
        [0.5, 300],
        [0, 400],
        [0.5, 30],
        [0, 400],
      ] as const),
    );
    const lengths = phrasesOf(utterance).map(({ speechStart, speechEnd }) => (speechEnd - speechStart) / 8);
    expect(lengths).toEqual([1190, 300]);
  });

  it('takes in what is 24 dB below the active level, and not what is 30 dB below', () => {
    const decibels = (value: number): number => 0.5 * 10 ** (value / 20);
    const utterance = tones([decibels(-60), 500], [decibels(-24), 100], [0.5, 1000], [decibels(-30), 100], [0, 500]);
    const [phrase] = phrasesOf(utterance);
    expect((phrase?.speechEnd ?? 0) - (phrase?.speechStart ?? 0)).toBe((100 + 1000) * 8);
  });

  it('is an active level of 1', () => {
    const [phrase] = phrasesOf(tones([0, 100], [0.01, 1000], [0, 100]));
    expect(rms(phrase?.signal ?? new Float64Array(0), phrase?.speechStart, phrase?.speechEnd)).toBeCloseTo(1, 1);
    expect(phrasesOf(new Float64Array(RATE))).toEqual([]);
  });

  it('is where the time line has the phrases', () => {
    const phrases = phrasesOf(tones([0, 100], [0.5, 900], [0, 500], [0.5, 450], [0, 100]));
    const { signal, speech } = timeline(phrases, 30, usualPauses, new SeededRandom(1));
    expect(speech.length).toBeGreaterThan(5);
    for (const [index, [start, end]] of speech.entries()) {
      const before = speech[index - 1]?.[1] ?? 0;
      expect(start - before).toBeGreaterThanOrEqual(500);
      expect(rms(signal, start * 8, end * 8)).toBeGreaterThan(0.8);
      expect(rms(signal, (before + 50) * 8, (start - 50) * 8)).toBe(0);
    }
  });
});

describe('noise', () => {
  const random = (): SeededRandom => new SeededRandom(7);
  const voices = [[tones([0.5, 700])], [tones([0.3, 900])]];

  it.each([
    ['white', white(4 * RATE, random())],
    ['car', car(4 * RATE, random())],
    ['street', street(4 * RATE, random())],
    ['babble', babble(4 * RATE, voices, random())],
  ])('%s has a level of 1 and the band of the line', (_, signal) => {
    expect(signal).toHaveLength(4 * RATE);
    expect(rms(signal)).toBeCloseTo(1, 6);
    // What the filter would take away a second time: little, since it is gone already.
    const again = bandLimited(signal);
    expect(rms(signal.map((sample, i) => sample - (again[i] as number)))).toBeLessThan(0.3);
  });

  it.each(Object.entries(FILLERS))('%s sounds for as long as it is asked for', (_, make) => {
    const signal = make(2 * RATE, random());
    expect(signal).toHaveLength(2 * RATE);
    expect(rms(signal)).toBeGreaterThan(0.3);
    expect(rms(signal)).toBeLessThan(1.5);
  });
});

describe('the corpus', () => {
  const chosen = CONDITIONS.filter(({ name }) => ['clean', 'white-10', 'level-46-clean', 'music'].includes(name));
  const options = { set: 'shipped', seconds: 10, folder, conditions: chosen } as const;

  it('has the levels that its conditions say, and the same speech in each', () => {
    const { folder: place, talkers } = corpus(options);
    expect(talkers).toHaveLength(5);
    for (const talker of talkers) {
      const read = (condition: string): Signal =>
        Float64Array.from(pcmOf(readAudio(join(place, condition, `${talker}.wav`))), (sample) => sample / 32_768);
      const speech = readSpeech(join(place, 'clean', `${talker}.json`));
      expect(readSpeech(join(place, 'white-10', `${talker}.json`))).toEqual(speech);
      const clean = read('clean');
      expect(clean).toHaveLength(10 * RATE);
      const level = (signal: Signal): number => {
        const parts = speech.flatMap(([start, end]) => [...signal.subarray(start * 8, end * 8)]);
        return 20 * Math.log10(rms(Float64Array.from(parts)));
      };
      // Gaps between words belong to the speech and lower its level a little.
      expect(Math.abs(level(clean) - -27)).toBeLessThan(2);
      expect(Math.abs(level(clean) - level(read('level-46-clean')) - 20)).toBeLessThan(1);
      const noise = read('white-10').map((sample, i) => sample - (clean[i] as number));
      expect(Math.abs(20 * Math.log10(rms(noise)) - -36)).toBeLessThan(0.5);
    }
  });

  it('is made once', () => {
    const first = corpus(options);
    const made = statSync(join(first.folder, 'index.json')).mtimeMs;
    expect(corpus(options)).toEqual(first);
    expect(statSync(join(first.folder, 'index.json')).mtimeMs).toBe(made);
    const { conditions } = JSON.parse(readFileSync(join(first.folder, 'index.json'), 'utf8'));
    expect(conditions).toEqual(JSON.parse(JSON.stringify(chosen)));
  });

  it('has 13 noisy conditions and usual lines of 25 to 40 dB', () => {
    expect(CONDITIONS.filter(({ groups }) => groups.includes('noisy'))).toHaveLength(13);
    const usual = CONDITIONS.filter(({ groups }) => groups.includes('usual'));
    expect(usual.map(({ snrDb = 100 }) => snrDb).every((snr) => snr >= 25)).toBe(true);
    expect(new Set(CONDITIONS.map(({ name }) => name)).size).toBe(CONDITIONS.length);
  });

  it('has no voice and no package in both sets', () => {
    const [tuning, test] = (['tuning', 'test'] as const).map((set) => {
      const { talkers, missingPackages } = talkersOf(set);
      return new Set([...talkers.flatMap(({ packages }) => packages), ...missingPackages]);
    });
    expect([...(tuning ?? [])].filter((one) => test?.has(one))).toEqual([]);
    expect((tuning?.size ?? 0) + (test?.size ?? 0)).toBeGreaterThan(5);
  });
});
