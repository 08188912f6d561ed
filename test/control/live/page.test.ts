import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Page, type Place } from '../../../src/control/live/page.js';

const place = fc.record({
  value: fc.integer({ min: 0, max: 9 }),
  id: fc.constantFrom('a', 'b', 'c', 'd'),
  startedAtMs: fc.integer({ min: 0, max: 9 }),
});

const inOrder = (a: Place, b: Place): number =>
  Number(a.value) - Number(b.value) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0) || a.startedAtMs - b.startedAtMs;

it('is the first part of the whole in order, whatever the order in which it came', () => {
  const property = fc.property(fc.array(place), fc.integer({ min: 1, max: 20 }), fc.boolean(), (all, limit, down) => {
    const page = new Page(limit, down, undefined);
    for (const one of all) page.add(one);
    const sorted = all.toSorted((a, b) => (down ? -1 : 1) * inOrder(a, b));
    expect(page.sorted()).toEqual(sorted.slice(0, limit));
    expect({ total: page.total, isMore: page.isMore }).toEqual({ total: all.length, isMore: all.length > limit });
  });
  fc.assert(property);
});

it('begins after a place, and counts what is before', () => {
  const page = new Page(2, false, { value: 1, id: 'b', startedAtMs: 0 });
  for (const id of ['c', 'a', 'd', 'b', 'e']) page.add({ value: 1, id, startedAtMs: 0 });
  expect(page.sorted().map(({ id }) => id)).toEqual(['c', 'd']);
  expect({ total: page.total, isMore: page.isMore }).toEqual({ total: 5, isMore: true });
});
