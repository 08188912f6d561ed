import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LIMITS } from '../../../../src/core/limits.js';
import { CaptureNode } from '../../../../src/node/capture-node.js';
import { type Simulator, startSimulator } from '../../../../src/simulator/genesys/simulator.js';

// A real file, which is polled twice a second: each change takes up to half a second to be seen.
const SEEN = { timeout: 15_000 };

let folder: string;
let file: string;
let simulator: Simulator;
let node: CaptureNode;
let ids: readonly string[];
let opened: string[];
let ended: string[];
let errors: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-interactions-'));
  file = join(folder, 'interactions.txt');
  simulator = await startSimulator({ codec: 'pcmu', interactions: 6 });
  ids = simulator.interactionIds;
  opened = [];
  ended = [];
  errors = [];
  node = new CaptureNode({
    record: true,
    apiUrl: simulator.apiUrl,
    mediaUrl: simulator.mediaUrl,
    clientId: 'test',
    clientSecret: 'very-secret-value',
    interactions: [id(0)],
    interactionsFile: file,
    maxStreams: 64,
  });
  node.on('streamOpened', ({ interactionId }) => opened.push(interactionId));
  node.on('streamEnded', ({ interactionId }, { endReason }) => ended.push(`${endReason} ${interactionId}`));
  node.on('error', ({ message }) => errors.push(message));
});

afterEach(async () => {
  await node.stop();
  await simulator.close();
  rmSync(folder, { recursive: true, force: true });
});

function id(index: number): string {
  return ids[index] ?? '';
}

/** As careful programs do it: written beside, then put in its place at once. */
function replace(text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

it('is followed while the node runs: ids added, removed, the file replaced, missing and full of junk', async () => {
  writeFileSync(file, `# the second and third call\n${id(1)}, ${id(2)} # together\r\n\r\n , ,\n`);
  await node.start();
  await expect.poll(() => opened.toSorted(), SEEN).toEqual([id(0), id(1), id(2)].toSorted());

  // Added, in place.
  writeFileSync(file, `${id(1)}\n${id(2)}\n${id(3)}\n`);
  await expect.poll(() => opened.slice(3), SEEN).toEqual([id(3)]);

  // Replaced: one removed, one added, and the one that the settings name as well stays.
  replace(`${id(0)}\n${id(2)}\n${id(3)}\n${id(4)}\n`);
  await expect.poll(() => opened.slice(4), SEEN).toEqual([id(4)]);
  await expect.poll(() => ended, SEEN).toEqual([`unsubscribed ${id(1)}`]);
  replace(`${id(2)}\n${id(3)}\n${id(4)}\n`);

  // Missing for longer than a poll: what it said stands.
  await new Promise((resolve) => setTimeout(resolve, 700));
  renameSync(file, `${file}.away`);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(ended).toHaveLength(1);
  expect(errors).toEqual([]);

  // Junk is reported, and keeps nobody out: neither an id that no call has nor one that cannot be an id.
  replace(`${id(5)}\nno such call\n"quoted"\n${id(2)}\nnobody-has-this\n${id(3)}\n`);
  await expect.poll(() => opened.slice(5), SEEN).toEqual([id(5)]);
  await expect.poll(() => ended.slice(1), SEEN).toEqual([`unsubscribed ${id(4)}`]);
  await expect.poll(() => errors.filter((text) => /printable ASCII/.test(text)).length, SEEN).toBe(2);

  // A file that is something else altogether changes nothing.
  replace(readFileSync(file, 'utf8') + 'x'.repeat(LIMITS.maxNameBytes + 1));
  await expect.poll(() => errors.at(-1), SEEN).toMatch(/Cannot use the interactions file.*is no interaction id/);
  expect(node.status().interactions).toBe(4);

  // Nothing in it: all go but the call of the settings.
  replace('');
  // A stream ends when its shard has confirmed it, after its interaction.
  const left = [id(2), id(3), id(5)].map((one) => `unsubscribed ${one}`).toSorted();
  await expect.poll(() => ended.slice(2).toSorted(), SEEN).toEqual(left);
  expect(node.status().interactions).toBe(1);

  await node.stop();
  expect(ended.at(-1)).toBe(`stopped ${id(0)}`);
  const { interactions } = simulator.ledger();
  let sent = 0;
  for (const one of Object.values(interactions)) sent += one.sent;
  expect(node.summary()).toMatchObject({ packetsReceived: sent, packetsLost: 0, streams: 6 });
}, 30_000);

it('may come into being after the node, and is not followed once that has stopped', async () => {
  await node.start();
  await expect.poll(() => errors).toEqual([expect.stringMatching(/ENOENT.*looked at again when it changes/)]);
  writeFileSync(file, id(4));
  await expect.poll(() => opened.toSorted(), SEEN).toEqual([id(0), id(4)].toSorted());
  await node.stop();
  writeFileSync(file, `${id(3)}\n`);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(opened).toHaveLength(2);
  expect(errors).toHaveLength(1);
}, 20_000);

it.each([
  ['a FIFO', (path: string) => void execFileSync('mkfifo', [path]), /not a regular file/],
  ['a folder', (path: string) => mkdirSync(path), /not a regular file/],
  ['an endless device', (path: string) => symlinkSync('/dev/zero', path), /not a regular file/],
  ['beyond 4 MiB', (path: string) => writeFileSync(path, Buffer.alloc(5 << 20, '#')), /more than 4 MiB/],
])(
  '%s in its place is reported, blocks nothing and changes nothing',
  async (_, make, complaint) => {
    writeFileSync(file, id(1));
    await node.start();
    await expect.poll(() => opened.toSorted(), SEEN).toEqual([id(0), id(1)].toSorted());
    rmSync(file);
    make(file);
    await expect.poll(() => errors, SEEN).toEqual([expect.stringMatching(complaint)]);
    expect(node.status().interactions).toBe(2);
    rmSync(file, { recursive: true });
    writeFileSync(file, `${id(1)}\n${id(2)}`);
    await expect.poll(() => opened.slice(2), SEEN).toEqual([id(2)]);
  },
  20_000,
);
