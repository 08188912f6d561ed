import { afterEach, expect, it, vi } from 'vitest';
import { silentLogger } from '../../../src/core/logger.js';
import { Engine } from '../../../src/engine/engine.js';
import { createNode } from '../../../src/node/create-node.js';
import { summaryOf } from '../../../src/node/summary.js';

afterEach(() => vi.restoreAllMocks());

it('a record that a shard rejects is in the statistics, the metrics line, the summary and a warning', async () => {
  const warnings: unknown[] = [];
  const logger = { ...silentLogger, warn: (...line: unknown[]) => void warnings.push(line[0]) };
  const counters = Engine.prototype.counters;
  vi.spyOn(Engine.prototype, 'counters').mockImplementation(function rejecting(this: Engine) {
    return { ...counters.call(this), rejected: 3 };
  });
  const node = await createNode({ engine: { shards: 1, maxStreams: 1, native: 'off' }, logger });
  expect(node.stats().refused).toEqual({ 'engine.rejected': 3 });
  expect(node.metricsLine()).toContain('refused: engine.rejected 3');
  expect(summaryOf(node.stats(), 'out').refused).toEqual({ 'engine.rejected': 3 });
  await node.close();
  expect(warnings).toEqual([{ reason: 'engine.rejected', count: 3 }]);
});
