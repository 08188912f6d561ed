import { tableOf } from '../capacity/report/table.js';
import type { Comparison, Row } from './compare.js';
import type { Result } from './result-file.js';

export const METHOD =
  'Geometric means over the valid rounds; second ÷ first with 95 % confidence (Welch’s t interval on the logarithms of the rounds). A difference is said to be shown only where the interval leaves out 1.';

/** For people. */
export function comparisonText({ before, after, differences, rows, dropped }: Comparison): string {
  return [
    `first   ${placeOf(before)}`,
    `second  ${placeOf(after)}`,
    ...(differences.length === 0 ? [] : ['NOT COMPARABLE as they are: the files differ in']),
    ...differences.map((difference) => `  ${difference}`),
    METHOD,
    ...(rows.length === 0 ? ['Nothing to compare: no number of streams has a valid round in both files.'] : []),
    ...tableOf<Row>(
      [
        ['streams', ({ streams }) => `${streams}`],
        ['', ({ figure }) => figure],
        ['first', ({ before: value }) => figureText(value)],
        ['second', ({ after: value }) => figureText(value)],
        ['second ÷ first', ({ interval, ...row }) => (interval?.ratio ?? row.after / row.before).toFixed(3)],
        ['95 %', ({ interval }) => intervalText(interval)],
        ['rounds', ({ rounds }) => rounds.join('/')],
        ['', (row) => verdictOf(row)],
      ],
      rows,
    ),
    ...dropped.map(({ streams, ...packets }) => `${streams} streams: dropped ${packets.before}, then ${packets.after}`),
  ].join('\n');
}

export function placeOf({ version, commit, date, machine }: Result): string {
  return `${version}, commit ${commit ?? 'unknown'}, ${date}, load ${machine.loadBefore} before`;
}

export function verdictOf({ interval }: Row): string {
  if (interval === undefined) return 'too few rounds';
  if (interval.high < 1) return 'lower';
  return interval.low > 1 ? 'higher' : 'no difference shown';
}

export function intervalText(interval: Row['interval']): string {
  return interval === undefined ? '–' : `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`;
}

export function figureText(value: number): string {
  return value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : value >= 1e3 ? value.toFixed(0) : value.toPrecision(3);
}
