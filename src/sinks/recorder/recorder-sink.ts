import { z } from 'zod';
import { parseOptions } from '../../config/options.js';
import type { Clock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import { makeFolder } from '../../core/make-folder.js';
import type { RecorderAgent } from '../../engine/options.js';
import type { Sink, SinkContext, SinkStats } from '../sink.js';
import { NodeRecorder } from './recorder-agent.js';
import type { RecorderCounters } from './recorder-memory.js';
import { type RepairReport, repairRecordings } from './repair.js';

export interface RecorderOptions {
  /** Folder of the recordings; made when it is missing. Each interaction gets a folder of its own in it. */
  readonly directory: string;
}

const REPORT_MS = 500;

const schema = z.strictObject({ directory: z.string().min(1) });

/** Records every stream into `<directory>/<interaction>/audio.wav` and `session.json`, on a thread of its own. */
export class RecorderSink implements Sink {
  readonly name = 'recorder';
  readonly #directory: string;
  readonly #recorder: NodeRecorder;
  #report: SinkContext['report'] = () => {};
  #reports: NodeJS.Timeout | undefined;
  #repaired: RepairReport | undefined;

  /** @throws TrunklineError CONFIG_INVALID for options that cannot be right. */
  constructor(options: RecorderOptions) {
    const { directory } = parseOptions('recorder()', schema, options);
    this.#directory = directory;
    this.#recorder = new NodeRecorder(directory);
  }

  get agent(): RecorderAgent {
    return this.#recorder;
  }

  /** What start() repaired of the recordings of an earlier process; undefined before it. */
  get repaired(): RepairReport | undefined {
    return this.#repaired;
  }

  /** @throws TrunklineError FILE_FAILED when the folder cannot be made or read. */
  async start({ clock, logger, report }: SinkContext): Promise<void> {
    this.#report = report;
    await makeFolder(this.#directory);
    await this.#repair(clock);
    const recordings = this.#repaired?.repaired.length ?? 0;
    if (recordings > 0) logger.warn({ recordings }, 'repaired recordings that an earlier process left unfinished');
    this.#reports = setInterval(() => this.#lookForReports(), REPORT_MS);
    this.#reports.unref();
  }

  flush(): Promise<void> {
    return this.#recorder.caughtUp();
  }

  close(): void {
    clearInterval(this.#reports);
    this.#lookForReports();
    const { recordingsOpened, recordingsFinished } = this.counters();
    const missing = recordingsOpened - recordingsFinished;
    if (missing === 0) return;
    const message = `${missing} recordings could not be finished in time; run "trunkline repair ${this.#directory}".`;
    this.#report(new TrunklineError('FILE_FAILED', message));
  }

  counters(): RecorderCounters {
    return this.#recorder.counters();
  }

  stats(): SinkStats {
    return { ...this.counters(), dropped: 0 };
  }

  async #repair(clock: Clock): Promise<void> {
    this.#repaired = await repairRecordings(this.#directory, { clock });
  }

  #lookForReports(): void {
    const text = this.#recorder.takeReport();
    if (text !== undefined) this.#report(new TrunklineError('FILE_FAILED', text));
  }
}

/**
 * Records what a node captures. Without it, an embedded node records nothing.
 *
 * @example
 * const node = await createNode({ sources, sinks: [recorder({ directory: 'capture' })] });
 *
 * @throws TrunklineError CONFIG_INVALID for options that cannot be right.
 */
export function recorder(options: RecorderOptions): RecorderSink {
  return new RecorderSink(options);
}
