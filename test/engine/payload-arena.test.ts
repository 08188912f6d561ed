import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PayloadArena } from '../../src/engine/input/payload-arena.js';

const OFFSET = 4096;

describe('payload arena', () => {
  it('never gives out a byte that is still held, whatever is claimed and released', () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          max: fc.integer({ min: 0, max: 900 }),
          used: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
      },
      { weight: 4, arbitrary: fc.constant('release' as const) },
      { weight: 1, arbitrary: fc.constant('release all' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
        const arena = new PayloadArena(new SharedArrayBuffer(OFFSET + 4096), OFFSET, 4096);
        const held: { at: number; length: number; mark: number }[] = [];
        let mark = 0;
        for (const one of steps) {
          if (one === 'release all') {
            held.length = 0;
            arena.releaseTo(-1);
          } else if (one === 'release') {
            held.shift();
            arena.releaseTo(held[0]?.at ?? -1);
          } else {
            const at = arena.claim(one.max);
            if (at < 0) continue;
            expect(at).toBeGreaterThanOrEqual(OFFSET);
            expect(at + one.max).toBeLessThanOrEqual(OFFSET + 4096);
            const length = Math.round(one.max * one.used);
            mark = (mark + 1) & 0xff;
            // The claimer may write to all of what it claimed, though it commits less.
            arena.bytes.fill(mark, at, at + one.max);
            arena.commit(at, length);
            held.push({ at, length, mark });
          }
          for (const { at, length, mark: own } of held) {
            expect(arena.bytes.subarray(at, at + length).every((byte) => byte === own)).toBe(true);
          }
        }
      }),
      { numRuns: 400 },
    );
  });

  it('refuses what does not fit and takes it again after a release', () => {
    const arena = new PayloadArena(new SharedArrayBuffer(1024), 0, 1024);
    const places: number[] = [];
    for (let at = arena.claim(100); at >= 0; at = arena.claim(100)) {
      arena.commit(at, 100);
      places.push(at);
    }
    expect(places).toHaveLength(10);
    expect(arena.refused).toBe(1);
    arena.releaseTo(places[2] ?? -1);
    expect(arena.claim(100)).toBe(0);
  });

  it('can give a quarter of its capacity at once at any time', () => {
    const capacity = 1 << 20;
    const arena = new PayloadArena(new SharedArrayBuffer(capacity), 0, capacity);
    const held: number[] = [];
    const claim = (): void => {
      const at = arena.claim(160);
      arena.commit(at, 160);
      held.push(at);
    };
    for (let packet = 0; packet < 20_000; packet++) {
      claim();
      if (held.length > 300) held.shift();
      arena.releaseTo(held[0] ?? -1);
      if (packet % 997 === 0) {
        const before = held.length;
        for (let burst = 0; burst < capacity / 4 / 160 - 400; burst++) claim();
        held.splice(0, held.length - before);
        arena.releaseTo(held[0] ?? -1);
      }
    }
    expect(arena.refused).toBe(0);
  });

  it('touches little of a large capacity while little is in use', () => {
    const arena = new PayloadArena(new SharedArrayBuffer(64 << 20), 0, 64 << 20);
    const held: number[] = [];
    let furthest = 0;
    for (let packet = 0; packet < 200_000; packet++) {
      const at = arena.claim(200);
      arena.commit(at, 160);
      held.push(at);
      furthest = Math.max(furthest, at + 200);
      if (held.length > 5000) {
        held.shift();
        arena.releaseTo(held[0] ?? -1);
      }
    }
    expect(arena.refused).toBe(0);
    // 800 kB are held; a quarter of the capacity is kept ready.
    expect(furthest).toBeLessThan(18 << 20);
  });
});
