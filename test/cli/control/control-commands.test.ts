import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TrunklineProcess } from '../../support/cli/trunkline-process.js';
import { makeTokenFile, startControlNode } from '../../support/control/control-node.js';
import { TestSubscription } from '../../support/control/test-calls.js';
import { STARTED_MS, writeRecording } from '../../support/recordings.js';
import { until } from '../../support/until.js';

interface Run {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(...args: string[]): Promise<Run> {
  const child = new TrunklineProcess(args);
  const code = await child.exited();
  return { code, stdout: child.stdout, stderr: child.stderr };
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-find-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function startWithCall() {
  const calls = new TestSubscription();
  const rig = await startControlNode({}, { sources: [calls] });
  calls.open('call-1');
  await until(() => rig.node.stats().streams === 1, 'the stream');
  return { ...rig, url: rig.control.url };
}

describe('trunkline status', () => {
  it('prints how a node does, for people and as JSON', async () => {
    const { url } = await startWithCall();
    const { code, stdout } = await run('status', '--url', url);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^OK {2}trunkline \d+\.\d+\.\d+ at http:\/\/127\.0\.0\.1:\d+, up \d+ s, js$/m);
    expect(stdout).toMatch(/^ {2}traffic +1 streams +0 packets\/s/m);
    expect(stdout).toMatch(/^ {2}shard 0 +\d+ % busy +1 streams +input ring 0 %/m);
    expect(stdout).toMatch(/^ {2}calls +test$/m);
    const json = JSON.parse((await run('status', '--url', `${url}/`, '--json')).stdout);
    expect(json).toMatchObject({ node: { status: 'ok', streams: 1 }, stats: { streams: 1 } });
  });

  it('prints it again and again until it is interrupted', async () => {
    const { url } = await startWithCall();
    const watching = new TrunklineProcess(['status', '--url', url, '--watch']);
    await until(() => watching.stdout.split('trunkline ').length > 2, 'the second time');
    watching.child.kill('SIGINT');
    expect(await watching.exited()).toBe(0);
  });

  it('ends with 1 when the node fails', async () => {
    const { url, node } = await startWithCall();
    await node.drain();
    const { code, stdout } = await run('status', '--url', url);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAILING/);
    expect(stdout).toMatch(/^ {2}failing +node +.*draining/m);
  });
});

describe('trunkline pause, resume and end', () => {
  it('do what they say', async () => {
    const { url, node } = await startWithCall();
    const pauses: boolean[] = [];
    node.on('paused', ({ paused }) => pauses.push(paused));
    expect(await run('pause', 'call-1', '--url', url)).toMatchObject({ code: 0, stdout: 'paused call-1\n' });
    expect((await run('resume', 'call-1', '--url', url, '--json')).stdout).toBe('{"resumed":["call-1"]}\n');
    expect(pauses).toEqual([true, false]);
    expect(await run('end', 'call-1', '--url', url)).toMatchObject({ code: 0, stdout: 'ending call-1\n' });
    await until(() => node.stats().streams === 0, 'the end');
  });

  it('say which id is unknown, after those that are known', async () => {
    const { url } = await startWithCall();
    const { code, stdout, stderr } = await run('pause', 'call-1', '../none', '--url', url);
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'paused call-1\n' });
    expect(stderr).toContain('../none');
  });
});

describe('a node that cannot be asked', () => {
  it('does not answer', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    await new Promise((resolve) => taken.close(resolve));
    const { code, stderr } = await run('status', '--url', `http://127.0.0.1:${port}`);
    expect(code).toBe(1);
    expect(stderr).toMatch(/No node answers at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED.*Is the node running/s);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('wants a token, a right one, and one that may do it', async () => {
    const { file, tokens } = makeTokenFile();
    const { control } = await startControlNode({ tokensFile: file });
    const none = await run('status', '--url', control.url);
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/wants a valid token.*TRUNKLINE_TOKEN/);
    const tokenFile = join(makeFolder(), 'token');
    writeFileSync(tokenFile, `${tokens.viewer}\n`);
    expect((await run('status', '--url', control.url, '--token-file', tokenFile)).code).toBe(0);
    const weak = await run('pause', 'x', '--url', control.url, '--token-file', tokenFile);
    expect(weak.code).toBe(1);
    expect(weak.stderr).toMatch(/refuses it: The role/);
    expect(weak.stderr).not.toContain(tokens.viewer);
    writeFileSync(tokenFile, 'trk_wrong');
    expect((await run('status', '--url', control.url, '--token-file', tokenFile)).stderr).toMatch(/no such token/i);
  });

  it('is no node, or the address is none', async () => {
    for (const url of ['nonsense', 'ftp://127.0.0.1', 'http://']) {
      expect((await run('status', '--url', url)).code).toBe(2);
    }
    const secret = await run('status', '--token', 'hunter2');
    expect(secret.code).toBe(2);
    expect(secret.stderr).toMatch(/TRUNKLINE_TOKEN/);
    expect(secret.stderr).not.toContain('hunter2');
  });
});

describe('trunkline find', () => {
  function writeSome(folder: string): void {
    for (let n = 0; n < 5; n++) {
      const startedAt = new Date(STARTED_MS + n * 3_600_000).toISOString();
      writeRecording(folder, `call-${n}`, { manifest: { startedAt, ...(n === 2 ? { incomplete: true } : {}) } });
    }
  }

  it('finds recordings in a folder, without a node', async () => {
    const folder = makeFolder();
    writeSome(folder);
    const all = await run('find', folder);
    expect(all.code).toBe(0);
    expect(all.stdout.trimEnd().split('\n').at(-1)).toBe(
      `2026-03-01T10:00:00.000Z           1 s  recorded    call-0  ${join(folder, 'call-0')}`,
    );
    const found = async (...args: string[]) => {
      const { items } = JSON.parse((await run('find', folder, '--json', ...args)).stdout) as {
        items: { id: string }[];
      };
      return items.map(({ id }) => id);
    };
    expect(await found('--state', 'incomplete')).toEqual(['call-2']);
    expect(await found('--from', '2026-03-01T11:00:00Z', '--to', '2026-03-01T13:00:00Z')).toEqual(['call-2', 'call-1']);
    expect(await found('--interaction', 'call-4')).toEqual(['call-4']);
    const few = await run('find', folder, '--limit', '2');
    expect(few.stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(few.stderr).toContain('3 more');
    expect(await run('find', folder, '--interaction', 'none')).toMatchObject({ code: 0, stdout: '' });
    expect((await run('find', join(folder, 'missing'))).stderr).toMatch(/There is no folder/);
    expect((await run('find', folder, '--from', 'soon')).code).toBe(2);
  });

  it('finds the same at a node', async () => {
    const folder = makeFolder();
    writeSome(folder);
    const { control } = await startControlNode({ recordings: folder });
    const { stdout } = await run('find', '--url', control.url, '--limit', '3', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      items: [{ id: 'call-4' }, { id: 'call-3', location: `${control.url}/api/v1/recordings/call-3/audio.wav` }, {}],
      total: 5,
    });
    expect((await run('find', '--url', control.url, '--state', 'incomplete')).stdout).toMatch(/incomplete {2}call-2/);
  });
});
