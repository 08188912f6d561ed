import { expect, it } from 'vitest';
import { concealmentRows } from '../../../bench/quality/concealment.js';

it('conceals better than silence and than the former concealment at every loss rate, best where the next packet is known', () => {
  const rows = concealmentRows(1);
  expect(rows.map(({ lossPercent }) => lossPercent)).toEqual([1, 3, 5, 10, 3, 5, 10]);
  for (const row of rows) {
    expect(row.lostPackets).toBeGreaterThan(10);
    expect(row.mirrored).toBeLessThan(row.zeroFill);
    expect(row.periods).toBeLessThan(row.mirrored);
    // At 1 % of one seed, too few packets are lost to tell.
    if (row.lossPercent > 1) expect(row.periodsToNext).toBeLessThan(row.periods);
  }
});
