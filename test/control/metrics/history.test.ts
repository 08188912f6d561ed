import { expect, test } from 'vitest';
import { HISTORY_COLUMNS, HistoryRing, type HistorySample } from '../../../src/control/metrics/history.js';

const sample = (value: number) =>
  Object.fromEntries(HISTORY_COLUMNS.map((name) => [name, value])) as unknown as HistorySample;

test('keeps the last 900 samples, and answers those after a time', () => {
  const ring = new HistoryRing();
  for (let n = 0; n < 1_000; n++) ring.add(n * 1000, sample(n));
  const all = ring.read();
  expect([all.at.length, all.streams[0], all.streams.at(-1)]).toEqual([900, 100, 999]);
  const newest = ring.read(997_000);
  expect(newest.at).toEqual([new Date(998_000).toISOString(), new Date(999_000).toISOString()]);
  expect(newest.packetsPerSecond).toEqual([998, 999]);
  expect(ring.read(999_000).at).toEqual([]);
});
