import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../../src/simulator/genesys/simulator.js';
import { addDeadLetter } from '../../src/webhooks/queue/dead-letters.js';
import { MAIN } from '../support/audiohook/serve-process.js';
import { until } from '../support/until.js';
import { Receiver, SECRET } from '../support/webhooks/receiver.js';

const CALLS = 3;

let out: string;
let receiver: Receiver;
let simulator: Simulator | undefined;
beforeEach(async () => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-webhooks-'));
  receiver = await new Receiver().start();
});
afterEach(async () => {
  await simulator?.close();
  simulator = undefined;
  await receiver.stop();
  rmSync(out, { recursive: true, force: true });
});

function environment() {
  const credentials = { GENESYS_CLIENT_ID: 'test', GENESYS_CLIENT_SECRET: 'test' };
  const webhook = { TRUNKLINE_WEBHOOK_URL: receiver.url, TRUNKLINE_WEBHOOK_SECRET: SECRET };
  return { ...process.env, ...credentials, ...webhook, TRUNKLINE_CONTROL_PORT: '0' };
}

/** Runs a command; resolves with its exit code and what it has printed. */
async function trunkline(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (said.stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (said.stderr += String(chunk)));
  const [code] = await once(child, 'close');
  return { code: Number(code), ...said };
}

/** Text of all that waits on the disk. */
function waiting(): string {
  const directory = join(out, '.webhooks');
  try {
    const names = readdirSync(directory).filter((name) => name.startsWith('queue-') && name.endsWith('.jsonl'));
    return names.map((name) => readFileSync(join(directory, name), 'utf8')).join('');
  } catch {
    return '';
  }
}

interface Entry {
  readonly action: string;
  readonly interactionId: string;
  readonly outcome?: string;
}

describe('kill -9 of a node between the disk and the delivery', () => {
  it('loses no notification: a repair delivers them, and its own; every stream has one outcome', async () => {
    simulator = await startSimulator({ interactions: CALLS, codec: 'pcmu' });
    const { apiUrl, mediaUrl, interactionIds } = simulator;
    await receiver.stop();
    const node = spawn(
      process.execPath,
      [
        ...[MAIN, 'capture', '--api-url', apiUrl, '--media-url', mediaUrl, '--log-level', 'error'],
        ...['--interactions', interactionIds.join(','), '--out', out],
      ],
      { env: environment(), stdio: 'ignore' },
    );
    await until(() => waiting().split('call.started').length > CALLS, 'the calls to be told on the disk');
    const hasAudio = (id: string): boolean => readdirSync(out).includes(id) && readdirSync(join(out, id)).length > 1;
    await until(() => interactionIds.every(hasAudio), 'the recordings to begin');
    await until(() => auditOf(out).filter(({ action }) => action === 'stream_opened').length === CALLS, 'the audit');
    node.kill('SIGKILL');
    await once(node, 'exit');
    expect(receiver.received).toEqual([]);
    await receiver.start();

    const repair = await trunkline('repair', out);
    expect(repair).toMatchObject({ code: 0, stderr: '' });
    expect(receiver.refused).toEqual([]);
    for (const id of interactionIds) {
      const own = receiver.received.filter(({ data }) => data['interactionId'] === id);
      expect(own.map(({ type }) => type)).toEqual(['call.started', 'recording.repaired']);
      expect(own[1]?.data).toMatchObject({ folder: id });
    }
    expect(waiting()).toBe('');
    const ends = auditOf(out).filter(({ outcome }) => outcome !== undefined);
    expect(ends.map(({ action, outcome }) => [action, outcome])).toEqual(
      interactionIds.map(() => ['recording_repaired', 'incomplete']),
    );
    expect(ends.map(({ interactionId }) => interactionId).sort()).toEqual([...interactionIds].sort());
  }, 60_000);
});

describe('trunkline webhooks', () => {
  const letter = {
    ...{ id: 'msg_1', type: 'disk.low', key: '', createdAtMs: 1_700_000_000_000, attempts: 7, failedAtMs: 0 },
    body: '{"type":"disk.low","timestamp":"2023-11-14T22:13:20.000Z","data":{"freeBytes":1,"watermarkBytes":2}}',
    reason: 'the receiver answered 500',
  };

  it('lists what was given up, and delivers it again with the same id', async () => {
    const directory = join(out, '.webhooks');
    mkdirSync(directory);
    await addDeadLetter(directory, letter);
    await addDeadLetter(directory, { ...letter, id: 'msg_2' });
    const listed = await trunkline('webhooks', 'list', '--out', out);
    expect(listed.stdout).toContain('msg_1  disk.low');
    expect(listed.stdout).toContain('7 attempts: the receiver answered 500');
    const json = await trunkline('webhooks', 'list', '--out', out, '--json');
    expect(JSON.parse(json.stdout)).toMatchObject([{ id: 'msg_1' }, { id: 'msg_2' }]);
    const replayed = await trunkline('webhooks', 'replay', '--out', out);
    expect(replayed).toMatchObject({ code: 0, stdout: '2 delivered, 0 wait\n', stderr: '' });
    expect(receiver.received.map(({ id }) => id).sort()).toEqual(['msg_1', 'msg_2']);
    expect(JSON.parse((await trunkline('webhooks', 'list', '--out', out, '--json')).stdout)).toEqual([]);
  }, 60_000);

  it.each([
    ['a secret without an address', { TRUNKLINE_WEBHOOK_URL: '' }, /--webhook-url/],
    ['an address without a secret', { TRUNKLINE_WEBHOOK_SECRET: '' }, /TRUNKLINE_WEBHOOK_SECRET/],
    ['a secret that is none', { TRUNKLINE_WEBHOOK_SECRET: 'hunter2' }, /whsec_/],
  ])('refuses %s, and does not print it', async (_, wrong, message) => {
    const env = { ...environment(), ...wrong };
    const args = [MAIN, 'webhooks', 'replay', '--out', out];
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    const [code] = await once(child, 'close');
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('hunter2');
  });
});

function auditOf(directory: string): Entry[] {
  try {
    const lines = readFileSync(join(directory, 'audit.jsonl'), 'utf8').trimEnd().split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry);
  } catch {
    return [];
  }
}
