import { Buffer } from 'node:buffer';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CaptureNode } from '../../src/node/capture-node.js';
import { type Simulator, startSimulator } from '../../src/simulator/genesys/simulator.js';
import { LEVEL, marked } from '../support/genesys/secure-pause.js';
import { HeldClock } from '../support/held-clock.js';

const isFull = process.env['TRUNKLINE_E2E'] === 'full';
// Calls arrive over this time; each is as long as given, and a tenth has a secure pause.
const RUN = isFull
  ? { interactions: 100, spreadSeconds: 60, seconds: 10 }
  : { interactions: 20, spreadSeconds: 4, seconds: 3 };

let out: string;
let simulator: Simulator;
let node: CaptureNode;

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-discovery-'));
});

afterEach(async () => {
  await node.stop();
  await simulator.close();
  rmSync(out, { recursive: true, force: true });
});

test(`${RUN.interactions} calls of a queue and a user come, pause and go; nothing of a pause is anywhere`, {
  timeout: 120_000,
}, async () => {
  // Calls come once the node is there, however long that takes.
  const clock = new HeldClock();
  const calls = { ...RUN, queues: ['sales'], users: ['ann'], securePause: 0.1, channels: 2, seed: 5 } as const;
  simulator = await startSimulator({ ...calls, queues: [...calls.queues], users: [...calls.users] }, clock);
  const { apiUrl, mediaUrl } = simulator;
  node = new CaptureNode({
    record: true,
    clientId: 'id',
    clientSecret: 'secret',
    apiUrl,
    mediaUrl,
    out,
    queues: ['sales'],
    users: ['ann'],
    includeSilent: true,
  });
  let loudest = 0;
  node.on('mediaChunk', ({ payload }) => {
    loudest = Math.max(loudest, marked(payload));
  });
  let lines = 0;
  createInterface({ input: node.monitor({ includeSilent: true }) }).on('line', (line) => {
    const { payload = '' } = JSON.parse(line) as { payload?: string };
    loudest = Math.max(loudest, marked(Buffer.from(payload, 'base64')));
    lines++;
  });
  let pausesBegun = 0;
  // A pause is over when it is resumed or, on a machine so busy that the platform says so too late, with its stream.
  const paused = new Set<string>();
  node.on('paused', (event) => {
    if (event.paused) pausesBegun++;
    if (event.paused) paused.add(event.interactionId);
    else paused.delete(event.interactionId);
  });
  const received = new Map<string, number>();
  let withheld = 0;
  node.on('streamEnded', ({ interactionId }, summary) => {
    received.set(interactionId, summary.packetsReceived + summary.packetsLost);
    paused.delete(interactionId);
    withheld += summary.packetsPaused ?? 0;
  });
  await node.start();
  clock.release();
  await expect.poll(() => received.size, { timeout: 100_000, interval: 200 }).toBe(RUN.interactions);
  expect(node.status()).toMatchObject({ interactions: 0, paused: 0, discovery: { calls: 0 } });
  await node.stop();

  for (const [id, { knowable }] of Object.entries(simulator.ledger().interactions)) {
    expect(received.get(id), id).toBe(knowable);
  }
  expect(pausesBegun).toBe(RUN.interactions / 10);
  expect([...paused]).toEqual([]);
  expect(withheld).toBeGreaterThan(RUN.interactions);
  expect(node.stats().engine.packetsPaused).toBe(withheld);
  expect(loudest).toBeLessThan(LEVEL);
  expect(lines).toBeGreaterThan(RUN.interactions * RUN.seconds * 50);
  let pausedRecordings = 0;
  for (const folder of readdirSync(out).filter((name) => !name.includes('.'))) {
    expect(marked(readFileSync(join(out, folder, 'audio.wav')).subarray(44)), folder).toBeLessThan(LEVEL);
    const session = readFileSync(join(out, folder, 'session.json'), 'utf8');
    if (session.includes('"paused"')) pausedRecordings++;
  }
  expect(pausedRecordings).toBe(RUN.interactions / 10);
});
