import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../core/errors.js';
import type { FinishedQueue, QueueItem } from './finished-queue.js';
import type { ArchiveContext, ArchiveJob } from './jobs.js';

/** Pauses after a failure: they double from the first to the last. */
const RETRY_MS = { first: 1_000, last: 60_000 };

/** One job at work: it takes recordings out of the queue, `parallel` at a time, and tries again what fails. */
export class JobRunner {
  readonly job: ArchiveJob;
  readonly #queue: FinishedQueue;
  readonly #context: ArchiveContext;
  readonly #underWay = new Set<Promise<void>>();
  #hasFailed = false;

  constructor(job: ArchiveJob, queue: FinishedQueue, context: ArchiveContext) {
    this.job = job;
    this.#queue = queue;
    this.#context = context;
  }

  /** Recordings that are under way. */
  get size(): number {
    return this.#underWay.size;
  }

  /** Begins as much as there is and may be under way; `onDone` is called after each recording. */
  async work(onDone: () => void): Promise<void> {
    while (this.#underWay.size < this.job.parallel && !this.#context.stopped.aborted) {
      const item = await this.#queue.next(this.job.name);
      if (item === undefined) return;
      const one = this.#run(item).finally(() => {
        this.#underWay.delete(one);
        onDone();
      });
      this.#underWay.add(one);
    }
  }

  /** Does all that there is, once the archive closes. */
  async finish(): Promise<void> {
    await this.work(() => {});
    while (this.#underWay.size > 0) {
      await Promise.race(this.#underWay);
      await this.work(() => {});
    }
  }

  /** Ends what is under way: what fails is not tried again. */
  async close(): Promise<void> {
    await Promise.all(this.#underWay);
    await this.job.close?.();
  }

  async #run(item: QueueItem): Promise<void> {
    const { directory, closing, stopped } = this.#context;
    const recording = { folder: item.folder, path: join(directory, item.folder) };
    for (let pauseMs = RETRY_MS.first; ; pauseMs = Math.min(2 * pauseMs, RETRY_MS.last)) {
      try {
        await this.job.run(recording);
        item.isDone = true;
        this.#hasFailed = false;
        return;
      } catch (thrown) {
        if (stopped.aborted) return;
        // It gave way to the end of the archive, and is done at the next start.
        if (thrown === this.#context.closing.reason || thrown === this.#context.stopped.reason) return;
        this.#context.count('failedAttempts');
        if (!this.#hasFailed) this.#context.fault(`The ${this.job.name} of a recording failed: ${messageOf(thrown)}.`);
        this.#hasFailed = true;
        if (closing.aborted) return;
        await sleep(pauseMs, undefined, { signal: closing }).catch(() => {});
      }
    }
  }
}
