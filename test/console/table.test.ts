import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath, useBrowser } from '../support/console/browser.js';
import { type ConsoleNode, startConsoleNode } from '../support/console/console-node.js';

const STREAMS = 2_000;
const MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
const WORDS = { ok: 'Healthy', degraded: 'Degraded', failing: 'Failing' };
const nameOf = (n: number) => `call-${String(n).padStart(4, '0')}`;

describe.skipIf(chromiumPath() === undefined)('the table of two thousand streams', () => {
  let node: ConsoleNode;
  const browser = useBrowser();
  beforeAll(async () => {
    node = await startConsoleNode({}, false);
    // A packet a second each.
    for (let n = 0; n < STREAMS - 1; n++) node.calls.open(nameOf(n), 50);
    node.calls.open(MARKUP, 50);
  });
  afterEach(browser.close);
  afterAll(() => node?.close());

  const open = async (): Promise<Page> => {
    const page = await browser.open(node.url);
    await page.locator('.grid-row.body .id').first().waitFor();
    return page;
  };
  const grid = (page: Page) => page.getByRole('grid', { name: 'Live streams' });
  const row = (page: Page, index: number) => page.locator(`#stream-${index}`);

  test('says at once whether the node is healthy, why not, and how many streams there are', async () => {
    const page = await open();
    const health = page.getByLabel('Health');
    // On a busy machine the event loop may have stood still, and the node says so itself.
    await expect
      .poll(async () => (await health.textContent())?.startsWith(WORDS[node.node.health().status]))
      .toBe(true);
    node.calls.checks = [{ name: 'line', status: 'failing', reason: 'Line <b>2</b> is cut.', affects: 'ready' }];
    await health.getByText('Line: Line <b>2</b> is cut.').waitFor();
    expect(await health.textContent()).toContain('Failing');
    node.calls.checks = [];
    expect(await page.getByRole('heading', { name: /^Streams/ }).textContent()).toBe('Streams 2,000');
    expect(await grid(page).getAttribute('aria-rowcount')).toBe('2001');
  });

  test('draws the visible rows only, asks for these alone, and shows every other when scrolled to', async () => {
    const page = await open();
    const limits: number[] = [];
    page.on('request', (request) => {
      const limit = new URL(request.url()).searchParams.get('limit');
      if (limit !== null) limits.push(Number(limit));
    });
    expect(await page.locator('.grid-row.body').count()).toBeLessThan(60);
    await grid(page).focus();
    await page.keyboard.press('End');
    await page.locator(`#stream-${STREAMS - 1} .id`).waitFor();
    // Sorted by age, the first call that was opened is the last row.
    expect(
      await row(page, STREAMS - 1)
        .locator('.id')
        .textContent(),
    ).toBe(nameOf(0));
    await page.evaluate("document.querySelector('[role=grid]').scrollTop = 1000 * 34");
    await page.locator('#stream-1003 .id').waitFor();
    expect(await page.locator('.grid-row.body').count()).toBeLessThan(60);
    expect(Math.max(...limits)).toBeLessThan(60);
  });

  test('shows an id that is markup as the text that it is', async () => {
    const page = await open();
    await page.getByPlaceholder('Filter by interaction').fill('<img');
    await page.getByText(MARKUP).click();
    await page.getByRole('heading', { name: MARKUP }).waitFor();
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.title()).toContain(MARKUP);
  });

  test('filters, sorts and opens a call by keyboard alone', async () => {
    const page = await open();
    await page.keyboard.press('/');
    await page.keyboard.type('call-019');
    await page.getByText('10 streams match').waitFor({ state: 'attached' });
    await page.keyboard.press('Enter');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    expect(await grid(page).getAttribute('aria-activedescendant')).toBe('stream-2');
    const id = (await row(page, 2).locator('.id').textContent()) ?? '';
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: id }).waitFor();
    await page.keyboard.press('Escape');
    await grid(page).waitFor();
    await page.getByRole('button', { name: 'Interaction' }).click();
    await page.locator('[aria-sort=ascending]', { hasText: 'Interaction' }).waitFor();
    await expect.poll(() => row(page, 1).locator('.id').textContent()).toBe(nameOf(0));
  });

  test('the arrow keys move in the table when nothing has the focus', async () => {
    const page = await open();
    await page.keyboard.press('ArrowDown');
    expect(await grid(page).getAttribute('aria-activedescendant')).toBe('stream-1');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    const id = (await row(page, 1).locator('.id').textContent()) ?? '';
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: id }).waitFor();
  });

  test('keeps a filter in the address, so that going back finds it again', async () => {
    const page = await open();
    await page.getByPlaceholder('Filter by interaction').fill('call-0007');
    await page.getByText('1 streams match').waitFor({ state: 'attached' });
    await row(page, 0).click();
    await page.getByRole('heading', { name: 'call-0007' }).waitFor();
    await page.goBack();
    await page.getByText('1 streams match').waitFor({ state: 'attached' });
    expect(await page.getByPlaceholder('Filter by interaction').inputValue()).toBe('call-0007');
  });

  test('shows which calls have one-way audio, and finds them', async () => {
    const page = await open();
    const info = node.node.streams().find(({ interactionId }) => interactionId === nameOf(7));
    if (info === undefined) throw new Error('The call is not there.');
    node.node.emit('oneWayAudio', { info, channel: 1, cause: 'noPackets' });
    await page.getByRole('link', { name: 'One call has' }).click();
    await page.getByText('1 streams match').waitFor({ state: 'attached' });
    expect(await row(page, 0).textContent()).toContain('one-way');
    await row(page, 0).click();
    await page.getByText('the internal side has no signal, no packets come from it').waitFor();
    node.node.emit('oneWayAudioEnded', { info, channel: 1, cause: 'noPackets', reason: 'signal' });
    await page.getByText('the internal side has no signal').waitFor({ state: 'detached' });
  });

  test('asks once a second, and not at all while it is hidden', async () => {
    const page = await open();
    let asked = 0;
    page.on('request', (request) => {
      if (request.url().includes('/interactions?')) asked++;
    });
    const hide = (hidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true });
         document.dispatchEvent(new Event('visibilitychange'))`,
      );
    await expect.poll(() => asked).toBeGreaterThan(1);
    await hide(true);
    await page.waitForLoadState('networkidle');
    const before = asked;
    await page.waitForTimeout(2_200);
    expect(asked).toBe(before);
    await hide(false);
    await expect.poll(() => asked).toBeGreaterThan(before);
  });

  test('has the same at 360 pixels and at 3840, without a scroll bar across', async () => {
    const page = await open();
    for (const width of [360, 768, 3840]) {
      await page.setViewportSize({ width, height: 800 });
      await expect.poll(() => page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      expect(await page.getByRole('columnheader', { name: 'Loss' }).isVisible()).toBe(true);
    }
  });
});
