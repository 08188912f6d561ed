import { OWN } from './detectors.js';
import type { ConditionRow, SilenceRows } from './rows.js';
import { meanRates } from './rows.js';

/** A figure that the adaptive or the neural detector should reach. */
export interface Mark {
  readonly what: string;
  readonly atLeast: number;
  readonly measured: number;
  readonly isMet: boolean;
}

const LINES = ['live', 'spans'] as const;
type Line = (typeof LINES)[number];

/** Mean accuracy of the 13 conditions that each detector should reach. */
const NOISY_MARKS: Readonly<Record<string, number>> = { [OWN.adaptive]: 84, [OWN.neural]: 88 };

/** The live flag and the spans each have to reach every mark. */
export function marksOf({ conditions, means }: SilenceRows, detector: string): Mark[] {
  const usual = means.usual?.[detector];
  const noisy = means.noisy?.[detector];
  if (usual === undefined || noisy === undefined) return [];
  const noisyMark = NOISY_MARKS[detector] ?? 84;
  const inBoth = (what: string, atLeast: number, measured: (line: Line) => number): Mark[] =>
    LINES.map((line) => mark(`${what}, ${line}`, atLeast, measured(line)));
  return [
    mark('usual lines, live', 96, usual.live.accuracy),
    mark('usual lines, spans', 98, usual.spans.accuracy),
    ...inBoth('the worst level from −46 to −16 dBFS', 95, (line) => worstLevel(conditions, detector, line)),
    ...inBoth('13 conditions', noisyMark, (line) => noisy[line].accuracy),
    ...inBoth('white and car noise down to 5 dB, the worst', 92, (line) =>
      worst(conditions.filter(isSteadyNoise), detector, line),
    ),
    ...inBoth('the worst of the 13 conditions without babble at 0 dB', 65, (line) =>
      worst(
        conditions.filter(({ condition: { groups, name } }) => groups.includes('noisy') && name !== 'babble-0'),
        detector,
        line,
      ),
    ),
  ].filter(({ measured }) => Number.isFinite(measured));
}

function isSteadyNoise({ condition: { groups, noise, snrDb = 100 } }: ConditionRow): boolean {
  return groups.includes('noisy') && (noise === 'white' || noise === 'car') && snrDb >= 5;
}

function worst(rows: readonly ConditionRow[], detector: string, line: Line): number {
  return Math.min(...rows.map(({ scores }) => scores[detector]?.[line].accuracy ?? 0));
}

/** Usual lines and those of other levels, by their level. */
function worstLevel(rows: readonly ConditionRow[], detector: string, line: Line): number {
  const levels = new Map<number, ConditionRow[]>();
  for (const row of rows) {
    const { groups, levelDbfs } = row.condition;
    if (!groups.includes('usual') && !groups.includes('level')) continue;
    levels.set(levelDbfs, [...(levels.get(levelDbfs) ?? []), row]);
  }
  return Math.min(
    ...[...levels.values()].map(
      (atLevel) => meanRates(atLevel.flatMap(({ scores }) => scores[detector]?.[line] ?? [])).accuracy,
    ),
  );
}

/** Of the fixed detector with the threshold of `trunkline calibrate`: silence returns where speech stands out. */
export function calibratedMarks({ conditions }: SilenceRows, detector: string): Mark[] {
  const found = conditions
    .filter(({ condition: { noise, snrDb = 0 } }) => (noise === 'white' || noise === 'car') && snrDb >= 10)
    .flatMap(({ scores }) => scores[detector]?.spans.nonSpeechHit ?? []);
  if (found.length === 0) return [];
  return [
    mark('non-speech found in white and car noise 10 dB or more below speech, the worst', 90, Math.min(...found)),
  ];
}

function mark(what: string, atLeast: number, measured: number): Mark {
  return { what, atLeast, measured: Math.round(measured * 10) / 10, isMet: measured >= atLeast };
}
