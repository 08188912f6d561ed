import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ImpairmentPlan, type NetworkImpairments, NO_IMPAIRMENTS } from '../../../src/simulator/network/impairments.js';
import { SeededRandom } from '../../../src/simulator/network/random.js';

const PACKETS = 40_000;

function plan(impairments: Partial<NetworkImpairments>, seed = 1, packets = PACKETS) {
  const plan = new ImpairmentPlan({ ...NO_IMPAIRMENTS, ...impairments }, new SeededRandom(seed));
  return Array.from({ length: packets }, () => ({ ...plan.next(false) }));
}

function runs(plans: readonly { withheld: boolean }[]): number[] {
  const lengths: number[] = [];
  let length = 0;
  for (const { withheld } of [...plans, { withheld: false }]) {
    if (withheld) length++;
    else if (length > 0) {
      lengths.push(length);
      length = 0;
    }
  }
  return lengths;
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

test.each([
  { loss: 0.02, burst: 1, runLength: 1 / 0.98 },
  { loss: 0.02, burst: 0, runLength: 1 / 0.98 },
  { loss: 0.1, burst: 4, runLength: 4 },
  { loss: 0.3, burst: 10, runLength: 10 },
])('loss $loss in runs of $burst has that rate and that length', ({ loss, burst, runLength }) => {
  const plans = plan({ loss, burst });
  const rate = plans.filter(({ withheld }) => withheld).length / PACKETS;
  expect(rate / loss).toBeGreaterThan(0.85);
  expect(rate / loss).toBeLessThan(1.15);
  expect(mean(runs(plans)) / runLength).toBeGreaterThan(0.9);
  expect(mean(runs(plans)) / runLength).toBeLessThan(1.1);
});

test('duplicates and reordering have their rates', () => {
  const plans = plan({ duplicate: 0.05, reorder: 0.1 });
  const doubled = plans.filter(({ copyDelayUs }) => copyDelayUs >= 0).length / PACKETS;
  const heldBack = plans.filter(({ delayUs }) => delayUs > 20_000).length / PACKETS;
  expect(Math.abs(doubled - 0.05)).toBeLessThan(0.005);
  expect(Math.abs(heldBack - 0.1)).toBeLessThan(0.008);
});

test('nothing is delayed beyond the limit, copies come after their packets, edges are left alone', () => {
  const impairments = fc.record({
    loss: fc.double({ min: 0, max: 0.9, noNaN: true }),
    burst: fc.double({ min: 0, max: 20, noNaN: true }),
    reorder: fc.double({ min: 0, max: 1, noNaN: true }),
    duplicate: fc.double({ min: 0, max: 1, noNaN: true }),
    jitterMs: fc.double({ min: 0, max: 200, noNaN: true }),
    maxDelayMs: fc.double({ min: 0, max: 45, noNaN: true }),
  });
  fc.assert(
    fc.property(impairments, fc.integer(), (options, seed) => {
      const plan = new ImpairmentPlan(options, new SeededRandom(seed));
      for (let i = 0; i < 100; i++) {
        const isEdge = i % 10 === 0;
        const { withheld, delayUs, copyDelayUs } = plan.next(isEdge);
        if (isEdge)
          expect({ withheld, delayUs, copyDelayUs }).toEqual({ withheld: false, delayUs: 0, copyDelayUs: -1 });
        expect(delayUs).toBeGreaterThanOrEqual(0);
        expect(Math.max(delayUs, copyDelayUs)).toBeLessThanOrEqual(options.maxDelayMs * 1000);
        if (copyDelayUs >= 0) expect(copyDelayUs).toBeGreaterThanOrEqual(delayUs);
      }
    }),
    { numRuns: 50 },
  );
});

test('the seed decides, and one rate does not reshuffle another', () => {
  const some = { loss: 0.05, duplicate: 0.05 };
  expect(plan(some, 3, 500)).toEqual(plan(some, 3, 500));
  expect(plan(some, 3, 500)).not.toEqual(plan(some, 4, 500));
  const lostAlone = plan({ loss: 0.05 }, 3, 500).map(({ withheld }) => withheld);
  expect(plan({ ...some, jitterMs: 30, reorder: 0.2 }, 3, 500).map(({ withheld }) => withheld)).toEqual(lostAlone);
});

test('random numbers differ by seed and by purpose, and ids are version 4 UUIDs', () => {
  const ids = [
    new SeededRandom(1, 0, 0),
    new SeededRandom(1, 0, 1),
    new SeededRandom(1, 1, 0),
    new SeededRandom(2, 0, 0),
  ].map((random) => random.uuid());
  expect(new Set(ids).size).toBe(4);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const random = new SeededRandom(9);
  const buckets = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const bucket = random.below(10);
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
});
