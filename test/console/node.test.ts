import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath, useBrowser } from '../support/console/browser.js';
import { type ConsoleNode, startConsoleNode } from '../support/console/console-node.js';

describe.skipIf(chromiumPath() === undefined)('the page of the node', () => {
  let node: ConsoleNode;
  const browser = useBrowser();
  beforeAll(async () => {
    node = await startConsoleNode({}, false);
  });
  afterEach(browser.close);
  afterAll(() => node?.close());

  test('a warning about a call leads to the call', async () => {
    node.calls.open('call/1');
    node.calls.warn('call/1', 'packets of a call are lost');
    const page = await browser.open(`${node.url}#/node`);
    const warning = page.getByRole('listitem').filter({ hasText: 'packets of a call are lost' });
    await warning.getByRole('link', { name: 'call/1' }).click();
    await page.getByRole('heading', { name: 'call/1' }).waitFor();
    expect(new URL(page.url()).hash).toBe('#/calls/call%2F1');
  });

  test('durations of a source have a unit that fits them, and columns are as wide as their content', async () => {
    const connections = [
      { connection: 1, idleMs: 340 },
      { connection: 2, idleMs: 4_000_000 },
    ];
    Object.assign(node.calls, { status: () => ({ tokenAgeMs: 21_586, waitSeconds: 90, connections }) });
    const page = await browser.open(`${node.url}#/node`);
    const figures = page.getByRole('definition');
    await figures.filter({ hasText: /^22 s$/ }).waitFor();
    expect(await page.getByRole('term').allTextContents()).toEqual(expect.arrayContaining(['Token age', 'Wait']));
    expect(await figures.allTextContents()).toContain('1 min');
    expect(await page.getByRole('cell').allTextContents()).toEqual(['1', '340 ms', '2', '1 h 6 min']);
    const head = await page.getByRole('columnheader', { name: 'Connection' }).boundingBox();
    expect(head?.width).toBeLessThan(150);
  });
});
