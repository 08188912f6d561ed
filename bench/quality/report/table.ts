import type { HitRates } from '../../../src/evaluation/silence/score.js';
import { provenanceLines } from '../../provenance.js';
import type { ConditionGroup } from '../corpus/conditions.js';
import { jitterLines } from '../jitter.js';
import type { QualityReport } from '../quality.js';
import type { ShardCost } from '../silence/cost.js';
import type { Mark } from '../silence/marks.js';

/** Headings of the groups of conditions, in their order. */
export const GROUP_NAMES: Readonly<Record<ConditionGroup, string>> = {
  usual: 'usual lines',
  noisy: '13 conditions',
  level: 'other levels',
  extra: 'extra',
};

/** The report as text: means, every condition, marks, concealment, jitter buffer. */
export function qualityTable(report: QualityReport): string {
  const { corpus, marks, concealment, jitter } = report;
  return [
    ...provenanceLines(report),
    `Corpus: ${corpus.set}, ${corpus.talkers.length} voices (${corpus.talkers.join(', ')}), ${corpus.seconds} s each condition.`,
    ...(corpus.missingPackages.length === 0 ? [] : [`Not installed: ${corpus.missingPackages.join(', ')}.`]),
    '',
    'Silence: accuracy / speech found / non-speech found, in percent of frames of 20 ms',
    ...meansTable(report),
    '',
    'Accuracy in each condition, live flag | spans; then the onset error of the spans, ms: p50, p95',
    ...conditionsTable(report),
    ...Object.entries(marks).flatMap(([detector, list]) => markLines(detector, list)),
    '',
    'A shard for one PCMU packet of 20 ms, µs: decoding, level, detector, rings',
    ...report.shardCosts.map(({ backend, micros }) => `  ${backend.padEnd(10)}   ${costText(micros)}`),
    '',
    'Concealment of lost packets: log-spectral distance, dB; less is better',
    ...concealment.map(
      ({ lossPercent, pattern, zeroFill, mirrored, periods, periodsToNext }) =>
        `  ${String(lossPercent).padStart(2)} % ${pattern.padEnd(7)} silence ${decibels(zeroFill)}, former way ${decibels(mirrored)}, ` +
        `pitch periods ${decibels(periods)}, with the next packet ${decibels(periodsToNext)}`,
    ),
    '',
    'Jitter buffer: packets too late for the live line, and the delay that it adds on average after the first two seconds',
    ...jitterLines(jitter),
  ].join('\n');
}

function markLines(detector: string, marks: readonly Mark[]): string[] {
  if (marks.length === 0) return [];
  const lines = marks.map(
    ({ what, atLeast, measured, isMet }) =>
      `  ${isMet ? 'met   ' : 'MISSED'} ${what}: ${measured} (at least ${atLeast})`,
  );
  return ['', `Marks of ${detector}`, ...lines];
}

function meansTable({ silence: { means, microsPerFrame } }: QualityReport): string[] {
  const groups = Object.keys(means) as ConditionGroup[];
  const names = Object.keys(microsPerFrame);
  const head = groups.flatMap((group) => [`${GROUP_NAMES[group]}, live`, 'spans']);
  return columns([
    ['detector', ...head, 'µs a frame'],
    ...names.map((name) => [
      name,
      ...groups.flatMap((group) => {
        const mean = means[group]?.[name];
        return [ratesText(mean?.live), ratesText(mean?.spans)];
      }),
      (microsPerFrame[name] as number).toFixed(1),
    ]),
  ]);
}

function conditionsTable({ silence: { conditions, microsPerFrame } }: QualityReport): string[] {
  const names = Object.keys(microsPerFrame);
  return columns([
    ['condition', ...names],
    ...conditions.map(({ condition, scores }) => [
      condition.name,
      ...names.map((name) => {
        const score = scores[name];
        if (score === undefined) return '';
        const { p50, p95 } = score.onsetErrorMillis;
        return `${rounded(score.live.accuracy)} | ${rounded(score.spans.accuracy)}  ${rounded(p50)}, ${rounded(p95)}`;
      }),
    ]),
  ]);
}

/** Each detector, and what it takes more than the fixed one. */
export function costText(micros: ShardCost['micros']): string {
  return Object.entries(micros)
    .map(([name, value]) => {
      const more = name === 'fixed' || micros.fixed === undefined ? '' : ` (${signed(value - micros.fixed)})`;
      return `${name} ${value.toFixed(2)}${more}`;
    })
    .join(', ');
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;
}

export function ratesText(rates: HitRates | undefined): string {
  if (rates === undefined) return '';
  return [rates.accuracy, rates.speechHit, rates.nonSpeechHit].map(rounded).join(' / ');
}

function rounded(value: number | null): string {
  return value === null ? '–' : String(Math.round(value));
}

function decibels(value: number): string {
  return value.toFixed(2);
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map(
    (row) =>
      `  ${row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('   ')
        .trimEnd()}`,
  );
}
