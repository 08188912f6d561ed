import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeToken, tokenFileText } from '../../src/control/access/token-file.js';
import { chromiumPath, useBrowser } from '../support/console/browser.js';
import { type ConsoleNode, startConsoleNode } from '../support/console/console-node.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-console-tokens-'));
const viewer = makeToken('vera', 'viewer', Date.now());
const operator = makeToken('otto', 'operator', Date.now());
const tokensFile = join(folder, 'tokens.json');

describe.skipIf(chromiumPath() === undefined)('signing in', () => {
  let node: ConsoleNode;
  const browser = useBrowser();
  beforeAll(async () => {
    writeFileSync(tokensFile, tokenFileText([viewer.entry, operator.entry]));
    node = await startConsoleNode({ tokensFile });
    node.calls.open('call-1');
  });
  afterEach(browser.close);
  afterAll(async () => {
    await node?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The browser reports the first request, which is refused, by itself. */
  const open = (path = '') => browser.open(`${node.url}${path}`, { expected: /status of 401/ });

  test('refuses a wrong token, and shows nothing of the node before', async () => {
    const page = await open();
    const token = page.getByLabel('Token');
    await token.fill('trunkline_wrong');
    await token.press('Enter');
    await page.getByText('This token is not valid.').waitFor();
    expect(await page.getByText('call-1').count()).toBe(0);
    expect(await token.inputValue()).toBe('');
  });

  test('keeps the token for the tab alone, and in no address', async () => {
    const page = await open();
    const addresses: string[] = [];
    page.on('request', (request) => addresses.push(request.url()));
    await page.getByLabel('Token').fill(operator.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('otto').waitFor();
    await page.getByRole('link', { name: 'call-1' }).waitFor();
    await page.reload();
    await page.getByText('otto').waitFor();
    expect([...addresses, page.url()].filter((address) => address.includes(operator.token))).toEqual([]);
    expect(await page.evaluate('JSON.stringify({ ...localStorage }) + document.cookie')).not.toContain(operator.token);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Token').waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  test('lets a listener hear a call, with the token as a subprotocol of the WebSocket', async () => {
    node.calls.openExact('audible', () => new Uint8Array(320));
    const page = await open('#/calls/audible');
    const sockets: string[] = [];
    page.on('websocket', (socket) => sockets.push(socket.url()));
    await page.getByLabel('Token').fill(operator.token);
    await page.getByLabel('Token').press('Enter');
    await page.getByRole('button', { name: 'Listen', exact: true }).click();
    await page.locator('.listen-delay').waitFor();
    expect(sockets).toHaveLength(1);
    expect(sockets[0]).not.toContain(operator.token);
  });

  test('says what a role may not do, and why, instead of doing it', async () => {
    const page = await open('#/calls/call-1');
    await page.getByLabel('Token').fill(viewer.token);
    await page.getByLabel('Token').press('Enter');
    const pause = page.getByRole('button', { name: 'Pause' });
    await pause.waitFor();
    expect(await pause.getAttribute('aria-disabled')).toBe('true');
    expect(await pause.getAttribute('title')).toBe('This needs the role operator; you are signed in as viewer.');
    await pause.click({ force: true });
    const listen = page.getByRole('button', { name: 'Listen', exact: true });
    expect(await listen.getAttribute('title')).toContain('listener');
    expect(node.audited.filter(({ action }) => action === 'control_paused')).toEqual([]);
  });

  test('asks again when the token is revoked while the page is open', async () => {
    const page = await open();
    await page.getByLabel('Token').fill(viewer.token);
    await page.getByLabel('Token').press('Enter');
    await page.getByText('vera').waitFor();
    writeFileSync(tokensFile, tokenFileText([operator.entry]));
    await node.node.reopen();
    await page.getByText('The token is not valid, or no longer.').waitFor();
    expect(await page.getByText('call-1').count()).toBe(0);
  });
});
