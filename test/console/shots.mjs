#!/usr/bin/env node
/**
 * `npm run console:shots`: pictures of the console with a simulated platform behind it, in the folder `shots/`, which git
 * ignores. Each page in light and dark colours, and at the width of a telephone.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));
const target = path.join(root, 'shots');
const recordings = mkdtempSync(path.join(tmpdir(), 'trunkline-shots-'));

const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  { name: 'narrow', colorScheme: 'light', viewport: { width: 360, height: 780 } },
];

function chromiumPath() {
  const named = process.env.TRUNKLINE_CHROMIUM;
  if (named) return named;
  const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return folders
    .flatMap((folder) => names.map((name) => path.join(folder, name)))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** A node and the simulated platform beside it. */
function demo(...more) {
  const main = path.join(root, 'dist', 'src', 'cli', 'main.js');
  const args = [
    main,
    'demo',
    '--codec',
    'mixed',
    '--jitter-ms',
    '15',
    '--out',
    recordings,
    '--log-format',
    'json',
    ...more,
  ];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function addressOf(child) {
  for await (const line of createInterface({ input: child.stderr })) {
    const found = /console[^"]*(http:\/\/[\w.:]+)/.exec(line)?.[1];
    if (found !== undefined) {
      // What is not read any more would fill the pipe.
      child.stderr.resume();
      return `${found}/`;
    }
  }
  throw new Error('The demo ended before it said where its console is.');
}

async function shoot(browser, url) {
  const ask = async (what) => (await (await fetch(`${url}api/v1/${what}`)).json()).items;
  const [call] = await ask('interactions?sort=-levelDbfs&limit=1');
  const [recording] = await ask('recordings?state=recorded&limit=1');
  const pages = [
    { name: 'table', hash: '', ready: '.grid-row.body .id' },
    { name: 'charts', hash: '#/charts', ready: '.uplot canvas' },
    { name: 'node', hash: '#/node', ready: '.shard' },
    { name: 'call', hash: `#/calls/${encodeURIComponent(call.id)}`, ready: '.timeline', act: listen },
    { name: 'recordings', hash: '#/recordings', ready: '.recordings tbody tr' },
    {
      name: 'recording',
      hash: `#/recordings/${encodeURIComponent(recording.id)}`,
      ready: '.waveform canvas',
      act: play,
    },
  ];
  for (const { name: look, ...options } of LOOKS) {
    const context = await browser.newContext(options);
    for (const { name, hash, ready, act } of pages) {
      const page = await context.newPage();
      await page.goto(`${url}${hash}`);
      await page.locator(ready).first().waitFor();
      await act?.(page);
      await page.waitForTimeout(1_500);
      const fullPage = look === 'narrow' || name !== 'table';
      await page.screenshot({ path: path.join(target, `${name}-${look}.png`), fullPage });
      await page.close();
    }
    await context.close();
  }
}

/** Long enough for a level strip with something on it. */
async function listen(page) {
  await page.getByRole('button', { name: 'Listen', exact: true }).click();
  await page.locator('.listen-delay').waitFor();
  await page.waitForTimeout(8_000);
}

async function play(page) {
  await page.getByRole('button', { name: 'Play' }).click();
}

const executablePath = chromiumPath();
if (executablePath === undefined) {
  console.error('No Chromium was found in PATH; name one in TRUNKLINE_CHROMIUM.');
  process.exit(1);
}
mkdirSync(target, { recursive: true });
let running;
try {
  // Finished recordings first.
  const before = demo('--streams', '12', '--seconds', '12', '--loss', '0.01');
  before.stdout.resume();
  before.stderr.resume();
  await once(before, 'exit');
  running = demo('--streams', '60', '--seconds', '120', '--loss', '0.004', '--reorder', '0.01');
  running.stdout.resume();
  const url = await addressOf(running);
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--mute-audio'] });
  await shoot(browser, url);
  await browser.close();
  console.log(`The pictures are in ${target}.`);
} finally {
  running?.kill('SIGTERM');
  if (running !== undefined && running.exitCode === null) await once(running, 'exit');
  rmSync(recordings, { recursive: true, force: true });
}
