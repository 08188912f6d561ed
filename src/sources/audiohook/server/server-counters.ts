import { Buckets } from '../../../core/statistics/buckets.js';
import { newSessionCounts, type SessionCounts } from '../session/session-counts.js';
import type { ContinuationRefusal } from '../session/streams.js';
import type { AudioHookConnection } from './connection.js';
import type { AudioHookSessionInfo, AudioHookSessionSummary } from './connection-contract.js';
import type { AudioHookCounters } from './server-events.js';

const OPENED_BOUNDS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Adds up what all sessions of a server have counted. */
export class ServerCounters {
  readonly continuationsRefused: Partial<Record<ContinuationRefusal, number>> = {};
  sessionsConnected = 0;
  takenOver = 0;
  internalErrors = 0;
  nonceFileErrors = 0;
  readonly #openedSeconds = new Buckets(OPENED_BOUNDS_SECONDS);
  #opened = 0;
  #ended = 0;
  #probes = 0;
  #continued = 0;
  #slowReaders = 0;
  #throttled = 0;
  #stalls = 0;
  #samplesDropped = 0;
  readonly #totals = newSessionCounts();

  opened({ probe, continued }: AudioHookSessionInfo, seconds: number): void {
    this.#openedSeconds.add(seconds);
    this.#opened += 1;
    if (probe) this.#probes += 1;
    if (continued) this.#continued += 1;
  }

  ended({ counts, throttled, stalls, fault, droppedSamples }: AudioHookSessionSummary): void {
    addCounts(this.#totals, counts);
    this.#ended += 1;
    this.#throttled += throttled;
    this.#stalls += stalls;
    this.#samplesDropped += droppedSamples;
    if (fault?.kind === 'slowReader') this.#slowReaders += 1;
  }

  continuationRefused(reason: ContinuationRefusal): void {
    this.continuationsRefused[reason] = (this.continuationsRefused[reason] ?? 0) + 1;
  }

  /** What was refused or dropped, by reason. Asked every second, so that it adds up no more than it needs. */
  refusals(live: Iterable<AudioHookConnection>, rejected: AudioHookCounters['rejected']): Record<string, number> {
    let { framesIgnored, samplesNotTaken, entitiesRefused, clientErrors, faults } = this.#totals;
    for (const { session } of live) {
      const { counts } = session;
      framesIgnored += counts.framesIgnored;
      samplesNotTaken += counts.samplesNotTaken;
      entitiesRefused += counts.entitiesRefused;
      clientErrors += counts.clientErrors;
      faults += counts.faults;
    }
    return {
      ...prefixed('rejected', rejected),
      ...prefixed('continuation', this.continuationsRefused),
      ...{ slowReaders: this.#slowReaders, samplesDropped: this.#samplesDropped },
      ...{ internalErrors: this.internalErrors, nonceFileErrors: this.nonceFileErrors },
      ...{ framesIgnored, samplesNotTaken, entitiesRefused, clientErrors, faults },
    };
  }

  /** All counters, with those of the live sessions added. */
  with(live: Iterable<AudioHookConnection>): Omit<AudioHookCounters, 'sessionsLive' | 'streamsDetached' | 'rejected'> {
    const totals = { ...this.#totals };
    let throttled = this.#throttled;
    let stalls = this.#stalls;
    for (const connection of live) {
      addCounts(totals, connection.session.counts);
      throttled += connection.throttled;
      stalls += connection.stalls;
    }
    return {
      sessionsConnected: this.sessionsConnected,
      sessionsOpened: this.#opened,
      openedSeconds: this.#openedSeconds.read(),
      sessionsEnded: this.#ended,
      probes: this.#probes,
      continued: this.#continued,
      continuationsRefused: { ...this.continuationsRefused },
      takenOver: this.takenOver,
      slowReaders: this.#slowReaders,
      throttled,
      stalls,
      samplesDropped: this.#samplesDropped,
      internalErrors: this.internalErrors,
      nonceFileErrors: this.nonceFileErrors,
      totals,
    };
  }
}

function addCounts(sum: SessionCounts, counts: Readonly<SessionCounts>): void {
  for (const name of Object.keys(sum) as (keyof SessionCounts)[]) sum[name] += counts[name];
}

function prefixed(prefix: string, counts: Readonly<Partial<Record<string, number>>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([reason, count]) => [`${prefix}.${reason}`, count ?? 0]));
}
