import type { Clock } from '../../core/clock.js';
import type { ReceptionCounts, StreamInfo } from '../../core/events.js';
import type { Logger } from '../../core/logger.js';
import { tuneHeapAgain } from '../heap.js';
import { RefusalLog, type Refusals } from './refusals.js';
import { StreamHealth } from './stream-health.js';

const LOOK_MS = 1_000;

/** What is watched. */
interface Watched {
  refusals(): Refusals;
  counts(info: StreamInfo): ReceptionCounts | undefined;
}

/** Looks once a second for refusals and for streams whose packets are lost, late or absent, and logs them. */
export class NodeWatch {
  /** Takes the begin and end of streams; add it to the engine. */
  readonly health: StreamHealth;
  readonly #refusalLog: RefusalLog;
  readonly #clock: Clock;
  readonly #watched: Watched;
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: Logger, clock: Clock, watched: Watched) {
    this.health = new StreamHealth(logger, watched.counts);
    this.#refusalLog = new RefusalLog(logger);
    this.#clock = clock;
    this.#watched = watched;
  }

  /** Call it when the threads run. */
  start(): void {
    tuneHeapAgain();
    this.health.look(this.#clock.nowUs());
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Looks for the last time. */
  close(): void {
    clearInterval(this.#timer);
    this.#look();
  }

  #look(): void {
    // A thread may have been replaced.
    tuneHeapAgain();
    this.health.look(this.#clock.nowUs());
    this.#refusalLog.look(this.#watched.refusals());
  }
}
