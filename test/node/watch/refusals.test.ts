import { afterEach, expect, it, vi } from 'vitest';
import { silentLogger } from '../../../src/core/logger.js';
import { Engine } from '../../../src/engine/engine.js';
import { createNode } from '../../../src/node/create-node.js';
import { summaryOf } from '../../../src/node/summary.js';

afterEach(() => vi.restoreAllMocks());

it.each([
  { counter: 'rejected', what: 'a record that a shard rejects' },
  { counter: 'lateOpusUnrepaired', what: 'a late Opus packet that is not recorded' },
  { counter: 'latePacketsUnplaced', what: 'a late packet that belongs nowhere' },
  { counter: 'opusGapsGivenUp', what: 'a gap of recorded Opus that is given up' },
])('$what is in the statistics, the metrics line, the summary and a warning', async ({ counter }) => {
  const reason = `engine.${counter}`;
  const warnings: unknown[] = [];
  const logger = { ...silentLogger, warn: (...line: unknown[]) => void warnings.push(line[0]) };
  const counters = Engine.prototype.counters;
  vi.spyOn(Engine.prototype, 'counters').mockImplementation(function counting(this: Engine) {
    return { ...counters.call(this), [counter]: 3 };
  });
  const node = await createNode({ engine: { shards: 1, maxStreams: 1, native: 'off' }, logger });
  expect(node.stats().refused).toEqual({ [reason]: 3 });
  expect(node.metricsLine()).toContain(`refused: ${reason} 3`);
  expect(summaryOf(node.stats(), 'out').refused).toEqual({ [reason]: 3 });
  await node.close();
  expect(warnings).toEqual([{ reason, count: 3 }]);
});
