import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Config } from '../../config/schema.js';
import { messageOf } from '../../core/errors.js';
import { availableProcessors } from '../../core/processors.js';
import { loadAddon } from '../../native/addon.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** Sockets of the platform and the control server, files of the audit, modules, pipes. */
const OWN_DESCRIPTORS = 640;
/** A node without streams: code, rings of the threads, the young generation. */
const OWN_MEMORY_MB = 200;
/** Of resident memory, measured with up to 4,000 streams, and rounded up. */
const MEMORY_KB_PER_STREAM = 20;
/** Fewer than this is no use to a telephone system. */
const FEWEST_STREAMS = 50;

export function checkNode(version: string = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const fix = 'Install Node 22, the version that the image of `trunkline deploy docker` has.';
  if (major < 20 || (major === 20 && minor < 19)) {
    return fail('node', `Node ${version} is too old; 20.19 or later is needed.`, fix);
  }
  if (major % 2 === 1) return warn('node', `Node ${version} is no release with long-term support.`, fix);
  return ok('node', `Node ${version}`);
}

export function checkNative({ native }: Pick<Config, 'native'>, load: () => unknown = loadAddon): Finding {
  if (native === 'off') return ok('native module', 'not used, by the setting --native off');
  try {
    load();
    return ok('native module', `loaded (${process.platform}-${process.arch})`);
  } catch (error) {
    const message = messageOf(error);
    if (native === 'require') return fail('native module', message, 'Until it loads, use --native auto.');
    const cost = 'Without it a node takes up to 1.4 times as much CPU, and captures the same.';
    return warn('native module', message, cost);
  }
}

/** Limits on open files, from a file in the form of /proc/self/limits. Node raises the soft limit to the hard one. */
export function checkOpenFiles(
  { maxStreams, record, audiohookPort }: Pick<Config, 'maxStreams' | 'record' | 'audiohookPort'>,
  limits = readText('/proc/self/limits'),
): Finding {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits) ?? [];
  if (hard === undefined) return ok('open files', 'the limit cannot be read on this system');
  // A recording keeps one file open, an AudioHook session one socket.
  const perStream = (record ? 1 : 0) + (audiohookPort === undefined ? 0 : 1);
  const limit = hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  const streams = perStream === 0 ? maxStreams : Math.floor((limit - OWN_DESCRIPTORS) / perStream);
  const needed = OWN_DESCRIPTORS + perStream * maxStreams;
  if (limit >= needed) return ok('open files', `${hard} allowed; ${maxStreams} streams need ${needed}`);
  const fix = `Allow ${needed}: LimitNOFILE= in a systemd unit, ulimits in Compose, ulimit -n in a shell. Or lower --max-streams.`;
  const message = `${limit} allowed, which is enough for ${Math.max(0, streams)} of ${maxStreams} streams`;
  return streams < FEWEST_STREAMS ? fail('open files', message, fix) : warn('open files', message, fix);
}

/** @param root Where the kernel shows the limits of control groups; another one is for tests. */
export function checkMemory(
  { maxStreams, recordBufferMegabytes }: Pick<Config, 'maxStreams' | 'recordBufferMegabytes'>,
  root = '/',
  totalBytes: number = totalmem(),
): Finding {
  const megabytes = Math.floor(Math.min(totalBytes, memoryLimit(root)) / 2 ** 20);
  const needed = OWN_MEMORY_MB + recordBufferMegabytes + Math.ceil((MEMORY_KB_PER_STREAM * maxStreams) / 1024);
  if (megabytes >= needed) return ok('memory', `${megabytes} MB; ${maxStreams} streams need ${needed} MB`);
  const message = `${megabytes} MB; ${maxStreams} streams need ${needed} MB`;
  const fix = 'Raise the limit of the container or the machine, or lower --max-streams.';
  return megabytes < OWN_MEMORY_MB ? fail('memory', message, fix) : warn('memory', message, fix);
}

export function checkProcessors(
  { shards }: Pick<Config, 'shards'>,
  available = availableProcessors(),
  processors = availableParallelism(),
): Finding {
  const quota = available < processors ? ` (${processors} processors, limited by the CPU quota of the container)` : '';
  const message = `${available} usable${quota}; decoding threads: ${shards}, beside the main thread`;
  if (available < 2) {
    return warn('processors', message, 'Give the node two: the main thread and decoding then do not delay each other.');
  }
  if (shards > available) return warn('processors', message, `Set --shards to ${available - 1} or less.`);
  return ok('processors', message);
}

/** The lowest memory limit of the process's control groups, in bytes; Infinity when there is none. */
function memoryLimit(root: string): number {
  const groups = readText(join(root, 'proc/self/cgroup')).split('\n');
  const files = groups.flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    // In a container the path is often that on the host, and the container's own group is at the top.
    if (controllers === '') return ['', path].map((group) => join(root, 'sys/fs/cgroup', group, 'memory.max'));
    if (!controllers.split(',').includes('memory')) return [];
    return ['', path].map((group) => join(root, 'sys/fs/cgroup/memory', group, 'memory.limit_in_bytes'));
  });
  const limits = files.map((file) => Number.parseInt(readText(file), 10)).filter((bytes) => bytes > 0);
  return Math.min(Number.POSITIVE_INFINITY, ...limits);
}

/** Empty when there is no such file, as on other systems. */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
