import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** A Chromium to test with: that of TRUNKLINE_CHROMIUM, or one in PATH; undefined when there is none. */
export function chromiumPath(): string | undefined {
  const named = process.env['TRUNKLINE_CHROMIUM'];
  if (named !== undefined && named !== '') return existsSync(named) ? named : undefined;
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    // As root in a container there is neither a sandbox nor a graphics card; sound goes nowhere.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--mute-audio'],
  });
}

/** A page of the console, and everything that went wrong in it. */
export interface ConsolePage {
  readonly page: Page;
  /** Errors and warnings of the browser's console, uncaught exceptions, and requests to other hosts. */
  readonly problems: string[];
}

export interface OpenOptions extends BrowserContextOptions {
  /** What the browser itself reports and the test provokes, such as the answer 401 to a wrong token. */
  readonly expected?: RegExp;
}

/** One browser for the tests of a file; every page that they open is closed, and its problems are none. */
export function useBrowser() {
  let browser: Browser | undefined;
  const opened: ConsolePage[] = [];
  beforeAll(async () => {
    const path = chromiumPath();
    if (path !== undefined) browser = await launchChromium(path);
  });
  afterAll(() => browser?.close());

  /** Opens an address in a profile of its own. */
  const open = async (url: string, { expected, ...options }: OpenOptions = {}): Promise<Page> => {
    if (browser === undefined) throw new Error('There is no browser.');
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    opened.push(watched(page, new URL(url).host, expected));
    await page.goto(url);
    return page;
  };
  /** At the end of each test. */
  const close = async (): Promise<void> => {
    const pages = opened.splice(0);
    for (const { page } of pages) await page.context().close();
    expect(pages.flatMap(({ problems }) => problems)).toEqual([]);
  };
  return { open, close };
}

function watched(page: Page, host: string, expected: RegExp | undefined): ConsolePage {
  const problems: string[] = [];
  const note = (text: string) => {
    if (expected?.test(text) !== true) problems.push(text);
  };
  page.on('pageerror', (error) => note(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) note(`${message.type()}: ${message.text()}`);
  });
  page.on('request', (request) => {
    const { host: asked, protocol } = new URL(request.url());
    if (protocol.startsWith('http') && asked !== host) note(`a request to ${asked}`);
  });
  page.on('dialog', (dialog) => {
    note(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return { page, problems };
}
