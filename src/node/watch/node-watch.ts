import type { Clock } from '../../core/clock.js';
import type { ReceptionCounts, StreamInfo } from '../../core/events.js';
import type { Logger } from '../../core/logger.js';
import { US_PER_MS } from '../../core/units.js';
import { tuneHeapAgain } from '../heap.js';
import { RefusalLog, type Refusals } from './refusals.js';
import { StreamHealth } from './stream-health.js';

const LOOK_MS = 1_000;
/** Stalls of the event loop are remembered for one to two such periods. */
const STALL_PERIOD_US = 60_000_000;

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
  #lookedUs = 0;
  #stallUs = 0;
  #stallBeforeUs = 0;
  #periodUs = 0;

  constructor(logger: Logger, clock: Clock, watched: Watched) {
    this.health = new StreamHealth(logger, watched.counts);
    this.#refusalLog = new RefusalLog(logger);
    this.#clock = clock;
    this.#watched = watched;
  }

  /** Call it when the threads run. */
  start(): void {
    tuneHeapAgain();
    this.#lookedUs = this.#clock.nowUs();
    this.#periodUs = this.#lookedUs;
    this.health.look(this.#lookedUs);
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** How long the event loop stood still at most, in the last minute or two, in microseconds. */
  get longestStallUs(): number {
    return Math.max(this.#stallUs, this.#stallBeforeUs);
  }

  /** Looks for the last time. */
  close(): void {
    clearInterval(this.#timer);
    this.#look();
  }

  #look(): void {
    // A thread may have been replaced.
    tuneHeapAgain();
    const nowUs = this.#clock.nowUs();
    this.#noteStall(nowUs);
    this.health.look(nowUs);
    this.#refusalLog.look(this.#watched.refusals());
  }

  #noteStall(nowUs: number): void {
    // The timer comes late by as long as the event loop stood still.
    this.#stallUs = Math.max(this.#stallUs, nowUs - this.#lookedUs - LOOK_MS * US_PER_MS);
    this.#lookedUs = nowUs;
    if (nowUs - this.#periodUs < STALL_PERIOD_US) return;
    this.#periodUs = nowUs;
    this.#stallBeforeUs = this.#stallUs;
    this.#stallUs = 0;
  }
}
