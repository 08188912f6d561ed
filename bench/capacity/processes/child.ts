import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/core/clock.js';
import { US_PER_MS } from '../../../src/core/units.js';
import type { Answer, Order } from './messages.js';

type Kind = Answer['kind'];

/** A forked process of the benchmark, with a promise for each answer that is awaited. */
export class Child {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #answers: Answer[] = [];
  readonly #waiting = new Set<() => void>();
  /** Rejects when the process fails or ends before it was told to. */
  readonly failed: Promise<never>;
  #fail: (error: Error) => void = () => {};
  #failure: Error | undefined;
  #isOver = false;

  /** @param module file beside this one, without its ending. */
  constructor(module: string, execArgv: readonly string[] = []) {
    this.#name = module;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // answer() rejects with the same error.
    this.failed.catch(() => {});
    this.#process = fork(fileURLToPath(new URL(`./${module}.js`, import.meta.url)), {
      execArgv: ['--expose-gc', ...execArgv],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#process.on('message', (answer: Answer) => {
      if (answer.kind === 'failed') this.#failing(`${this.#name}: ${answer.message}`);
      else this.#answers.push(answer);
      this.#wake();
    });
    this.#process.on('exit', (code, signal) => {
      this.#isOver = true;
      this.#failing(`${this.#name} ended early (${signal ?? code}).`);
      this.#wake();
    });
  }

  /** Of the process; 0 when it could not be started. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  tell(order: Order): void {
    if (this.#process.connected) this.#process.send(order);
  }

  /** The next answer of a kind. Rejects when the process fails, ends, or takes longer than `patienceMs`. */
  async answer<K extends Kind>(kind: K, patienceMs: number): Promise<Extract<Answer, { kind: K }>> {
    const deadline = nowMs() + patienceMs;
    for (;;) {
      const place = this.#answers.findIndex((answer) => answer.kind === kind);
      if (place >= 0) return this.#answers.splice(place, 1)[0] as Extract<Answer, { kind: K }>;
      if (this.#failure !== undefined) throw this.#failure;
      const restMs = deadline - nowMs();
      if (restMs <= 0) throw new Error(`${this.#name} gave no "${kind}" within ${patienceMs / 1e3} s.`);
      await this.#news(restMs);
    }
  }

  /** Asks it to stop, and ends it if it does not. */
  async stop(graceMs = 10_000): Promise<void> {
    this.tell({ kind: 'stop' });
    const deadline = nowMs() + graceMs;
    while (!this.#isOver && nowMs() < deadline) await this.#news(deadline - nowMs());
    if (!this.#isOver) this.#process.kill('SIGKILL');
  }

  #news(restMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, restMs);
      this.#waiting.add(done);
    });
  }

  #failing(message: string): void {
    this.#failure ??= new Error(message);
    this.#fail(this.#failure);
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }
}

function nowMs(): number {
  return systemClock.nowUs() / US_PER_MS;
}
