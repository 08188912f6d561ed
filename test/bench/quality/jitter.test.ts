import { expect, test } from 'vitest';
import { jitterLines, networkRows } from '../../../bench/quality/jitter.js';
import { NETWORKS, traceOver } from '../../../bench/quality/networks.js';

/** The benchmark takes all of them. */
const SOME = [
  'in order, 5 ms of jitter',
  'TCP, stalls of 100 to 900 ms',
  '20 % lost',
  '1 % overtaken by 1 to 8',
  '2 % overtaken by 1 to 5, 5 % lost',
  'sender swaps every pair',
  'routes 80 ms apart',
];

test('the adaptive delay meets its marks: in order nothing is added, elsewhere little is late and little added', async () => {
  const rows = await networkRows(SOME, 1);
  for (const { name, adaptive, fixed } of rows) {
    expect(adaptive.addedMillis, name).toBeLessThanOrEqual(25);
    expect(adaptive.latePercent, name).toBeLessThanOrEqual(0.3);
    expect(fixed.addedMillis, name).toBeGreaterThan(45);
  }
  for (const { name, adaptive } of rows.slice(0, 2)) {
    expect(adaptive.latePercent, name).toBe(0);
    expect(adaptive.addedMillis, name).toBeLessThan(0.05);
  }
  expect(jitterLines(rows)).toHaveLength(SOME.length);
}, 60_000);

test('a network is the same for the same seed, and in the order of arrival', () => {
  const keyOf = (network: string, seed: number) => {
    const { packets } = traceOver(network, seed);
    const arrivals = packets.map(({ arrivalUs }) => arrivalUs);
    expect(arrivals.every((us, i) => i === 0 || us >= (arrivals[i - 1] ?? 0))).toBe(true);
    return packets.map(({ sequence, arrivalUs }) => `${sequence} ${arrivalUs}`).join();
  };
  for (const network of NETWORKS) {
    const again = keyOf(network, 7);
    expect(keyOf(network, 7) === again, network).toBe(true);
  }
});
