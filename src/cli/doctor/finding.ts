import { messageOf } from '../../core/errors.js';

/** What one check found. */
export interface Finding {
  readonly name: string;
  /** `fail`: a node would not start, or would lose audio. `warn`: it works, but not as well as it could. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do about it; absent when there is nothing to do. */
  readonly fix?: string;
}

export function ok(name: string, message: string): Finding {
  return { name, status: 'ok', message };
}

export function warn(name: string, message: string, fix: string): Finding {
  return { name, status: 'warn', message, fix };
}

export function fail(name: string, message: string, fix: string): Finding {
  return { name, status: 'fail', message, fix };
}

/** The message of an error of ours is a sentence about what is wrong, then what to do, often in one. */
export function failure(name: string, error: unknown, fix: string): Finding {
  return fail(name, messageOf(error), fix);
}

export function worstOf(findings: readonly Finding[]): Finding['status'] {
  if (findings.some(({ status }) => status === 'fail')) return 'fail';
  return findings.some(({ status }) => status === 'warn') ? 'warn' : 'ok';
}

/** For people: a line for each finding, and below it what to do. */
export function findingText({ name, status, message, fix }: Finding): string {
  const line = `${status.toUpperCase().padEnd(6)}${name.padEnd(18)}${message}`;
  return fix === undefined ? line : `${line}\n${' '.repeat(24)}${fix}`;
}
