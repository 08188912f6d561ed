import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Which process this is, so that others can tell it from a later one with its id. */
export interface ProcessIdentity {
  readonly host: string;
  readonly pid: number;
  /** Clock ticks from boot to the start of the process; empty where the system does not say. */
  readonly startTicks: string;
  /** Tells the starts of a machine apart, and machines; containers on one machine have the same. */
  readonly bootId: string;
  /** Process ids have a meaning within it alone: each container has one. */
  readonly pidNamespace: string;
}

export function thisProcess(): ProcessIdentity {
  return {
    host: hostname(),
    pid: process.pid,
    startTicks: startTicks(process.pid),
    bootId: textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()),
    pidNamespace: textOf(() => readlinkSync('/proc/self/ns/pid')),
  };
}

/** Clock ticks from boot to the start of a process; empty where the system does not say. */
export function startTicks(pid: number): string {
  return textOf(() => {
    // proc(5): state is field 3 and start time field 22; the command name before them may contain anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie is dead; only its parent has not collected it yet.
    return fields[0] === 'Z' ? 'zombie' : (fields[19] ?? '');
  });
}

/** `unknown` for a process whose id means nothing here: on another machine, or in another container. */
export function processState(other: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  const own = thisProcess();
  const isNear = other.host === own.host || own.pidNamespace !== '';
  if (!isNear || other.bootId !== own.bootId || other.pidNamespace !== own.pidNamespace) return 'unknown';
  try {
    process.kill(other.pid, 0);
  } catch (thrown) {
    // EPERM: there is such a process, of another user.
    if ((thrown as NodeJS.ErrnoException).code !== 'EPERM') return 'dead';
  }
  // Without its start time it may be a later process with the same id.
  if (other.startTicks === '') return 'unknown';
  return startTicks(other.pid) === other.startTicks ? 'alive' : 'dead';
}

function textOf(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
