import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderLock, LOCK_FILE } from '../../../src/core/files/folder-lock.js';
import { serveProcess } from '../../support/audiohook/serve-process.js';
import { TrunklineProcess } from '../../support/cli/trunkline-process.js';

let folder: string;
const locks: FolderLock[] = [];
const lost: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-lock-'));
  lost.length = 0;
});

afterEach(async () => {
  for (const lock of locks.splice(0)) await lock.release();
  rmSync(folder, { recursive: true, force: true });
});

const waits: string[] = [];
async function acquire(directory = folder): Promise<FolderLock> {
  const lock = await FolderLock.acquire(directory, {
    onLost: ({ message }) => lost.push(message),
    onWaiting: (holder) => waits.push(holder),
    staleMs: 500,
  });
  locks.push(lock);
  return lock;
}

const lockFile = (): string => join(folder, LOCK_FILE);
const holder = (): Record<string, unknown> => JSON.parse(readFileSync(lockFile(), 'utf8')) as Record<string, unknown>;

/** A lock as another process would have left it. */
async function leave(change: Record<string, unknown>): Promise<void> {
  const lock = await acquire();
  const text = JSON.stringify({ ...holder(), id: 'other', ...change });
  await lock.release();
  locks.pop();
  writeFileSync(lockFile(), text);
}

describe('a lock', () => {
  it('names its holder, and is gone when it is released', async () => {
    const lock = await acquire();
    expect(holder()).toMatchObject({ pid: process.pid, since: expect.stringMatching(/^\d{4}-/) });
    await expect(acquire()).rejects.toMatchObject({
      code: 'FOLDER_IN_USE',
      message: expect.stringMatching(/is in use by another node of this process, since .*choose another folder/),
    });
    await lock.release();
    locks.pop();
    expect(readdirSync(folder)).toEqual([]);
    await acquire();
  });

  it('is taken over at once when its process is dead, or its process id has another process', async () => {
    waits.length = 0;
    for (const change of [{ pid: 2 ** 22 + 1 }, { startTicks: '1' }]) {
      await leave(change);
      await (await acquire()).release();
      locks.pop();
    }
    expect(waits).toEqual([]);
  });

  it('means nothing in a copy of the folder', async () => {
    await acquire();
    const copy = `${folder}-copy`;
    cpSync(folder, copy, { recursive: true });
    await (await acquire(copy)).release();
    locks.pop();
    expect(readdirSync(copy)).toEqual([]);
    rmSync(copy, { recursive: true });
  });

  it('of another container, whose process id means nothing here, is held as long as it is touched', async () => {
    waits.length = 0;
    await leave({ pidNamespace: 'pid:[1]', pid: 1, host: 'other' });
    const touching = setInterval(() => utimesSync(lockFile(), new Date(), new Date()), 100);
    await expect(acquire()).rejects.toMatchObject({ code: 'FOLDER_IN_USE' });
    clearInterval(touching);
    await acquire();
    expect(waits).toEqual([expect.stringMatching(/^process 1 on other/), expect.stringMatching(/^process 1 on other/)]);
  }, 20_000);

  it('is had by one of many that find a dead one at the same time', async () => {
    await leave({ pid: 2 ** 22 + 1 });
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquire()));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('that was taken away is reported', async () => {
    await acquire();
    writeFileSync(`${lockFile()}.x`, JSON.stringify({ ...holder(), id: 'other', pid: 4, host: 'other' }));
    cpSync(`${lockFile()}.x`, lockFile());
    for (let waitedMs = 0; lost.length === 0 && waitedMs < 10_000; waitedMs += 100) await sleep(100);
    expect(lost).toEqual([expect.stringMatching(/was taken by process 4 on other .* both write the same folder/)]);
  });
});

describe('two processes with one output folder', () => {
  it('are refused, with the name of the holder; after kill -9 the next one starts', async () => {
    const first = await serveProcess(folder);
    const second = new TrunklineProcess(['serve', '--port', '0', '--control-port', '0', '--out', folder]);
    expect(await second.exited()).toBe(1);
    const inUse = new RegExp(`in use by process ${first.child.pid} on .*serve.*Stop it`);
    expect(second.stderr).toMatch(inUse);
    const repair = new TrunklineProcess(['repair', folder]);
    expect(await repair.exited()).toBe(1);
    expect(repair.stderr).toMatch(inUse);
    const verify = new TrunklineProcess(['verify', folder]);
    await verify.exited();
    expect(verify.stderr).not.toMatch(/in use/);
    first.child.kill('SIGKILL');
    await first.exited;
    const third = await serveProcess(folder);
    third.child.kill('SIGTERM');
    expect(await third.exited).toBe(0);
    expect(readdirSync(folder)).not.toContain(LOCK_FILE);
  }, 60_000);
});
