import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  rmSync,
  type StatsFs,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import type { Config } from '../../config/schema.js';
import { systemClock } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import { US_PER_SECOND } from '../../core/units.js';
import { type Finding, fail, ok, warn } from './finding.js';

const GB = 1e9;
const MEGABYTE = 1 << 20;
const FEW_INODES = 10_000;
const PROBE_BYTES = 8 << 20;
/** What 500 calls of two channels at 16 kHz write, rounded. */
const SLOW_BYTES_PER_SECOND = 32e6;
/** Of a second of two channels, 16 bit each, for each Hz of the sample rate. */
const BYTES_PER_HZ = 4;

/** Numbers of file systems, of statfs(2), on which recordings are not safe, or that stall. */
const FILE_SYSTEMS: Readonly<Record<number, { readonly name: string; readonly problem?: string }>> = {
  [0xef53]: { name: 'ext4' },
  [0x5846_5342]: { name: 'xfs' },
  [0x9123_683e]: { name: 'btrfs' },
  [0x2fc1_2fc1]: { name: 'zfs' },
  [0x0102_1994]: {
    name: 'tmpfs',
    problem: 'It is memory: recordings are gone after a restart, and take the memory of calls.',
  },
  [0x794c_7630]: { name: 'overlay', problem: 'It is the layer of a container and goes with it: mount a volume there.' },
  [0x6969]: {
    name: 'nfs',
    problem: 'Over the network, a stalled server fills the record buffer; a local disk does not.',
  },
  [0xff53_4d42]: {
    name: 'cifs',
    problem: 'Over the network, a stalled server fills the record buffer; a local disk does not.',
  },
  [0xfe53_4d42]: {
    name: 'smb2',
    problem: 'Over the network, a stalled server fills the record buffer; a local disk does not.',
  },
};

type DiskSettings = Pick<Config, 'out' | 'record' | 'audit' | 'opusSampleRate' | 'recordMinFreeMegabytes'>;

/** The folder of recordings and audit. Leaves nothing behind. */
export function checkDisk(config: DiskSettings): Finding[] {
  if (!config.record && config.audit === 'off') return [ok('disk', 'nothing is written: no recordings, no audit')];
  const out = resolve(config.out);
  const folder = nearestFolder(out);
  const place = folder === out ? out : `${out} (to be made in ${folder})`;
  try {
    if (!statSync(folder).isDirectory()) {
      return [fail('disk', `${folder} is not a folder.`, 'Name a folder with --out.')];
    }
    const bytesPerSecond = probe(folder);
    return [
      fileSystemFinding(place, statfsSync(folder)),
      spaceFinding(statfsSync(folder), config),
      speedFinding(bytesPerSecond),
    ];
  } catch (error) {
    const user = process.getuid === undefined ? 'the user of the node' : `the user ${process.getuid()}`;
    const fix = `Give ${user} write access to it, or name another folder with --out.`;
    return [fail('disk', `${place} cannot be written: ${messageOf(error)}.`, fix)];
  }
}

function nearestFolder(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestFolder(dirname(path));
}

/** Writes a file and removes it. Bytes per second until they were on the disk. */
function probe(folder: string): number {
  const file = join(folder, `.trunkline-doctor-${process.pid}`);
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    const fromUs = systemClock.nowUs();
    writeSync(descriptor, new Uint8Array(PROBE_BYTES));
    fsyncSync(descriptor);
    return (PROBE_BYTES * US_PER_SECOND) / Math.max(1, systemClock.nowUs() - fromUs);
  } finally {
    closeSync(descriptor);
    rmSync(file, { force: true });
  }
}

export function fileSystemFinding(place: string, { type }: Pick<StatsFs, 'type'>): Finding {
  const known = FILE_SYSTEMS[type >>> 0];
  const message = `${place} is writable${known === undefined ? '' : `, on ${known.name}`}`;
  return known?.problem === undefined ? ok('disk', message) : warn('disk', message, known.problem);
}

export function spaceFinding(
  { bavail, bsize, files, ffree }: Pick<StatsFs, 'bavail' | 'bsize' | 'files' | 'ffree'>,
  { opusSampleRate, recordMinFreeMegabytes }: Pick<DiskSettings, 'opusSampleRate' | 'recordMinFreeMegabytes'>,
): Finding {
  const free = bavail * bsize;
  const hours = Math.floor(free / (3600 * BYTES_PER_HZ * opusSampleRate));
  const message = `${(free / GB).toFixed(1)} GB free, ${hours} hours of calls with two channels at ${opusSampleRate / 1000} kHz`;
  const fix = 'Delete or move finished recordings, or name a folder on another disk with --out.';
  // As the health of a node has it: degraded below the watermark, not ready below a quarter of it.
  const watermark = recordMinFreeMegabytes * MEGABYTE;
  if (free < watermark / 4) return fail('disk space', message, fix);
  // Some file systems have no fixed number of files.
  if (files > 0 && ffree < FEW_INODES) return warn('disk space', `${message}; only ${ffree} more files`, fix);
  // A node that starts below it is degraded at once; with less than ten times as much, soon.
  return free < watermark * 10 ? warn('disk space', message, fix) : ok('disk space', message);
}

export function speedFinding(bytesPerSecond: number): Finding {
  const message = `${Math.round(bytesPerSecond / 1e6)} MB/s written and synchronised`;
  if (bytesPerSecond >= SLOW_BYTES_PER_SECOND) return ok('disk speed', message);
  return warn(
    'disk speed',
    message,
    '1,000 PCMU streams write 16 MB/s, Opus at 16 kHz twice that: use a faster disk for many.',
  );
}
