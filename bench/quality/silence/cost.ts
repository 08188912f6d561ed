import { systemClock } from '../../../src/core/clock.js';
import type { SilenceDetector } from '../../../src/core/events.js';
import { detectorCases } from '../../micro/worker.js';

/** What a shard needs for one PCMU packet of 20 ms, in microseconds: decoding, level, detector, rings. */
export interface ShardCost {
  readonly backend: 'JavaScript' | 'native';
  /** `neural`, with the network at work on what is in doubt, only where its model is installed. */
  readonly micros: Readonly<Partial<Record<SilenceDetector, number>>>;
}

/** Of packets of 100 streams in one go. */
const WARM_UP_RUNS = 300;
const RUNS = 20;

/**
 * The least that a round took, of many short rounds of all detectors in turn: on a machine with other work that is what
 * comes closest to the cost itself, and differences between detectors are worth more than the figures.
 */
export function shardCosts(rounds: number): ShardCost[] {
  return detectorCases().map(({ backend, cases }) => {
    const entries = Object.entries(cases);
    const least = new Map<string, number>();
    for (const [, { run }] of entries) for (let i = 0; i < WARM_UP_RUNS; i++) run();
    for (let round = 0; round < rounds; round++) {
      for (const [name, { run, steps }] of entries) {
        const startUs = systemClock.nowUs();
        for (let i = 0; i < RUNS; i++) run();
        const micros = (systemClock.nowUs() - startUs) / (RUNS * steps);
        least.set(name, Math.min(micros, least.get(name) ?? Number.POSITIVE_INFINITY));
      }
    }
    return { backend, micros: Object.fromEntries(least) };
  });
}
