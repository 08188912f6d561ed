import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compareResults } from '../../bench/compare/compare.js';
import { comparisonPage } from '../../bench/compare/page.js';
import { readResult } from '../../bench/compare/result-file.js';
import { comparisonText } from '../../bench/compare/text.js';
import { ratioInterval, studentQuantile } from '../../bench/compare/welch.js';
import { addToHistory, historyText, readHistory } from '../../bench/history/history.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-compare-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Given {
  readonly cpus: readonly number[];
  readonly bare?: readonly number[];
  readonly valid?: readonly boolean[];
  readonly streams?: number;
  readonly version?: string;
  readonly cpu?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly measurement?: boolean;
}

let files = 0;

/** A result file as bench capacity --json leaves it, behind its table. */
function resultFile({ cpus, bare = [], valid, streams = 2000, version = '1.0.0', ...rest }: Given): string {
  const round = (cpu: number, i: number): object => ({
    valid: valid?.[i] ?? true,
    dropped: 0,
    cpuMicrosPerPacket: cpu,
    p99Micros: cpu * 1_000,
    packetsPerRead: null,
  });
  const middle = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] as number;
  const result = {
    version,
    commit: 'a'.repeat(40),
    date: `2026-01-02T03:04:${String(files).padStart(2, '0')}.000Z`,
    node: 'v20.20.2',
    arguments: [],
    measurement: rest.measurement ?? true,
    machine: { cpu: rest.cpu ?? 'A <fast> one', cores: 2, memoryBytes: 1, system: 'linux', loadBefore: 0.5 },
    backend: 'native',
    settings: { source: 'subscription', codec: 'pcmu', record: false, seconds: 10, ...rest.settings },
    runs: [
      {
        streams,
        valid: valid?.includes(true) ?? true,
        dropped: 0,
        packetsSent: 1_000,
        medians: {
          node: { cpuMicrosPerPacket: middle(cpus), p50Micros: 900, p99Micros: 3_000, rssBytes: 145e6 },
          bareWs: bare.length === 0 ? null : { cpuMicrosPerPacket: middle(bare) },
          tutorial: null,
          plain: null,
        },
        perRound: { node: cpus.map(round), bareWs: bare.map(round), tutorial: [], plain: [] },
      },
    ],
  };
  const file = join(folder, `result-${files++}.json`);
  writeFileSync(file, `streams  codec\n   2000   pcmu\n${JSON.stringify(result)}\n`);
  return file;
}

function compared(one: Given, other: Given): ReturnType<typeof compareResults> {
  return compareResults(readResult(resultFile(one)), readResult(resultFile(other)));
}

describe('the interval of a ratio', () => {
  it.each([
    [1, 12.7062],
    [2, 4.30265],
    [4, 2.77645],
    [8, 2.306],
    [30, 2.04227],
    [1_000, 1.96234],
  ])('uses the quantile of Student’s t with %i degrees of freedom', (freedom, quantile) => {
    expect(studentQuantile(0.975, freedom)).toBeCloseTo(quantile, 4);
  });

  it('is Welch’s, on logarithms', () => {
    // By hand: logarithms 0, 0.1, 0.2 and 0.5, 0.5, 0.8; t(0.975; 2.56 degrees) = 3.52.
    const interval = ratioInterval([0, 0.1, 0.2].map(Math.exp), [0.5, 0.5, 0.8].map(Math.exp));
    const error = Math.sqrt(0.01 / 3 + 0.03 / 3);
    const freedom = (0.04 / 3) ** 2 / ((0.01 / 3) ** 2 / 2 + (0.03 / 3) ** 2 / 2);
    const reach = studentQuantile(0.975, freedom) * error;
    expect(Math.log(interval?.ratio ?? 0)).toBeCloseTo(0.5, 10);
    expect(Math.log(interval?.low ?? 0)).toBeCloseTo(0.5 - reach, 10);
    expect(Math.log(interval?.high ?? 0)).toBeCloseTo(0.5 + reach, 10);
  });

  it('holds the true ratio in 95 of a hundred cases', () => {
    let seed = 12_345;
    const uniform = (): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return (seed + 0.5) / 2 ** 32;
    };
    const noisy = (mean: number, spread: number): number =>
      mean * Math.exp(spread * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
    let held = 0;
    for (let run = 0; run < 2_000; run++) {
      const before = Array.from({ length: 5 }, () => noisy(4, 0.05));
      const after = Array.from({ length: 4 }, () => noisy(3, 0.15));
      const { low, high } = ratioInterval(before, after) ?? { low: Number.NaN, high: Number.NaN };
      if (low <= 0.75 && 0.75 <= high) held++;
    }
    expect(held / 2_000).toBeGreaterThan(0.93);
    expect(held / 2_000).toBeLessThan(0.975);
  });

  it('is missing where there is too little, or nothing to divide by', () => {
    expect(ratioInterval([1], [1, 2])).toBeUndefined();
    expect(ratioInterval([1, 2], [0, 2])).toBeUndefined();
    expect(ratioInterval([3, 3], [3, 3])).toEqual({ ratio: 1, low: 1, high: 1 });
  });
});

it('tells lower from higher, and neither where the rounds scatter too much', () => {
  const before = { cpus: [5, 5.1, 4.9, 5, 5.05], bare: [2, 2.02, 1.98, 2, 2.01] };
  const lower = comparisonText(compared(before, { cpus: [4, 4.1, 3.9, 4, 4.05], bare: [2, 2, 2, 2, 2.01] }));
  expect(lower).toMatch(/CPU, µs a packet +5\.01 +4\.01 +0\.800 +0\.78\d to 0\.8\d\d +5\/5 +lower/);
  expect(lower).toMatch(/CPU ÷ bareWs .* lower/);
  expect(lower).toMatch(/bareWs, µs a packet .* no difference shown/);
  expect(lower).not.toContain('NOT COMPARABLE');
  expect(comparisonText(compared(before, { cpus: [5, 9, 3, 7, 4] }))).toMatch(
    /CPU, µs a packet .* no difference shown/,
  );
  expect(comparisonText(compared(before, { cpus: [8, 8.1, 8.2] }))).toMatch(/CPU, µs a packet .*5\/3 +higher/);
});

it('leaves rounds out in which the generator was late, also from the ratio to a baseline', () => {
  const { rows } = compared(
    { cpus: [5, 50, 5.2], bare: [2, 2, 2], valid: [true, false, true] },
    { cpus: [5, 5, 5], bare: [2, 2, 2] },
  );
  const rounds = Object.fromEntries(rows.map((row) => [row.figure, row.rounds]));
  expect(rounds).toMatchObject({ 'CPU, µs a packet': [2, 3], 'CPU ÷ bareWs': [2, 3] });
  expect(rows.find(({ figure }) => figure === 'CPU, µs a packet')?.before).toBeLessThan(5.2);
});

it('says in what two files differ that make their figures worth little together', () => {
  const one = { cpus: [5, 5, 5] };
  const differences = (other: Given): readonly string[] => compared(one, other).differences;
  expect(differences(one)).toEqual([]);
  expect(differences({ ...one, cpu: 'Another' })).toEqual(['processor: "A <fast> one" and "Another"']);
  expect(differences({ ...one, settings: { seconds: 4, consumer: 'views' } })).toEqual([
    'setting seconds: 10 and 4',
    'setting consumer: nothing and "views"',
  ]);
  expect(differences({ ...one, measurement: false })).toEqual(['the second is a smoke run']);
  const other = compared(one, { ...one, streams: 1000 });
  expect(other.differences).toEqual(['streams: [2000] and [1000]']);
  expect(comparisonText(other)).toMatch(/NOT COMPARABLE[\s\S]*Nothing to compare/);
});

it('makes one page with a picture that fetches nothing', () => {
  const page = comparisonPage(compared({ cpus: [5, 5.1, 5] }, { cpus: [4, 4.1, 4], cpu: 'Another <one>' }));
  expect(page.match(/<svg /g)).toHaveLength(1);
  expect(page).not.toMatch(/<script|<link|src=|@import|url\((?!#)|NaN|undefined/);
  expect(page).toContain('Another &lt;one&gt;');
  expect(page).toContain('Not comparable');
  expect(page).toMatch(/<td>0\.80\d<\/td><td>0\.7\d+ to 0\.8\d+<\/td><td>3\/3<\/td><td>lower<\/td>/);
});

it('refuses a file that is no result', () => {
  const file = join(folder, 'other.json');
  writeFileSync(file, '{"runs": []}');
  expect(() => readResult(file)).toThrow(/no result of bench capacity/);
  expect(() => readResult(join(folder, 'missing.json'))).toThrow(/Cannot read/);
});

it('keeps the medians of each release, one entry for each kind of measurement', () => {
  const kept = join(folder, 'releases');
  const add = (given: Given): string => addToHistory(readResult(resultFile(given)), kept);
  add({ cpus: [5, 6, 7], bare: [2, 2, 2] });
  add({ cpus: [4, 5, 6], bare: [2, 2, 2] });
  add({ cpus: [9, 9, 9], streams: 4000 });
  add({ cpus: [3, 3, 3], version: '1.10.0' });
  add({ cpus: [3, 3, 3], version: '1.9.0' });
  expect(readdirSync(kept).sort()).toEqual(['1.0.0.json', '1.10.0.json', '1.9.0.json']);
  const releases = readHistory(kept);
  expect(releases.map(({ version, entries }) => [version, entries.length])).toEqual([
    ['1.0.0', 2],
    ['1.9.0', 1],
    ['1.10.0', 1],
  ]);
  expect(historyText(releases)).toMatch(/1\.0\.0 +aaaaaaa +subscription +pcmu +2000 +5\.00 +2\.50 .* 3 +A <fast> one/);
  // Small enough to be read in a diff.
  expect(readFileSync(join(kept, '1.9.0.json'), 'utf8').length).toBeLessThan(3_000);
  expect(() => add({ cpus: [1], measurement: false })).toThrow(/smoke run/);
  expect(() => add({ cpus: [1], valid: [false] })).toThrow(/lagged in every round at 2000/);
  expect(historyText([])).toContain('No release');
});
