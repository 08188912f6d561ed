import { afterEach, describe, expect, test } from 'vitest';
import { chromiumPath, useBrowser } from '../support/console/browser.js';
import { startConsoleNode } from '../support/console/console-node.js';

describe.skipIf(chromiumPath() === undefined)('a node that restarts while the page is open', () => {
  const browser = useBrowser();
  afterEach(browser.close);

  test('is missed, and found again without a reload, table and listening included', async () => {
    const first = await startConsoleNode();
    const port = Number(new URL(first.url).port);
    const silence = () => new Uint8Array(320);
    first.calls.openExact('before', silence);
    first.calls.openExact('both', silence);
    const page = await browser.open(first.url, {
      expected: /ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket|status of 404/,
    });
    const other = await page.context().newPage();
    await other.goto(`${first.url}#/calls/both`);
    await other.getByRole('button', { name: 'Listen', exact: true }).click();
    await other.locator('.listen-delay').waitFor();
    await page.getByRole('link', { name: 'before' }).waitFor();

    // First the server alone: a page that sees a closing node end its calls takes them from the table, as it should.
    await first.control.close();
    await page.getByText('The node does not answer.').waitFor();
    expect(await page.getByRole('link', { name: 'before' }).count()).toBe(1);
    expect(await page.locator('header .pill').textContent()).toBe('No answer');
    expect(await page.locator('.verdict-word').textContent()).toMatch(/ when it last answered$/);

    await first.close();
    const second = await startConsoleNode({ port });
    try {
      second.calls.openExact('after', silence);
      second.calls.openExact('both', silence);
      await page.getByText('Connected again.').waitFor();
      await page.locator('header .pill', { hasText: 'Healthy' }).waitFor();
      await page.getByRole('link', { name: 'after' }).waitFor();
      expect(await page.getByRole('link', { name: 'before' }).count()).toBe(0);
      await other.locator('.listen-delay').waitFor();
    } finally {
      await second.close();
    }
  });
});
