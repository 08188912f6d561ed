import { readFileSync } from 'node:fs';
import { availableParallelism, getPriority, setPriority } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';

/** Where the kernel shows what a process may use, and what this process belongs to. Another root is for tests. */
const ROOT = '/';

/** With this nice value a thread gets a third of what one with 0 gets, and all of a processor that nobody else wants. */
const NICE = 5;

/**
 * How many processors this process may keep busy: those that it may run on, and no more than the CPU quota of its
 * container, which Node does not know. At least 1.
 */
export function availableProcessors(root = ROOT, processors = availableParallelism()): number {
  return Math.max(1, Math.floor(Math.min(processors, cpuQuota(root))));
}

/**
 * The lowest CPU quota of the process's control groups, in processors; Infinity when there is none. Quotas are set on any
 * level of the hierarchy, and the lowest one applies. In a container the hierarchy often begins at the container's own
 * group, which /proc/self/cgroup names by its path on the host; then the files are those at the top.
 */
function cpuQuota(root: string): number {
  const quotas = readLines(join(root, 'proc/self/cgroup')).flatMap((line) => {
    // hierarchy:controllers:path; cgroup v2 has one hierarchy, with an empty list of controllers.
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '') return groupsFrom(path).map((group) => quotaV2(join(root, 'sys/fs/cgroup', group)));
    if (!controllers.split(',').includes('cpu')) return [];
    const mounts = ['cpu', controllers].map((name) => join(root, 'sys/fs/cgroup', name));
    return mounts.flatMap((mount) => groupsFrom(path).map((group) => quotaV1(join(mount, group))));
  });
  return Math.min(Number.POSITIVE_INFINITY, ...quotas);
}

/** A group and all above it, up to the top. */
function groupsFrom(path: string): string[] {
  const groups: string[] = [];
  for (let group = join('/', path); ; group = dirname(group)) {
    groups.push(group);
    if (group === '/') return groups;
  }
}

/** `cpu.max`: quota and period in microseconds, or `max`. */
function quotaV2(folder: string): number {
  const [quota, period] = (readLines(join(folder, 'cpu.max'))[0] ?? '').split(' ');
  return ratio(Number(quota), Number(period));
}

/** `cpu.cfs_quota_us` is −1 when there is no limit. */
function quotaV1(folder: string): number {
  const [quota] = readLines(join(folder, 'cpu.cfs_quota_us'));
  const [period] = readLines(join(folder, 'cpu.cfs_period_us'));
  return ratio(Number(quota), Number(period));
}

function ratio(quotaUs: number, periodUs: number): number {
  return quotaUs > 0 && periodUs > 0 ? quotaUs / periodUs : Number.POSITIVE_INFINITY;
}

/** No lines when the file cannot be read: it does not exist on other systems, and in a version that is not in use. */
function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}

/**
 * Lets all other threads of the process go first from now on. For the beginning of a worker with work that can wait: on a
 * machine whose cores are busy, a burst of it would delay the packets of calls by some milliseconds.
 *
 * On Linux a thread has a priority of its own. Elsewhere it is that of the whole process, and stays as it is.
 */
export function giveWay(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(Math.max(getPriority(), NICE));
  } catch {
    // A sandbox that refuses it: the work is done all the same.
  }
}
