import { expect, it } from 'vitest';
import { Buckets } from '../../../src/core/statistics/buckets.js';

it('counts cumulatively, edges included, and what lies above the last edge only in the count', () => {
  const buckets = new Buckets([1, 5, 10]);
  expect(buckets.read()).toEqual({ bounds: [1, 5, 10], counts: [0, 0, 0], sum: 0, count: 0 });
  for (const value of [0, 1, 1.5, 5, 7, 10, 11]) buckets.add(value);
  expect(buckets.read()).toEqual({ bounds: [1, 5, 10], counts: [2, 4, 6], sum: 35.5, count: 7 });
});

it('gives readings that later values do not change', () => {
  const buckets = new Buckets([1]);
  const before = buckets.read();
  buckets.add(1);
  expect(before.counts).toEqual([0]);
});
