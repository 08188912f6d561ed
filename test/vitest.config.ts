import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './longest-first.js';
import { PACKED_FOLDER } from './packed-folder.js';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/**/*.test.ts'],
    // A test waits for conditions, never for a time: these only bound how long a failing one takes on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    // Not more than there are cores: browsers play in real time, and what they play is compared.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Commands that tests start have no control server unless they ask for one: many run at the same time.
    // The key that signs audits is not made in the developer's home.
    env: {
      TRUNKLINE_CONTROL_PORT: '0',
      XDG_CONFIG_HOME: join(tmpdir(), 'trunkline-test-config'),
      TRUNKLINE_PACKED: PACKED_FOLDER,
    },
    globalSetup: ['test/packed-folder.ts'],
    expect: {
      // A test that asserts nothing fails.
      requireAssertions: true,
      poll: { timeout: 30_000 },
    },
  },
});
