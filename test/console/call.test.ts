import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath, useBrowser } from '../support/console/browser.js';
import { type ConsoleNode, startConsoleNode } from '../support/console/console-node.js';

/** A block of 20 ms whose samples say which block and channel it is. */
function pcmOf(block: number, channel: number): Uint8Array {
  const samples = Int16Array.from({ length: 160 }, (_, at) => ((block * 160 + at) % 30_000) * (channel === 0 ? 1 : -1));
  return new Uint8Array(samples.buffer);
}

/** Keeps what the page hands to its AudioWorklet, and what the worklet says that it has played. */
const TAP = `
  window.handed = [];
  window.played = 0;
  const Node = window.AudioWorkletNode;
  window.AudioWorkletNode = class extends Node {
    constructor(...all) {
      super(...all);
      const post = this.port.postMessage.bind(this.port);
      this.port.postMessage = (pcm, transfer) => {
        window.handed.push(...new Int16Array(pcm));
        post(pcm, transfer);
      };
      this.port.addEventListener('message', ({ data }) => { window.played = data.played; });
    }
  };`;

describe.skipIf(chromiumPath() === undefined)('the page of a call', () => {
  let node: ConsoleNode;
  const browser = useBrowser();
  beforeAll(async () => {
    node = await startConsoleNode();
  });
  afterEach(browser.close);
  afterAll(() => node?.close());

  const open = async (id: string): Promise<Page> => {
    const page = await browser.open(node.url);
    await page.addInitScript(TAP);
    await page.goto(`${node.url}#/calls/${encodeURIComponent(id)}`);
    await page.reload();
    await page.getByRole('heading', { name: id }).waitFor();
    return page;
  };

  let listenedTo = 0;

  // Live audio that a busy machine delivers later than 200 ms is left out by design: then another call is listened to.
  test('plays the very samples that were sent, both channels, less than half a second late', { retry: 2 }, async () => {
    const id = `exact-${++listenedTo}`;
    node.calls.openExact(id, pcmOf);
    const page = await open(id);
    await page.getByRole('button', { name: 'Listen', exact: true }).click();
    await page.locator('.listen-delay').waitFor();
    await expect.poll(() => page.evaluate('window.played'), { timeout: 20_000 }).toBeGreaterThan(8_000);
    const handed = (await page.evaluate('window.handed')) as number[];
    const first = handed[0] ?? -1;
    const wrong = handed.findIndex((sample, at) => {
      const due = (first + Math.floor(at / 2)) % 30_000;
      return sample !== (at % 2 === 0 ? due : -due);
    });
    expect(handed.length).toBeGreaterThan(16_000);
    expect(wrong).toBe(-1);
    const delay = (await page.locator('.listen-delay').textContent()) ?? '';
    expect(Number.parseInt(delay, 10)).toBeLessThan(500);
    expect(node.audited.map(({ interactionId }) => interactionId)).toContain(id);
  });

  test('has a volume and a mute for each channel, and stops', async () => {
    node.calls.openExact('volumes', pcmOf);
    const page = await open('volumes');
    await page.getByRole('button', { name: 'Listen', exact: true }).click();
    await page.locator('.listen-delay').waitFor();
    const mute = page.getByRole('button', { name: 'Mute external' });
    await mute.click();
    expect(await mute.getAttribute('aria-pressed')).toBe('true');
    await page.getByLabel('Volume, internal').press('ArrowLeft');
    expect(await page.locator('.volume-value', { hasText: '95 %' }).count()).toBe(1);
    await page.getByRole('button', { name: 'Stop listening' }).click();
    await page.getByText('Not listening').waitFor();
  });

  test('says that the call has ended while it is listened to', async () => {
    node.calls.openExact('short', pcmOf);
    const page = await open('short');
    await page.getByRole('button', { name: 'Listen', exact: true }).click();
    await page.locator('.listen-delay').waitFor();
    node.calls.end('short');
    await page.locator('.listen-status', { hasText: 'The call has ended.' }).waitFor();
    await page.locator('.page-head .state.ended').waitFor();
    expect(await page.getByText('Length').count()).toBe(1);
  });

  test('pauses and resumes, and shows the state that the node confirms', async () => {
    node.calls.open('pausable');
    const page = await open('pausable');
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.locator('.page-head .state.paused').waitFor();
    expect(
      node.audited.filter(({ interactionId }) => interactionId === 'pausable').map(({ action }) => action),
    ).toContain('control_paused');
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.locator('.page-head .state:is(.speech, .silence)').waitFor();
    await page.getByRole('button', { name: 'Pause' }).waitFor();
  });

  test('ends the capture after a question, and Escape answers no', async () => {
    node.calls.open('endable');
    const page = await open('endable');
    const end = page.getByRole('button', { name: 'End', exact: true });
    await end.click();
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    expect(await page.getByRole('dialog').count()).toBe(0);
    await end.click();
    await page.getByRole('button', { name: 'End the capture' }).click();
    await page.locator('.page-head .state.ended').waitFor();
    expect(await end.getAttribute('title')).toBe('The call has ended.');
  });

  test('says so when there is no such call', async () => {
    const page = await browser.open(`${node.url}#/calls/nobody`, { expected: /status of 404/ });
    await page.getByText('This call is not known here, or no longer.').waitFor();
    expect(await page.getByRole('link', { name: 'Look for its recording' }).count()).toBe(1);
  });
});
