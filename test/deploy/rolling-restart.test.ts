import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { API_KEY, CLIENT_SECRET } from '../support/audiohook/node-rig.js';
import { type ServeProcess, serveProcess } from '../support/audiohook/serve-process.js';
import { MAIN } from '../support/cli/trunkline-process.js';
import { until } from '../support/until.js';

const out = mkdtempSync(join(tmpdir(), 'trunkline-rolling-'));
afterAll(() => rmSync(out, { recursive: true, force: true }));

const nodes: ServeProcess[] = [];
const clients: ChildProcess[] = [];
afterEach(() => {
  for (const child of clients.splice(0)) child.kill('SIGKILL');
  for (const { child } of nodes.splice(0)) child.kill('SIGKILL');
});

/** @param name of its own folder: an audit has one writer. */
async function node(name: 'old' | 'next'): Promise<ServeProcess> {
  const started = await serveProcess(join(out, name), ['--control-port', '0', '--drain-seconds', '5']);
  nodes.push(started);
  return started;
}

/** Calls a node and resolves with the exit code when every call is over. */
async function calls({ url }: ServeProcess, count: number, seconds: number): Promise<number> {
  const args = ['simulate', 'audiohook', '--url', url, '--sessions', String(count), '--seconds', String(seconds)];
  const env = {
    ...process.env,
    TRUNKLINE_AUDIOHOOK_API_KEY: API_KEY,
    TRUNKLINE_AUDIOHOOK_CLIENT_SECRET: CLIENT_SECRET,
  };
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: 'ignore' });
  clients.push(child);
  const [code] = (await once(child, 'exit')) as [number];
  return code;
}

interface Manifest {
  readonly endReason: string;
  readonly incomplete: boolean;
}

/** Files of this name of all recordings of both nodes. */
function files(name: string): string[] {
  return readdirSync(out, { recursive: true, encoding: 'utf8' })
    .filter((path) => basename(path) === name)
    .map((path) => join(out, path));
}

const recordings = (): Manifest[] =>
  files('session.json').map((file) => JSON.parse(readFileSync(file, 'utf8')) as Manifest);

/** Calls that are being recorded. */
const running = (): string[] => files('session.json.partial');

describe('a rolling restart', () => {
  test('finishes the calls of the old node while the next one takes the new ones', async () => {
    const old = await node('old');
    const atOld = calls(old, 3, 300);
    await until(() => running().length === 3, 'the recordings of the old node');
    const next = await node('next');
    const atNext = calls(next, 2, 3);
    await until(() => running().length + recordings().length === 5, 'the recordings of the next node');
    expect(running().length).toBeGreaterThanOrEqual(3);
    old.child.kill('SIGTERM');
    expect(await old.exited).toBe(0);
    await atOld;
    expect(await atNext).toBe(0);
    next.child.kill('SIGTERM');
    expect(await next.exited).toBe(0);
    const finished = recordings();
    expect(finished).toHaveLength(5);
    expect(finished.filter(({ endReason }) => endReason === 'interrupted')).toEqual([]);
    expect(finished.filter(({ incomplete }) => incomplete)).toEqual([]);
    expect(running()).toEqual([]);
  });
});
