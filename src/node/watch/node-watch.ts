import type { Clock } from '../../core/clock.js';
import type { FrameSink, OneWayAudio, OneWayAudioEnded, ReceptionCounts, StreamInfo } from '../../core/events.js';
import type { Logger } from '../../core/logger.js';
import { US_PER_MS } from '../../core/units.js';
import { tuneHeapAgain } from '../heap.js';
import { OneWayAudioWatch } from './one-way-audio.js';
import { RefusalLog, type Refusals } from './refusals.js';
import { StreamHealth } from './stream-health.js';

const LOOK_MS = 1_000;
/** Stalls of the event loop are remembered for one to two such periods. */
const STALL_PERIOD_US = 60_000_000;

/** What is watched. */
interface Watched {
  refusals(): Refusals;
  counts(info: StreamInfo): ReceptionCounts | undefined;
  readonly maxStreams: number;
  /** See NodeOptions.oneWaySeconds. */
  readonly oneWaySeconds: number | undefined;
  onOneWayAudio(event: OneWayAudio | OneWayAudioEnded): void;
}

const ONE_WAY_SECONDS = 10;

/** Looks once a second for refusals, streams whose packets are lost, late or absent, and one-way audio; logs them. */
export class NodeWatch {
  readonly #health: StreamHealth;
  readonly #oneWay: OneWayAudioWatch;
  readonly #refusalLog: RefusalLog;
  readonly #clock: Clock;
  readonly #watched: Watched;
  #timer: NodeJS.Timeout | undefined;
  #lookedUs = 0;
  #stallUs = 0;
  #stallBeforeUs = 0;
  #periodUs = 0;

  constructor(logger: Logger, clock: Clock, watched: Watched) {
    this.#health = new StreamHealth(logger, watched.counts);
    this.#oneWay = new OneWayAudioWatch(watched.maxStreams, {
      clock,
      afterSeconds: watched.oneWaySeconds ?? ONE_WAY_SECONDS,
      isPaused: (interactionId) => this.#health.isPaused(interactionId),
      onBegin: (event) => {
        const { channel, cause, info } = event;
        logger.warn({ interactionId: info.interactionId, channel, cause }, 'one side of a call has no signal');
        watched.onOneWayAudio(event);
      },
      onEnd: (event) => {
        const { channel, info, reason } = event;
        const text =
          reason === 'signal' ? 'that side of a call has a signal again' : 'a call with one-way audio has ended';
        logger.info({ interactionId: info.interactionId, channel }, text);
        watched.onOneWayAudio(event);
      },
    });
    this.#refusalLog = new RefusalLog(logger);
    this.#clock = clock;
    this.#watched = watched;
  }

  /** Add them to the engine before what emits events: one-way audio is over before its stream is. */
  get sinks(): readonly FrameSink[] {
    return [this.#health, this.#oneWay];
  }

  /** How often one side of a call had no signal while the other one spoke, and how many have none now. */
  get oneWayAudio(): { readonly oneWayAudio: number; readonly oneWayAudioNow: number } {
    return { oneWayAudio: this.#oneWay.occurrences, oneWayAudioNow: this.#oneWay.current };
  }

  /** A call whose audio is withheld has neither a gap nor one-way audio. */
  paused(interactionId: string, isPaused: boolean): void {
    this.#health.paused(interactionId, isPaused);
  }

  /** Call it when the threads run. */
  start(): void {
    tuneHeapAgain();
    this.#lookedUs = this.#clock.nowUs();
    this.#periodUs = this.#lookedUs;
    this.#health.look(this.#lookedUs);
    this.#oneWay.look(this.#lookedUs);
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
    this.#health.look(nowUs);
    this.#oneWay.look(nowUs);
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
