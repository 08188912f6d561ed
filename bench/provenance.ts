import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../src/core/clock.js';

/** The machine that figures were taken on: they mean little without it. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  /** Load average of the last minute before the benchmark began: what else was running. */
  readonly loadBefore: number;
}

/** What was run, and when: enough to repeat it. */
export interface Provenance {
  /** Of the package. */
  readonly version: string;
  /** Of the checkout; with `-dirty` when it had changes; null outside a checkout. */
  readonly commit: string | null;
  /** ISO 8601, UTC. */
  readonly date: string;
  /** Arguments of the command line, from the command on. */
  readonly arguments: readonly string[];
  readonly node: string;
  /** False for a smoke run, whose figures say nothing about speed. */
  readonly measurement: boolean;
  readonly machine: Machine;
}

/** Shown wherever the figures of a smoke run are. */
export const NOT_A_MEASUREMENT = 'Smoke run: it shows that everything works. These figures are not a measurement.';

export function describeProvenance(smoke: boolean): Provenance {
  const root = packageRoot();
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return {
    version,
    commit: commitOf(root),
    date: new Date(systemClock.wallMs()).toISOString(),
    arguments: process.argv.slice(2),
    node: process.version,
    measurement: !smoke,
    machine: describeMachine(),
  };
}

/** For the first lines of a table. */
export function provenanceLines({ version, commit, date, node, machine, measurement, ...run }: Provenance): string[] {
  return [
    ...(measurement ? [] : [NOT_A_MEASUREMENT]),
    `trunkline ${version}, commit ${commit ?? 'unknown'}, ${date}: ${run.arguments.join(' ')}`,
    `${machine.cpu}, ${machine.cores} cores, load ${machine.loadBefore} before; Node ${node}`,
  ];
}

function describeMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? arch(),
    cores: all.length,
    memoryBytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

/** The compiled benchmarks are two folders deeper than their sources. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

function commitOf(root: string): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '-dirty');
  } catch {
    return null;
  }
}
