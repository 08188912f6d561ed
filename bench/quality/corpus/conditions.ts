import type { FillerKind } from './fillers.js';
import type { NoiseKind } from './noise.js';

/**
 * What the table of results takes means over:
 *
 * - `usual`: clean lines, and lines whose noise is 25 to 40 dB below speech.
 * - `noisy`: 13 conditions, from clean to noise as loud as speech.
 * - `level`: usual lines with quiet and with loud speech.
 * - `extra`: what else lines carry; in no mean.
 */
export type ConditionGroup = 'usual' | 'noisy' | 'level' | 'extra';

export interface Condition {
  /** Name of its folder. */
  readonly name: string;
  readonly groups: readonly ConditionGroup[];
  /** Active level of speech. */
  readonly levelDbfs: number;
  readonly noise?: NoiseKind;
  /** Active level of speech over the RMS of the noise, both within the band of the line. */
  readonly snrDb?: number;
  /** What sounds in the pauses. */
  readonly filler?: FillerKind;
  /** Constant added to every sample, as a part of full scale. */
  readonly dcOffset?: number;
}

const USUAL_LEVEL_DBFS = -26;
const OTHER_LEVELS_DBFS = [-16, -36, -46];
const NOISES = ['white', 'car', 'babble'] as const;

const usualLevel = { levelDbfs: USUAL_LEVEL_DBFS };

function noisy(groups: readonly ConditionGroup[], noise: NoiseKind, snrDb: number): Condition {
  return { name: `${noise}-${snrDb}`, groups, noise, snrDb, ...usualLevel };
}

function atLevel(levelDbfs: number): Condition[] {
  const name = `level${levelDbfs}`;
  return [
    { name: `${name}-clean`, groups: ['level'], levelDbfs },
    ...NOISES.map(
      (noise): Condition => ({ name: `${name}-${noise}-30`, groups: ['level'], levelDbfs, noise, snrDb: 30 }),
    ),
  ];
}

export const CONDITIONS: readonly Condition[] = [
  { name: 'clean', groups: ['usual', 'noisy'], ...usualLevel },
  ...NOISES.flatMap((noise) => [40, 30, 25].map((snr) => noisy(['usual'], noise, snr))),
  ...NOISES.flatMap((noise) => [20, 10, 5, 0].map((snr) => noisy(['noisy'], noise, snr))),
  ...OTHER_LEVELS_DBFS.flatMap(atLevel),
  ...[20, 10, 5].map((snr) => noisy(['extra'], 'street', snr)),
  ...(['music', 'tones', 'dtmf'] as const).map(
    (filler): Condition => ({ name: filler, groups: ['extra'], filler, ...usualLevel }),
  ),
  { name: 'dc-offset', groups: ['extra'], dcOffset: 0.028, ...usualLevel },
];
