import type { ConditionRow, SilenceRows } from './rows.js';
import { meanRates } from './rows.js';

/** A figure that the adaptive or the neural detector should reach. */
export interface Mark {
  readonly what: string;
  readonly atLeast: number;
  readonly measured: number;
  readonly isMet: boolean;
}

/** Of every condition it is the better of live flag and spans that counts, where nothing else is said. */
export function marksOf({ conditions, means }: SilenceRows, detector: string): Mark[] {
  const usual = means.usual?.[detector];
  const noisy = means.noisy?.[detector];
  if (usual === undefined || noisy === undefined) return [];
  const rows = conditions.map((row) => ({ ...row, accuracy: accuracyOf(row, detector) }));
  const worst = (chosen: readonly { readonly accuracy: number }[]): number =>
    Math.min(...chosen.map(({ accuracy }) => accuracy));
  const inNoise = (names: readonly string[], leastSnrDb: number) =>
    rows.filter(({ condition: { groups, noise = 'none', snrDb = 100 } }) => {
      return groups.includes('noisy') && names.includes(noise) && snrDb >= leastSnrDb;
    });
  const levels = [...new Set(rows.map(({ condition }) => condition.levelDbfs))].map((levelDbfs) => {
    const atLevel = conditions.filter(
      ({ condition: { groups, levelDbfs: own } }) =>
        own === levelDbfs && (groups.includes('usual') || groups.includes('level')),
    );
    return { accuracy: meanRates(atLevel.flatMap(({ scores }) => scores[detector]?.spans ?? [])).accuracy };
  });
  return [
    mark('usual lines, live', 96, usual.live.accuracy),
    mark('usual lines, spans', 98, usual.spans.accuracy),
    mark('the worst level from −46 to −16 dBFS, spans', 95, worst(levels)),
    mark('13 conditions, live', 84, noisy.live.accuracy),
    mark('13 conditions, spans', 84, noisy.spans.accuracy),
    mark('white and car noise down to 5 dB, the worst', 92, worst(inNoise(['white', 'car'], 5))),
    mark(
      'the worst of the 13 conditions without babble at 0 dB',
      65,
      worst(rows.filter(({ condition: { groups, name } }) => groups.includes('noisy') && name !== 'babble-0')),
    ),
  ].filter(({ measured }) => Number.isFinite(measured));
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

function accuracyOf({ scores }: ConditionRow, detector: string): number {
  const score = scores[detector];
  return score === undefined ? 0 : Math.max(score.live.accuracy, score.spans.accuracy);
}

function mark(what: string, atLeast: number, measured: number): Mark {
  return { what, atLeast, measured: Math.round(measured * 10) / 10, isMet: measured >= atLeast };
}
