import type { HealthCheck } from '../../core/health.js';
import { US_PER_SECOND } from '../../core/units.js';
import type { SinkStats } from '../../sinks/sink.js';
import type { NodeSinks } from './node-sinks.js';

/** Counters of sinks that grow while something cannot be kept, and what that means. */
const FAILURES: Readonly<Record<string, string>> = {
  writeErrors: 'files cannot be written',
  samplesDropped: 'audio cannot be written and is lost',
  recordingsRefused: 'streams get no recording',
  recordingsIncomplete: 'recordings are incomplete',
  dropped: 'entries or frames are dropped',
};
/** A failure counts as present for so long after it was last seen to grow. */
const PRESENT_US = 60 * US_PER_SECOND;

/** Finds out from the counters of sinks which of them are failing at the moment. For health checks. */
export class SinkHealth {
  readonly #seen = new Map<string, { count: number; grewUs: number }>();

  /** The same as checks of the node: a loss is degraded, because another node would not bring back what is lost. */
  checks(stats: Readonly<Record<string, SinkStats>>, nowUs: number): HealthCheck[] {
    const problems = this.problems(stats, nowUs);
    if (problems.length === 0) return [{ name: 'sinks', status: 'ok', affects: 'ready' }];
    return [{ name: 'sinks', status: 'degraded', reason: `${problems.join('; ')}.`, affects: 'ready' }];
  }

  /** What sinks fail to do at the moment, by their counters and by their own account. */
  allProblems(sinks: NodeSinks, nowUs: number): string[] {
    const failing = sinks.health().filter(({ status }) => status === 'failing');
    return [...this.problems(sinks.stats(), nowUs), ...failing.map(({ name, reason = '' }) => `${name}: ${reason}`)];
  }

  /** One sentence for each failure; call it as often as health is asked for. */
  problems(stats: Readonly<Record<string, SinkStats>>, nowUs: number): string[] {
    const problems: string[] = [];
    for (const [sink, counters] of Object.entries(stats)) {
      for (const [counter, meaning] of Object.entries(FAILURES)) {
        const count = counters[counter] ?? 0;
        const key = `${sink} ${counter}`;
        const seen = this.#seen.get(key);
        if (count > (seen?.count ?? 0)) this.#seen.set(key, { count, grewUs: nowUs });
        const grewUs = this.#seen.get(key)?.grewUs ?? Number.NEGATIVE_INFINITY;
        if (nowUs - grewUs < PRESENT_US) problems.push(`${sink}: ${meaning} (${counter} ${count})`);
      }
    }
    return problems;
  }
}
