import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../core/clock.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import type { AuditFields } from '../core/events.js';
import { deletesAnything, policyOf } from '../core/retention/policy.js';
import { makeIndexFolder } from '../sinks/recorder/files/unfinished.js';
import { digestsInAudit } from './audit-search.js';
import { DigestJob } from './digest-job.js';
import { FinishedQueue } from './finished-queue.js';
import { hasEarlierRecordings, listEarlierRecordings } from './found-recordings.js';
import { JobRunner } from './job-runner.js';
import type { ArchiveContext, ArchiveJob } from './jobs.js';
import { Deletions } from './retention/deletions.js';
import { HoldEntries } from './retention/hold-entries.js';
import { Retention } from './retention/retention.js';
import type { ArchiveThreadData, FromArchive } from './thread-messages.js';
import { UploadJob } from './upload/upload-job.js';

/** The index is looked at so often, also when nobody has said that a recording was finished. */
const LOOK_MS = 1_000;
/** The clock may have been set back since. */
const DAY_MS = 86_400_000;
/** How often what is due is deleted. */
const RETENTION_MS = 3_600_000;
/** How often is kept how far the jobs have come. */
const SAVE_MS = 500;
/** Counting what waits for its upload reads the index. */
const COUNT_MS = 2_000;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The archive's side of its thread: the queue of finished recordings, and a runner for each job. */
export class ArchiveWorker {
  readonly #data: ArchiveThreadData;
  readonly #tell: (message: FromArchive) => void;
  readonly #closing = new AbortController();
  readonly #stopped = new AbortController();
  readonly #entries = new Map<number, Waiting>();
  readonly #counts: Record<string, number> = {};
  #entryNumber = 0;
  #told = '{}';
  #isClosing = false;
  /** There are recordings from before there was an audit. */
  #hasEarlier = false;
  #queue: FinishedQueue | undefined;
  #runners: readonly JobRunner[] = [];
  #turn: Promise<void> = Promise.resolve();
  #isTurnDue = false;
  #looks: NodeJS.Timeout | undefined;
  #saves: NodeJS.Timeout | undefined;
  #deletions: NodeJS.Timeout | undefined;
  #deleting: Promise<unknown> = Promise.resolve();
  #holds: HoldEntries | undefined;
  #reports: NodeJS.Timeout | undefined;
  #lastReport: () => Promise<void> = () => Promise.resolve();

  constructor(data: ArchiveThreadData, tell: (message: FromArchive) => void) {
    this.#data = data;
    this.#tell = tell;
  }

  /** Takes up what an earlier process has left, and goes on from there. */
  async open(): Promise<void> {
    const { directory, fileMode } = this.#data;
    const audit: ArchiveContext['audit'] = (...entry) => this.#audit(...entry);
    const fault = (message: string): void => this.#tell({ kind: 'fault', message });
    const deletions = new Deletions({ directory, fileMode, audit, fault });
    const context: ArchiveContext = {
      ...{ directory, fileMode, audit, fault },
      delete: (deletion) => deletions.delete(deletion),
      count: (counter, by = 1) => {
        this.#counts[counter] = (this.#counts[counter] ?? 0) + by;
      },
      closing: this.#closing.signal,
      stopped: this.#stopped.signal,
    };
    const { auditDirectory, uploads } = this.#data;
    const names = [...(auditDirectory === undefined ? [] : ['digest']), ...(uploads === undefined ? [] : ['upload'])];
    // Every other file of the archive lies in it.
    makeIndexFolder(directory, 0o700);
    await deletions.complete(auditDirectory);
    this.#hasEarlier = this.#data.auditDirectory !== undefined && (await hasEarlierRecordings(directory, fileMode));
    if (this.#hasEarlier) await listEarlierRecordings(directory, fileMode);
    const queue = await FinishedQueue.open(directory, fileMode, names);
    const jobs: ArchiveJob[] = [];
    if (auditDirectory !== undefined) jobs.push(await this.#digestJob(queue, context, auditDirectory));
    if (uploads !== undefined) jobs.push(this.#uploadJob(uploads, queue, context));
    this.#queue = queue;
    this.#runners = jobs.map((job) => new JobRunner(job, queue, context));
    this.#looks = setInterval(() => this.look(), LOOK_MS).unref();
    if (this.#data.auditDirectory !== undefined) this.#holds = new HoldEntries(context);
    this.#keepPolicy(queue, names, context);
    this.#saves = setInterval(() => void this.#save(), SAVE_MS).unref();
    this.look();
  }

  /** Recordings were finished. */
  look(): void {
    if (this.#isTurnDue || this.#isClosing || this.#queue === undefined) return;
    this.#isTurnDue = true;
    this.#turn = this.#turn.then(async () => {
      this.#isTurnDue = false;
      await this.#queue?.look();
      await this.#holds?.look();
      for (const runner of this.#runners) await runner.work(() => this.look());
    });
    this.#turn = this.#turn.catch((thrown: unknown) =>
      this.#tell({ kind: 'fault', message: `The archive cannot read its index: ${messageOf(thrown)}.` }),
    );
  }

  /** An entry is in the audit, or is not. */
  kept(number: number, failure: string | undefined): void {
    const waiting = this.#entries.get(number);
    this.#entries.delete(number);
    if (failure === undefined) waiting?.resolve();
    else waiting?.reject(new TrunklineError('FILE_FAILED', failure));
  }

  /** Gives what is quickly done that time. What is left is done at the next start, and the audit says how much that is. */
  async close(withinMs: number): Promise<void> {
    clearInterval(this.#looks);
    clearInterval(this.#deletions);
    const queue = this.#queue;
    this.#isClosing = true;
    this.#closing.abort();
    await this.#turn;
    await this.#deleting;
    if (queue !== undefined) {
      const late = sleep(withinMs, undefined, { signal: this.#stopped.signal }).catch(() => {});
      await Promise.race([late, this.#finish(queue)]);
      this.#stopped.abort();
      await Promise.all(this.#runners.map((runner) => runner.close()));
      // Files of the index of which all is done count no more.
      await queue.look();
      await this.#save();
      await this.#tellWaiting(queue).catch(() => {});
    }
    clearInterval(this.#saves);
    clearInterval(this.#reports);
    await this.#lastReport();
    await this.#save();
  }

  /**
   * Deletes what is older than the policy says, now and every hour; at first once recordings from before the audit have
   * their digests: an entry of a deletion comes after that of the digest.
   */
  #keepPolicy(queue: FinishedQueue, jobs: readonly string[], context: ArchiveContext): void {
    const policy = this.#data.retention && policyOf(this.#data.retention);
    if (policy === undefined || !deletesAnything(policy)) return;
    const { directory, fault, count, closing } = context;
    const pending = async (): Promise<Set<string>> => {
      await queue.look();
      return new Set((await Promise.all(jobs.map((job) => queue.pending(job)))).flat());
    };
    const { delete: remove } = context;
    const dependencies = { directory, clock: systemClock, delete: remove, fault, count, pending, closing };
    const retention = new Retention(policy, dependencies);
    const run = (): void => {
      this.#deleting = this.#deleting.then(async () => {
        while (queue.hasEarlier('digest') && !closing.aborted) await sleep(LOOK_MS, undefined, { ref: false });
        await retention.run();
      });
    };
    this.#deletions = setInterval(run, RETENTION_MS).unref();
    run();
  }

  async #finish(queue: FinishedQueue): Promise<void> {
    await queue.look();
    for (const runner of this.#runners) if (runner.job.finishesAtClose) await runner.finish();
  }

  /**
   * So that nobody can add a recording without a digest to an audit that has been closed. Those that are unfinished wait as
   * well: the repair of the next start may finish one before it has its first entry.
   */
  async #tellWaiting(queue: FinishedQueue): Promise<void> {
    if (this.#data.auditDirectory === undefined) return;
    const { size: recordings } = await queue.unfinished('digest');
    if (recordings > 0) await this.#audit('digests_waiting', { recordings }, undefined);
  }

  async #digestJob(queue: FinishedQueue, context: ArchiveContext, auditDirectory: string): Promise<ArchiveJob> {
    if (this.#hasEarlier) return new DigestJob(context, await digestsInAudit(auditDirectory, 0));
    const { count, oldestMs } = await queue.unsure('digest', this.#data.sinceMs);
    if (count === 0) return new DigestJob(context, new Map());
    return new DigestJob(context, await digestsInAudit(auditDirectory, oldestMs - DAY_MS));
  }

  #uploadJob(
    { settings, earlier }: NonNullable<ArchiveThreadData['uploads']>,
    queue: FinishedQueue,
    context: ArchiveContext,
  ): ArchiveJob {
    let told = '';
    const tell = async (): Promise<void> => {
      const report = { ...job.report(), waiting: await queue.waiting(job.name) };
      if (JSON.stringify(report) !== told) this.#tell({ kind: 'uploads', report });
      told = JSON.stringify(report);
    };
    const job = new UploadJob(settings, earlier, {
      context,
      archived: (recording) => this.#tell({ kind: 'archived', recording }),
      changed: () => void tell(),
    });
    this.#reports = setInterval(() => void tell(), COUNT_MS).unref();
    this.#lastReport = tell;
    return job;
  }

  #audit(action: string, fields: AuditFields, interactionId?: string): Promise<void> {
    if (this.#data.auditDirectory === undefined) return Promise.resolve();
    const number = this.#entryNumber++;
    this.#tell({ kind: 'entry', number, action, interactionId, fields });
    return new Promise((resolve, reject) => this.#entries.set(number, { resolve, reject }));
  }

  async #save(): Promise<void> {
    const counts = { ...this.#counts };
    const text = JSON.stringify(counts);
    if (text !== this.#told) this.#tell({ kind: 'counts', counts });
    this.#told = text;
    try {
      await this.#queue?.save();
    } catch {
      // A full disk, say: then more comes again after a kill. What cannot be done for that reason is reported by the job.
    }
  }
}
