import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { systemClock } from '../core/clock.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import { workerUrl } from '../shard/location.js';
import { UNFINISHED_FOLDER } from '../sinks/recorder/files/unfinished.js';
import type { ArchivePlace, AuditKeeper } from '../sinks/sink.js';
import { hasEarlierRecordings } from './found-recordings.js';
import type { ArchiveThreadData, FromArchive, ToArchive } from './thread-messages.js';
import { type ArchiveUploads, NO_UPLOADS } from './upload/upload-report.js';

const MEGABYTES = 128;
/** What a node that closes waits for the digests of the recordings that have just ended. */
const CLOSE_MS = 3_000;
/** A thread that has died is started again after this time, and at most so often. */
const RESTART_MS = 5_000;
const MAX_RESTARTS = 10;

const WAITING = { source: 'archive', action: 'digests_waiting', fields: {} } as const;

/** What an archive needs of its node. */
export interface ArchiveDependencies {
  /** Where the recordings are. */
  readonly place: ArchivePlace;
  /** The audit that is to have their digests; undefined without one. */
  readonly audit: AuditKeeper | undefined;
  /** What wants them uploaded; undefined when nothing does. */
  readonly uploads?: ArchiveUploads | undefined;
  /** Reports what failed while the archive goes on. */
  readonly report: (error: unknown) => void;
}

/** What the archive has counted since the node was made. */
export interface ArchiveStats {
  /** Finished recordings whose digest is an entry of the audit. */
  readonly digests: number;
  /** Bytes of their files. */
  readonly digestedBytes: number;
  /** Finished recordings that somebody had removed before their digest was made. */
  readonly missing: number;
  /** Folders that got no digest because a symbolic link stands in their place. */
  readonly refused: number;
  /** Attempts of a digest or an upload that failed; they are made again. */
  readonly failedAttempts: number;
  /** Recordings that were deleted because their time was over. */
  readonly retentionDeleted: number;
  /** Recordings that could not be deleted, and runs of the retention that could delete nothing at all. */
  readonly retentionFailed: number;
  /** How often the archive's thread was started again. */
  readonly threadRestarts: number;
}

const COUNTERS: readonly (keyof ArchiveStats)[] = [
  ...(['digests', 'digestedBytes', 'missing', 'refused', 'failedAttempts'] as const),
  ...(['retentionDeleted', 'retentionFailed', 'threadRestarts'] as const),
];

/**
 * What happens to finished recordings, in a thread of its own, which starts when there is something to do. See README.md.
 */
export class Archive {
  readonly #dependencies: ArchiveDependencies;
  readonly #startedMs = systemClock.wallMs();
  #counts: Readonly<Record<string, number>> = {};
  /** Of threads that have ended. */
  readonly #countsBefore: Record<string, number> = {};
  #lastUploads = NO_UPLOADS;
  #worker: Worker | undefined;
  #restarts = 0;
  #restarting: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(dependencies: ArchiveDependencies) {
    this.#dependencies = dependencies;
  }

  /** Takes up what an earlier process has left. */
  async start(): Promise<void> {
    const { directory, fileMode, retention } = this.#dependencies.place;
    if (retention !== undefined) return this.#start();
    if (this.#dependencies.audit !== undefined && (await hasEarlierRecordings(directory, fileMode)))
      return this.#start();
    const folder = join(directory, UNFINISHED_FOLDER);
    const names = await readdir(folder).catch((): string[] => []);
    if (names.some((name) => name.includes('.'))) this.#start();
  }

  /** A recording was finished: it is in the index. */
  look(): void {
    if (this.#isClosed || this.#restarting !== undefined) return;
    if (this.#worker === undefined) this.#start();
    else this.#send({ kind: 'look' });
  }

  stats(): ArchiveStats {
    const all = { ...this.#counts, threadRestarts: this.#restarts };
    const sum = (name: string): number => (this.#countsBefore[name] ?? 0) + (Reflect.get(all, name) ?? 0);
    return Object.fromEntries(COUNTERS.map((name) => [name, sum(name)])) as unknown as ArchiveStats;
  }

  /** Finishes what is quickly done, as long as the audit is open. The rest is done at the next start. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restarting);
    const worker = this.#worker;
    if (worker === undefined) {
      // So that verify does not expect a digest of every recording.
      if (this.#restarts > 0) await this.#dependencies.audit?.keep(WAITING).catch(() => {});
      return;
    }
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    worker.ref();
    this.#send({ kind: 'close', withinMs: CLOSE_MS });
    await ended;
  }

  #start(): void {
    const { place, audit, uploads } = this.#dependencies;
    const sinceMs = this.#restarts === 0 ? this.#startedMs : systemClock.wallMs();
    const data: ArchiveThreadData = {
      ...place,
      auditDirectory: audit?.directory,
      sinceMs,
      uploads: uploads && { settings: uploads.settings, earlier: this.#lastUploads },
    };
    const worker = new Worker(new URL(workerUrl('archive/entry')), {
      workerData: data,
      name: 'archive',
      resourceLimits: { maxOldGenerationSizeMb: MEGABYTES },
      // Options of a program that embeds this, such as a loader, are not meant for it.
      execArgv: [],
    });
    worker.unref();
    worker.on('message', (message: FromArchive) => this.#take(message));
    worker.on('error', (error) => this.#died(error));
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    this.#worker = worker;
  }

  #take(message: FromArchive): void {
    if (message.kind === 'fault') this.#dependencies.report(new TrunklineError('FILE_FAILED', message.message));
    else if (message.kind === 'counts') this.#counts = message.counts;
    else if (message.kind === 'archived') this.#dependencies.uploads?.archived(message.recording);
    else if (message.kind === 'uploads') {
      this.#lastUploads = message.report;
      this.#dependencies.uploads?.report(message.report);
    } else void this.#keep(message);
  }

  async #keep({ number, action, interactionId, fields }: FromArchive & { kind: 'entry' }): Promise<void> {
    const entry = { source: 'archive', action, fields, ...(interactionId === undefined ? {} : { interactionId }) };
    try {
      await this.#dependencies.audit?.keep(entry);
      this.#send({ kind: 'kept', number });
    } catch (thrown) {
      this.#send({ kind: 'kept', number, failure: messageOf(thrown) });
    }
  }

  #died(error: unknown): void {
    for (const [name, count] of Object.entries(this.#counts)) {
      this.#countsBefore[name] = (this.#countsBefore[name] ?? 0) + count;
    }
    this.#counts = {};
    this.#worker = undefined;
    this.#restarts++;
    const isLast = this.#restarts >= MAX_RESTARTS;
    const then = isLast ? 'The rest is done at the next start' : 'It is started again';
    this.#dependencies.report(
      new TrunklineError('FILE_FAILED', `The archive's thread died: ${messageOf(error)}. ${then}.`),
    );
    if (this.#isClosed) return;
    this.#restarting = setTimeout(() => {
      this.#restarting = undefined;
      this.look();
    }, RESTART_MS).unref();
    if (isLast) clearTimeout(this.#restarting);
  }

  #send(message: ToArchive): void {
    this.#worker?.postMessage(message);
  }
}
