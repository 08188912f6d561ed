import { join } from 'node:path';
import process from 'node:process';
import type { Detection } from '../../../src/evaluation/silence/detection.js';
import { type SilenceScore, scoreOf } from '../../../src/evaluation/silence/evaluate.js';
import { readSpeech, type SpeechSegment } from '../../../src/evaluation/silence/labels.js';
import { FRAME_MS, type HitRates } from '../../../src/evaluation/silence/score.js';
import { readAudio } from '../../../src/evaluation/wav-audio.js';
import type { Condition, ConditionGroup } from '../corpus/conditions.js';
import type { Corpus } from '../corpus/corpus.js';
import type { Detector } from './detector.js';

/** What the detectors made of one condition, all talkers together. */
export interface ConditionRow {
  readonly condition: Condition;
  /** By the detector's name. */
  readonly scores: Readonly<Record<string, SilenceScore>>;
}

/** Means of the conditions of a group, by the detector's name. */
export type GroupMeans = Readonly<Record<string, { readonly live: HitRates; readonly spans: HitRates }>>;

export interface SilenceRows {
  readonly conditions: readonly ConditionRow[];
  readonly means: Readonly<Partial<Record<ConditionGroup, GroupMeans>>>;
  /** CPU of this process for a frame of 20 ms, everything around the detector included; by the detector's name. */
  readonly microsPerFrame: Readonly<Record<string, number>>;
}

/** What the detectors said of one file, for a picture. */
export interface Example {
  readonly condition: string;
  readonly talker: string;
  /** In the corpus. */
  readonly file: string;
  readonly detections: Readonly<Record<string, Detection>>;
}

/** Conditions that are shown, the first talker in each. */
const SHOWN = ['clean', 'white-20', 'car-10', 'white-5', 'babble-10', 'music'];

/** Lets every detector take the whole corpus, one after another, and closes it. */
export async function silenceRows(
  corpus: Corpus,
  detectors: readonly Detector[],
  log: (line: string) => void,
): Promise<{ rows: SilenceRows; examples: readonly Example[] }> {
  const examples = examplesOf(corpus);
  const conditions = corpus.conditions.map((condition) => ({
    condition,
    scores: {} as Record<string, SilenceScore>,
  }));
  const microsPerFrame: Record<string, number> = {};
  for (const detector of detectors) {
    log(`silence: ${detector.name}`);
    const before = process.cpuUsage();
    let frames = 0;
    for (const { condition, scores } of conditions) {
      const score = await scoreCondition(corpus, condition, detector, examples);
      scores[detector.name] = score;
      frames += score.frames;
    }
    const { user, system } = process.cpuUsage(before);
    microsPerFrame[detector.name] = (user + system) / frames;
    await detector.close();
  }
  return { rows: { conditions, means: meansOf(conditions), microsPerFrame }, examples };
}

type OpenExample = Example & { readonly detections: Record<string, Detection> };

function examplesOf({ folder, conditions, talkers }: Corpus): OpenExample[] {
  const talker = talkers[0] as string;
  return conditions
    .filter(({ name }) => SHOWN.includes(name))
    .map(({ name }) => ({ condition: name, talker, file: join(folder, name, `${talker}.wav`), detections: {} }));
}

/** All talkers as if they had spoken one after another. */
async function scoreCondition(
  { folder, talkers }: Corpus,
  { name }: Condition,
  detector: Detector,
  examples: readonly OpenExample[],
): Promise<SilenceScore> {
  const truth: SpeechSegment[] = [];
  const spans: SpeechSegment[] = [];
  const flags: number[] = [];
  for (const talker of talkers) {
    const offset = flags.length * FRAME_MS;
    const shifted = ([start, end]: SpeechSegment): SpeechSegment => [start + offset, end + offset];
    const file = join(folder, name, `${talker}.wav`);
    const detection = await detector.detect(readAudio(file));
    const { liveSpeech, speechSpans } = detection;
    const example = examples.find((one) => one.file === file);
    if (example !== undefined) example.detections[detector.name] = detection;
    truth.push(...readSpeech(join(folder, name, `${talker}.json`)).map(shifted));
    spans.push(...speechSpans.map(shifted));
    for (const flag of liveSpeech) flags.push(flag);
  }
  return scoreOf({ frames: flags.length, liveSpeech: Uint8Array.from(flags), speechSpans: spans }, truth);
}

function meansOf(conditions: readonly ConditionRow[]): SilenceRows['means'] {
  const means: Partial<Record<ConditionGroup, GroupMeans>> = {};
  for (const group of ['usual', 'noisy', 'level', 'extra'] as const) {
    const rows = conditions.filter(({ condition }) => condition.groups.includes(group));
    const names = Object.keys(rows[0]?.scores ?? {});
    if (rows.length === 0) continue;
    means[group] = Object.fromEntries(
      names.map((name) => {
        const scores = rows.flatMap((row) => row.scores[name] ?? []);
        return [
          name,
          { live: meanRates(scores.map(({ live }) => live)), spans: meanRates(scores.map((one) => one.spans)) },
        ];
      }),
    );
  }
  return means;
}

export function meanRates(rates: readonly HitRates[]): HitRates {
  const mean = (values: readonly (number | null)[]): number | null => {
    const there = values.filter((value) => value !== null);
    return there.length === 0 ? null : there.reduce((sum, value) => sum + value, 0) / there.length;
  };
  return {
    accuracy: mean(rates.map(({ accuracy }) => accuracy)) ?? 0,
    speechHit: mean(rates.map(({ speechHit }) => speechHit)),
    nonSpeechHit: mean(rates.map(({ nonSpeechHit }) => nonSpeechHit)),
  };
}
