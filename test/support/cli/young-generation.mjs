// Loaded with --import: at SIGUSR2 it allocates what survives, and prints how large the young generation became.
import { getHeapSpaceStatistics } from 'node:v8';
import { isMainThread } from 'node:worker_threads';

function youngGenerationMb() {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / (1 << 20);
}

if (isMainThread) {
  process.on('SIGUSR2', () => {
    let kept = [];
    let most = 0;
    for (let i = 0; i < 3_000_000; i++) {
      kept.push({ i });
      if (kept.length > 400_000) kept = [];
      if (i % 50_000 === 0) most = Math.max(most, youngGenerationMb());
    }
    process.stderr.write(`young generation: ${most} MB\n`);
  });
}
