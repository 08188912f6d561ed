import { expect, it } from 'vitest';
import { runScrape, scrapeTable } from '../../bench/scrape/scrape.js';

it('measures a scrape beside the same node without one', async () => {
  const report = await runScrape({ streams: 50, smoke: true });
  expect(report).toMatchObject({ measurement: false, streams: 50, scrapes: 3 });
  expect(report.samples).toBeGreaterThan(100);
  expect(report.bytes).toBeGreaterThan(10_000);
  for (const cost of [report.scrape, report.baseline]) {
    expect(cost.cpuMs).toBeGreaterThanOrEqual(0);
    expect(cost.worstMs).toBeGreaterThanOrEqual(cost.longestMs);
  }
  expect(scrapeTable(report)).toContain('not a measurement');
  expect(scrapeTable(report)).not.toMatch(/NaN|undefined|null/);
});
