import { expect, it } from 'vitest';
import { microTable, runMicro } from '../../bench/micro/micro.js';

it('measures each step in several rounds and shows their spread', async () => {
  const report = await runMicro({ smoke: true, only: 'ring' });
  expect(report).toMatchObject({ measurement: false, version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string });
  expect(report.results.length).toBeGreaterThan(0);
  for (const { nanoseconds, rounds, spreadPercent, samples } of report.results) {
    expect(rounds.length).toBe(2);
    expect(samples).toBeGreaterThan(0);
    expect(nanoseconds.p50).toBeGreaterThanOrEqual(Math.min(...rounds));
    expect(nanoseconds.p50).toBeLessThanOrEqual(Math.max(...rounds));
    const half = (Math.max(...rounds) - Math.min(...rounds)) / 2;
    expect(spreadPercent).toBeCloseTo((half / nanoseconds.p50) * 100, -1);
  }
  const table = microTable(report);
  expect(table).toContain('not a measurement');
  expect(table).toMatch(/spread/);
  expect(table).not.toMatch(/NaN|undefined|null/);
});

it('says which steps there are when none has the name', async () => {
  await expect(runMicro({ smoke: true, only: 'no such step' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('ring') as string,
  });
});
