import type { Clock } from '../../core/clock.js';
import type { FrameSink, ReceptionCounts } from '../../core/events.js';
import type { Engine } from '../../engine/engine.js';
import { Metrics, type MetricsContext, type MetricsSnapshot, type Throughput } from '../../sinks/metrics/metrics.js';
import { Tally } from '../../sinks/metrics/tally.js';
import type { NodeStats } from '../node-stats.js';
import type { Readers } from '../readers.js';
import type { Outcomes } from '../streams/outcomes.js';
import { collectRefusals, type Refusals } from '../watch/refusals.js';
import type { NodeServices } from './node-services.js';
import type { NodeSinks } from './node-sinks.js';
import type { NodeSources } from './node-sources.js';

/** What counts. */
interface Parts {
  readonly sources: NodeSources;
  readonly sinks: NodeSinks;
  readonly services: NodeServices;
  readonly readers: Readers;
  readonly outcomes: Outcomes;
}

/** Everything that a node counts. */
export class NodeFigures {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #parts: Parts;
  readonly metrics: Metrics;
  readonly #tally = new Tally();

  constructor(engine: Engine, clock: Clock, parts: Parts) {
    this.#engine = engine;
    this.#clock = clock;
    this.#parts = parts;
    this.metrics = new Metrics({ clock });
  }

  /** What takes the frames that are counted; add them to the engine. */
  get frameSinks(): readonly FrameSink[] {
    return [this.#tally, this.metrics];
  }

  stats(): Omit<NodeStats, 'oneWayAudio' | 'oneWayAudioNow' | 'archive'> {
    const { sources, sinks, services, outcomes } = this.#parts;
    return {
      ...this.snapshot(),
      backend: this.#engine.backend,
      shards: this.#engine.shardCount,
      engine: this.#engine.counters(),
      outcomes: outcomes.counts(),
      refused: this.refusals(),
      sources: sources.status(),
      sinks: sinks.stats(),
      services: services.stats(),
    };
  }

  snapshot(): MetricsSnapshot {
    return this.metrics.snapshot(this.#clock.nowUs(), this.#context());
  }

  throughput(): Throughput {
    return this.metrics.throughput(this.#clock.nowUs(), this.#counts());
  }

  line(): string {
    return Metrics.line(this.snapshot(), this.refusals());
  }

  refusals(): Refusals {
    const { sources, sinks, services } = this.#parts;
    const { packetsDropped } = this.#counts();
    return collectRefusals([...sources.list, ...services.list], sinks.stats(), this.#engine.counters(), packetsDropped);
  }

  #counts(): ReceptionCounts {
    return this.#tally.total((sum) => this.#engine.addOpenCounts(sum));
  }

  #context(): MetricsContext {
    const counts = this.#counts();
    const { sinks, readers } = this.#parts;
    const { recorderRefused, arenaFull } = this.#engine.counters();
    let drops = counts.packetsDropped + recorderRefused + arenaFull + readers.dropped;
    for (const { dropped } of Object.values(sinks.stats())) drops += dropped;
    return { counts, drops, backend: this.#engine.backend };
  }
}
