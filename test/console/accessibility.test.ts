import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath, useBrowser } from '../support/console/browser.js';
import { type ConsoleNode, startConsoleNode } from '../support/console/console-node.js';
import { until } from '../support/until.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe-core has found, with the place of each. */
async function violations(page: Page): Promise<string[]> {
  if (!(await page.evaluate('"axe" in window'))) await page.evaluate(AXE);
  return (await page.evaluate(`axe.run({ runOnly: ${JSON.stringify(RULES)} }).then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
      id + ' at ' + target.join(' ') + ': ' + failureSummary)))`)) as string[];
}

describe.skipIf(chromiumPath() === undefined)('accessibility', () => {
  let node: ConsoleNode;
  const browser = useBrowser();
  beforeAll(async () => {
    node = await startConsoleNode();
    node.calls.open('recorded');
    await until(() => (node.node.streamCounts('recorded')?.packetsReceived ?? 0) > 20, 'the first packets');
    node.calls.end('recorded');
    for (let n = 0; n < 40; n++) node.calls.open(`call-${n}`, n % 7 === 0 ? 1 : 25);
    node.calls.pause('call-3');
  });
  afterEach(browser.close);
  afterAll(() => node?.close());

  /** In light and in dark colours. */
  const expectNone = async (page: Page): Promise<void> => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await violations(page), colorScheme).toEqual([]);
    }
  };

  test.each([
    ['overview', '', '.grid-row.body .id'],
    ['charts', '#/charts', '.uplot canvas'],
    ['node', '#/node', '.shard'],
    ['call', '#/calls/call-0', '.timeline'],
    ['recordings', '#/recordings', '.recordings tbody tr'],
    ['recording', '#/recordings/recorded', '.waveform canvas'],
  ])('axe-core finds nothing wrong with the page %s', async (_, hash, shown) => {
    const page = await browser.open(`${node.url}${hash}`, { reducedMotion: 'reduce' });
    await page.locator(shown).first().waitFor();
    await expectNone(page);
  });

  test('nor with the questions and the help', async () => {
    const page = await browser.open(`${node.url}#/node`, { reducedMotion: 'reduce' });
    await page.getByRole('button', { name: 'Drain' }).click();
    await page.getByRole('dialog').waitFor();
    await expectNone(page);
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await expectNone(page);
  });

  test('the focus is seen, and the first press of Tab leads past the navigation', async () => {
    const page = await browser.open(node.url);
    await page.locator('.grid-row.body .id').first().waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content');
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('main');
  });

  test('without motion nothing moves', async () => {
    const page = await browser.open(node.url, { reducedMotion: 'reduce' });
    await page.locator('.meter > span').first().waitFor();
    const durations = "[...document.querySelectorAll('*')].map((one) => getComputedStyle(one).transitionDuration)";
    expect(await page.evaluate(`${durations}.filter((one) => one !== '0s')`)).toEqual([]);
  });

  test('the switch overrides what the browser prefers, and is remembered', async () => {
    const page = await browser.open(node.url, { colorScheme: 'light' });
    const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const light = await background();
    await page.getByLabel('Dark').check({ force: true });
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.reload();
    await page.locator('.verdict').waitFor();
    expect(await background()).toBe(dark);
  });
});
