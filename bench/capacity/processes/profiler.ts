import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../../src/core/clock.js';
import { US_PER_MS, US_PER_SECOND } from '../../../src/core/units.js';

const SAMPLES_PER_SECOND = 499;

/**
 * Profiles of the node's process that speedscope opens: V8's own of every thread (`*.cpuprofile`, JavaScript only), and
 * where Linux's perf is installed one of the whole process with native frames and the kernel (`*.perf.txt`, as
 * `perf script` prints it).
 */
export class Profiler {
  readonly #folder: string;
  readonly #hasPerf = spawnSync('perf', ['--version'], { stdio: 'ignore' }).status === 0;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** For the process that is to be profiled. With perf it writes the names of compiled functions to /tmp. */
  get execArgv(): string[] {
    // The names come with a log of V8 for each thread, which would lie in the current folder and tells nothing more.
    // --interpreted-frames-native-stack would name interpreted functions too, but with it V8's own profiler deadlocks when
    // its signal arrives while code is being compiled.
    const noLog = ['--no-logfile-per-isolate', '--logfile=/dev/null'];
    const names = this.#hasPerf ? ['--perf-basic-prof', ...noLog] : [];
    return ['--cpu-prof', `--cpu-prof-dir=${this.#folder}`, ...names];
  }

  /** Samples the process from one time to the other. Does nothing without perf, or where the system refuses it. */
  async record(pid: number, fromUs: number, toUs: number): Promise<void> {
    if (!this.#hasPerf) return;
    await sleep(Math.max(0, fromUs - systemClock.nowUs()) / US_PER_MS);
    const data = join(this.#folder, `node.${pid}.perf.data`);
    const seconds = String((toUs - fromUs) / US_PER_SECOND);
    const sampling = ['-q', '-g', '-e', 'cpu-clock', '-F', String(SAMPLES_PER_SECOND), '-p', String(pid), '-o', data];
    await run(['record', ...sampling, '--', 'sleep', seconds], 'ignore');
    const text = openSync(join(this.#folder, `node.${pid}.perf.txt`), 'w');
    // Inlined functions would be asked of addr2line, which takes minutes for the binary of Node.
    await run(['script', '--no-inline', '-i', data], text);
    closeSync(text);
    rmSync(data, { force: true });
    rmSync(`/tmp/perf-${pid}.map`, { force: true });
  }
}

async function run(args: readonly string[], stdout: 'ignore' | number): Promise<void> {
  const child = spawn('perf', args, { stdio: ['ignore', stdout, 'ignore'] });
  await once(child, 'exit').catch(() => {});
}
