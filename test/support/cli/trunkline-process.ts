import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/core/clock.js';
import { US_PER_SECOND } from '../../../src/core/units.js';
import { API_KEY, CLIENT_SECRET } from '../audiohook/node-rig.js';
import { until } from '../until.js';

export const MAIN = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url));

const CREDENTIALS = {
  TRUNKLINE_AUDIOHOOK_API_KEY: API_KEY,
  TRUNKLINE_AUDIOHOOK_CLIENT_SECRET: CLIENT_SECRET,
  GENESYS_CLIENT_ID: 'test',
  GENESYS_CLIENT_SECRET: 'test',
};

/** The built command in a process of its own, with credentials of both sources in its environment. */
export class TrunklineProcess {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<number | string>;

  constructor(
    args: readonly string[],
    stdio: StdioOptions = ['ignore', 'pipe', 'pipe'],
    nodeArgs: string[] = [],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.child = spawn(process.execPath, [...nodeArgs, MAIN, ...args], {
      env: { ...process.env, ...CREDENTIALS, ...env },
      stdio,
    });
    this.child.stdout?.on('data', (chunk) => {
      this.stdout += String(chunk);
    });
    this.child.stderr?.on('data', (chunk) => {
      this.stderr += String(chunk);
    });
    this.#ended = once(this.child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  }

  /** Exit code, or the signal that ended it. */
  exited(): Promise<number | string> {
    return this.#ended;
  }

  isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The first line of stdout. */
  async ready(): Promise<string> {
    await until(
      () => this.stdout.includes('\n') || !this.isRunning(),
      `the first line of stdout; stderr: ${this.stderr}`,
    );
    return this.stdout.split('\n', 1)[0] ?? '';
  }

  logged(pattern: RegExp): Promise<void> {
    return until(() => pattern.test(this.stderr), `${pattern} in the log`);
  }

  /** The object that `--json` ends with. */
  lastJson(): Record<string, unknown> {
    return JSON.parse(this.stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
  }

  /** Sends a signal and waits for the end: exit code and seconds that it took. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | string; seconds: number }> {
    const fromUs = systemClock.nowUs();
    this.child.kill(signal);
    const code = await this.exited();
    return { code, seconds: (systemClock.nowUs() - fromUs) / US_PER_SECOND };
  }
}
