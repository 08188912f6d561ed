import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SHARD_COUNTERS } from '../../src/shard/shard-data.js';

/** Words of the counter block as the Rust code has them. */
function nativeCounters(): Record<string, number> {
  const source = readFileSync('native/dsp/src/layout.rs', 'utf8');
  const block = /pub mod shard_counters \{([^}]*)\}/.exec(source)?.[1] ?? '';
  const constants = [...block.matchAll(/pub const (\w+): usize = (\d+);/g)];
  return Object.fromEntries(constants.map(([, name, offset]) => [name, Number(offset)]));
}

describe.each([
  ['TypeScript', SHARD_COUNTERS as Record<string, number>],
  ['Rust', nativeCounters()],
])('counters of a shard in %s', (_language, { BYTES, ...words }) => {
  it('each have a word of their own inside the block', () => {
    const offsets = Object.values(words);
    expect(offsets.length).toBeGreaterThan(8);
    expect(new Set(offsets).size).toBe(offsets.length);
    for (const offset of offsets) {
      expect(offset % 4).toBe(0);
      expect(offset).toBeLessThan(BYTES as number);
    }
  });
});

it('the counters of a shard are the same words in Rust as in TypeScript', () => {
  expect(SHARD_COUNTERS).toMatchObject(nativeCounters());
});
