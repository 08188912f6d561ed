import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { TrunklineProcess } from '../support/cli/trunkline-process.js';

const PROBE = fileURLToPath(new URL('../support/cli/young-generation.mjs', import.meta.url));

let child: TrunklineProcess | undefined;
afterEach(() => {
  child?.child.kill('SIGKILL');
});

describe('the heap settings', () => {
  test.each([
    ['as node dist/src/cli/main.js', [], 8, 8],
    ['with a size of the user', ['--max-semi-space-size=1'], 1, 2],
  ])('of a command started %s keep the young generation at its size', async (_, nodeArgs, least, most) => {
    child = new TrunklineProcess(
      ['serve', '--port', '0', '--no-record', '--audit', 'off'],
      ['ignore', 'pipe', 'pipe'],
      ['--import', PROBE, ...nodeArgs],
    );
    await child.ready();
    child.child.kill('SIGUSR2');
    await child.logged(/young generation: \d/);
    const mb = Number(/young generation: ([\d.]+) MB/.exec(child.stderr)?.[1]);
    expect(mb).toBeGreaterThanOrEqual(least);
    expect(mb).toBeLessThanOrEqual(most);
  });

  test('of an embedder hold for the threads that are made afterwards', async () => {
    const program = `
      import { Worker } from 'node:worker_threads';
      import { tuneHeap } from ${JSON.stringify(new URL('../../dist/src/node/heap.js', import.meta.url).href)};
      import { parentPort } from 'node:worker_threads';
      tuneHeap();
      const code = \`
        const v8 = require('node:v8');
        const size = () => v8.getHeapSpaceStatistics().find((s) => s.space_name === 'new_space').space_size / (1 << 20);
        let kept = [], most = 0;
        for (let i = 0; i < 3_000_000; i++) {
          kept.push({ i });
          if (kept.length > 400_000) kept = [];
          if (i % 50_000 === 0) most = Math.max(most, size());
        }
        require('node:worker_threads').parentPort.postMessage(most);
      \`;
      new Worker(code, { eval: true }).on('message', (most) => parentPort.postMessage(most));`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
    try {
      const most = await new Promise<number>((resolve, reject) => {
        worker.on('message', resolve);
        worker.on('error', reject);
      });
      expect(most).toBeLessThanOrEqual(2);
    } finally {
      await worker.terminate();
    }
  });
});
