import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeToken, tokenFileText } from '../../src/control/access/token-file.js';
import { chromiumPath, useBrowser } from '../support/console/browser.js';
import { type ConsoleNode, startConsoleNode } from '../support/console/console-node.js';
import { writeRecording } from '../support/recordings.js';
import { until } from '../support/until.js';

const tokens = mkdtempSync(join(tmpdir(), 'trunkline-console-tokens-'));
const tokensFile = join(tokens, 'tokens.json');
const listener = makeToken('lisa', 'listener', Date.now());

/** A recording of a second or two, finished. */
async function record({ node, calls, folder }: ConsoleNode, id: string): Promise<string> {
  calls.open(id);
  await until(() => (node.streamCounts(id)?.packetsReceived ?? 0) > 100, 'two seconds of packets');
  calls.end(id);
  const finished = () => readdirSync(folder).find((name) => existsSync(join(folder, name, 'session.json')));
  await until(() => finished() !== undefined, 'the end of the recording');
  return finished() ?? '';
}

async function downloaded(page: Page, name: string): Promise<Buffer> {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name, exact: true }).click(),
  ]);
  return readFileSync(await download.path());
}

describe.skipIf(chromiumPath() === undefined)('recordings', () => {
  let node: ConsoleNode;
  let id: string;
  const browser = useBrowser();
  afterEach(browser.close);
  afterAll(() => rmSync(tokens, { recursive: true, force: true }));

  describe('without tokens', () => {
    beforeAll(async () => {
      node = await startConsoleNode();
      id = await record(node, 'recorded-call');
    });
    afterAll(() => node?.close());

    test('are listed, found by filter and opened', async () => {
      const page = await browser.open(`${node.url}#/recordings`);
      await page.getByPlaceholder('Filter by interaction').fill('recorded-call');
      const link = page.getByRole('link', { name: 'recorded-call' });
      await link.click();
      await page.getByRole('heading', { name: 'recorded-call' }).waitFor();
      await page.getByText('Recorded', { exact: true }).waitFor();
      expect(await page.getByRole('heading', { name: 'Files' }).count()).toBe(1);
      await page.keyboard.press('Escape');
      await page.getByRole('heading', { name: 'Recordings', exact: true }).waitFor();
    });

    test('are drawn and played, and a click in the waveform goes there', async () => {
      const page = await browser.open(`${node.url}#/recordings/${id}`);
      const wave = page.getByRole('img', { name: 'Waveform' });
      await wave.waitFor();
      await page.getByRole('button', { name: 'Play' }).click();
      await expect.poll(() => page.evaluate("document.querySelector('audio').currentTime")).toBeGreaterThan(0.3);
      await page.getByRole('button', { name: 'Pause' }).click();
      const { width = 0 } = (await wave.boundingBox()) ?? {};
      await wave.click({ position: { x: width / 2, y: 20 } });
      const share = "(({ currentTime, duration }) => currentTime / duration)(document.querySelector('audio'))";
      await expect.poll(() => page.evaluate(share)).toBeCloseTo(0.5, 1);
    });

    test('are downloaded as the files that they are', async () => {
      const page = await browser.open(`${node.url}#/recordings/${id}`);
      await page.getByRole('heading', { name: 'Files' }).waitFor();
      for (const file of ['audio.wav', 'session.json']) {
        expect((await downloaded(page, file)).equals(readFileSync(join(node.folder, id, file))), file).toBe(true);
      }
      const actions = node.audited.map(({ action }) => action);
      expect(actions).toContain('control_downloaded');
    });
  });

  describe('of two channels, stored as Opus', () => {
    beforeAll(async () => {
      node = await startConsoleNode({}, false);
      const pcm = Int16Array.from({ length: 96_000 }, (_, i) => 8000 * Math.sin((i >> 1) / (i % 2 === 0 ? 20 : 31)));
      writeRecording(node.folder, 'stereo', { format: 'opus', pcm, manifest: { channels: 2, sampleRate: 48_000 } });
    });
    afterAll(() => node?.close());

    test('are played and downloaded with both channels, and with each alone', async () => {
      const page = await browser.open(`${node.url}#/recordings/stereo`);
      const asked: string[] = [];
      page.on('request', (request) => asked.push(new URL(request.url()).search));
      await page.getByRole('button', { name: 'Play' }).click();
      await expect.poll(() => asked).toContain('?format=wav');
      await page.getByRole('radio', { name: 'Internal' }).check();
      await page.getByRole('button', { name: 'Play' }).click();
      const length = () => page.evaluate("document.querySelector('audio').duration");
      await expect.poll(length).toBeCloseTo(1, 2);
      expect(asked).toContain('?format=wav&channel=1');
      for (const file of ['audio-external.opus', 'audio-internal.opus']) {
        expect((await downloaded(page, file)).equals(readFileSync(join(node.folder, 'stereo', file))), file).toBe(true);
      }
      const [both, ...alone] = await Promise.all(
        ['', '&channel=0', '&channel=1'].map(async (channel) => {
          const path = `api/v1/recordings/stereo/audio.wav?format=wav${channel}`;
          return Buffer.from(await (await fetch(new URL(path, node.url))).arrayBuffer());
        }),
      );
      const files = { 'audio.wav': both, 'audio-external.wav': alone[0], 'audio-internal.wav': alone[1] };
      for (const [file, bytes] of Object.entries(files)) {
        expect((await downloaded(page, file)).equals(bytes as Buffer), file).toBe(true);
      }
    });
  });

  describe('with a token', () => {
    beforeAll(async () => {
      writeFileSync(tokensFile, tokenFileText([listener.entry]));
      node = await startConsoleNode({ tokensFile });
      id = await record(node, 'guarded-call');
    });
    afterAll(() => node?.close());

    test('are played and downloaded with the token in the header', async () => {
      const page = await browser.open(`${node.url}#/recordings/${id}`, { expected: /status of 401/ });
      const addresses: string[] = [];
      page.on('request', (request) => addresses.push(request.url()));
      await page.getByLabel('Token').fill(listener.token);
      await page.getByLabel('Token').press('Enter');
      await page.getByRole('button', { name: 'Play' }).click();
      await expect.poll(() => page.evaluate("document.querySelector('audio').currentTime")).toBeGreaterThan(0.3);
      const audio = await downloaded(page, 'audio.wav');
      expect(audio.equals(readFileSync(join(node.folder, id, 'audio.wav')))).toBe(true);
      expect(addresses.filter((address) => address.includes(listener.token))).toEqual([]);
    });
  });
});
