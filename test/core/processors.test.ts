import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { availableProcessors } from '../../src/core/processors.js';

const HOST = 32;
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'trunkline-cgroup-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Lays out files as the kernel shows them, and asks. */
function processors(files: Record<string, string>): number {
  for (const [file, content] of Object.entries(files)) {
    const path = join(root, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return availableProcessors(root, HOST);
}

const V2 = 'sys/fs/cgroup';
const V1 = 'sys/fs/cgroup/cpu';

describe('availableProcessors', () => {
  it.each<[string, Record<string, string>, number]>([
    ['nothing to read, as on another system', {}, HOST],
    ['v2, no limit', { 'proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: 'max 100000\n' }, HOST],
    ['v2, four', { 'proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '400000 100000\n' }, 4],
    ['v2, two and a half', { 'proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '250000 100000\n' }, 2],
    ['v2, a tenth', { 'proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '10000 100000\n' }, 1],
    ['v2, more than the host has', { 'proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '6400000 100000\n' }, HOST],
    [
      'v2, a limit on a level above',
      {
        'proc/self/cgroup': '0::/system.slice/trunkline.service\n',
        [`${V2}/system.slice/cpu.max`]: '300000 100000\n',
        [`${V2}/system.slice/trunkline.service/cpu.max`]: 'max 100000\n',
      },
      3,
    ],
    [
      'v2, a path of the host that the container does not see',
      { 'proc/self/cgroup': '0::/kubepods/pod7/abc\n', [`${V2}/cpu.max`]: '200000 100000\n' },
      2,
    ],
    [
      'v1, no limit',
      {
        'proc/self/cgroup': '3:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n',
        [`${V1}/cpu.cfs_quota_us`]: '-1\n',
        [`${V1}/cpu.cfs_period_us`]: '100000\n',
      },
      HOST,
    ],
    [
      'v1, six',
      {
        'proc/self/cgroup': '3:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n',
        [`${V1}/cpu.cfs_quota_us`]: '300000\n',
        [`${V1}/cpu.cfs_period_us`]: '50000\n',
      },
      6,
    ],
    [
      'v1, mounted by the names of both controllers, in a group of its own',
      {
        'proc/self/cgroup': '2:cpu,cpuacct:/slice/abc\n0::/\n',
        'sys/fs/cgroup/cpu,cpuacct/slice/abc/cpu.cfs_quota_us': '500000\n',
        'sys/fs/cgroup/cpu,cpuacct/slice/abc/cpu.cfs_period_us': '100000\n',
      },
      5,
    ],
    ['v1, a limit for another controller only', { 'proc/self/cgroup': '1:cpuset:/\n' }, HOST],
    ['what is no number', { 'proc/self/cgroup': '0::/\nnonsense\n', [`${V2}/cpu.max`]: 'a lot\n' }, HOST],
    ['an empty file', { 'proc/self/cgroup': '0::/\n', [`${V2}/cpu.max`]: '' }, HOST],
  ])('%s', (_what, files, expected) => {
    expect(processors(files)).toBe(expected);
  });

  it('is at least one, and no more than the processors there are, on this machine', () => {
    const here = availableProcessors();
    expect(here).toBeGreaterThanOrEqual(1);
    expect(Number.isInteger(here)).toBe(true);
  });
});

/** Field 19 of /proc/<pid>/stat, of which the second, a name in brackets, may hold spaces. */
function niceOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
}

const ownNice = (): number => niceOf(readFileSync('/proc/thread-self/stat', 'utf8'));

// Loaded by Node itself, which takes compiled JavaScript.
const COMPILED = new URL('../../dist/src/core/processors.js', import.meta.url).href;

it.skipIf(process.platform !== 'linux')(
  'lets other threads of the process go first, and leaves theirs alone',
  async () => {
    const before = ownNice();
    const code = `
    const { parentPort } = require('node:worker_threads');
    import(${JSON.stringify(COMPILED)}).then(({ giveWay }) => {
      giveWay();
      parentPort.postMessage(require('node:fs').readFileSync('/proc/thread-self/stat', 'utf8'));
    });`;
    const worker = new Worker(code, { eval: true });
    const [stat] = (await once(worker, 'message')) as [string];
    await worker.terminate();
    expect(niceOf(stat)).toBe(Math.max(before, 5));
    expect(ownNice()).toBe(before);
  },
);
