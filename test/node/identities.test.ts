import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AudioHookNode } from '../../src/node/audiohook-node.js';
import { CaptureNode } from '../../src/node/capture-node.js';
import { runAudioHookClient } from '../../src/simulator/audiohook/client.js';
import { AudioHookSound } from '../../src/simulator/audiohook/sound.js';
import { SIMULATED_CALLER } from '../../src/simulator/genesys/conversation.js';
import { startSimulator } from '../../src/simulator/genesys/simulator.js';
import { webhooks } from '../../src/webhooks/webhooks.js';
import { API_KEY, CLIENT_SECRET, KEYS } from '../support/audiohook/node-rig.js';
import { HeldClock } from '../support/held-clock.js';

const QUEUE = 'b2f4c1d0-0000-4000-8000-000000000001';
/** What the two simulators say of the people in their calls. */
const PEOPLE = [
  ...Object.values(SIMULATED_CALLER).map((text) => text.replace('tel:', '')),
  ...['Quillfeather', '+15550100', '15550100', '+15550199', '"Caller"'],
];

let out: string;
let told: string[];
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-people-'));
  told = [];
});
afterEach(() => rmSync(out, { recursive: true, force: true }));

const log = (...args: unknown[]): void => void told.push(JSON.stringify(args));
const logger = { debug: log, info: log, warn: log, error: log };

/** Everything that was written below the folder, and everything that was logged or emitted. */
function everything(): string {
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(out, name)).isFile(),
  );
  return [...files.map((name) => `${name}\n${readFileSync(join(out, name), 'latin1')}`), ...told].join('\n');
}

function listen(node: AudioHookNode | CaptureNode): void {
  const emit = node.emit.bind(node) as (...args: unknown[]) => boolean;
  node.emit = ((...args: unknown[]) => {
    if (args[0] !== 'error')
      told.push(JSON.stringify(args, (_key, value: unknown) => (ArrayBuffer.isView(value) ? '' : value)));
    return emit(...args);
  }) as typeof node.emit;
}

/** What cannot be delivered stays in the folder. */
const hooks = () =>
  webhooks({ url: 'http://127.0.0.1:9/', secret: `whsec_${'A'.repeat(44)}`, directory: join(out, 'hooks') });

async function captureGenesys(keepIdentities: boolean): Promise<void> {
  const clock = new HeldClock();
  const simulator = await startSimulator(
    { interactions: 2, seconds: 2, spreadSeconds: 0.2, queues: [QUEUE], seed: 3 },
    clock,
  );
  const { apiUrl, mediaUrl } = simulator;
  const credentials = { clientId: 'id', clientSecret: 'secret' };
  const settings = {
    out,
    record: true,
    logger,
    services: [hooks()],
    directoryTemplate: '{queue}/{direction}/{interactionId}',
  };
  const node = new CaptureNode({ ...credentials, apiUrl, mediaUrl, queues: [QUEUE], keepIdentities, ...settings });
  listen(node);
  let ended = 0;
  node.on('streamFinished', () => ended++);
  await node.start();
  clock.release();
  await expect.poll(() => ended, { timeout: 30_000, interval: 100 }).toBe(2);
  await node.stop();
  await simulator.close();
}

async function captureAudioHook(keepIdentities: boolean): Promise<void> {
  const server = { port: 0, host: '127.0.0.1', keys: KEYS };
  const node = new AudioHookNode({
    out,
    record: true,
    logger,
    drainMs: 0,
    keepIdentities,
    services: [hooks()],
    server,
  });
  listen(node);
  await node.start();
  const url = `${node.url}?queue=Sales&tag=vip`;
  const call = {
    url,
    apiKey: API_KEY,
    clientSecret: CLIENT_SECRET,
    sessions: 1,
    seconds: 1,
    sound: AudioHookSound.generated(5),
  };
  await runAudioHookClient(call);
  await node.stop();
}

it.each([
  ['Genesys', captureGenesys, `"queue": "${QUEUE}"`],
  ['AudioHook', captureAudioHook, '"queue": "Sales"'],
] as const)(
  '%s: no number or name is in any file, log or event unless they are kept',
  async (_name, capture, queue) => {
    await capture(false);
    const all = everything();
    expect(all).toContain(queue);
    for (const person of PEOPLE) expect(all.includes(person), person).toBe(false);
    await capture(true);
    // The search finds them where they are.
    expect(PEOPLE.filter((person) => everything().includes(person)).length).toBeGreaterThanOrEqual(3);
  },
  90_000,
);
