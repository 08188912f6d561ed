import { packageVersion } from '../../config/package-version.js';
import type { Clock } from '../../core/clock.js';
import type { FrameSink } from '../../core/events.js';
import type { HealthReport } from '../../core/health.js';
import type { Engine } from '../../engine/engine.js';
import type { NodeStats } from '../../node/node-stats.js';
import type { Metrics } from '../../sinks/metrics/metrics.js';
import type { InteractionEntry, InteractionView } from '../live/interaction-view.js';
import { type Exposition, expose, Slices, wantsOpenMetrics } from './exposition.js';
import { finishedFamilies } from './families/archive.js';
import { AUDIOHOOK_REASONS, audioHookFamilies, isAudioHook } from './families/audiohook.js';
import { engineFamilies } from './families/engine.js';
import { genesysFamilies, genesysRefusals, isGenesys } from './families/genesys.js';
import { distributionFamilies, packetFamilies, refusedFamily } from './families/packets.js';
import { ProcessMetrics } from './families/process.js';
import { serviceFamilies } from './families/services.js';
import { sinkFamilies } from './families/sinks.js';
import { counter, type Family, gauge, Monotonic } from './family.js';
import type { History } from './history.js';
import { NodeSampler, type ShardSnapshot } from './sampler.js';

/** What the metrics are of. */
export interface Measured {
  readonly engine: Engine;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly interactions: Pick<InteractionView, 'live' | 'isSpeech'>;
  stats(): NodeStats;
  health(): HealthReport;
}

/** Streams between two looks at the time. */
const STREAMS_A_SHARE = 256;
/** A scrape that comes sooner after another one gets the same text: no number of clients costs more than that. */
const FRESH_US = 250_000;
/** Refusals of the engine itself. */
const ENGINE_REASONS = [
  ...['arenaFull', 'recorderRefused', 'windowsPassed', 'poisoned', 'rejected', 'unknownStream', 'packetsDropped'],
  ...['lateOpusUnrepaired', 'opusGapsGivenUp', 'latePacketsRefused', 'latePacketsUnplaced'],
];

/** The metrics of a node, for Prometheus and for the console. */
export class NodeMetrics {
  readonly #measured: Measured;
  readonly #sampler: NodeSampler;
  readonly #process: ProcessMetrics;
  readonly #monotonic = new Monotonic();
  /** By whether it is OpenMetrics. */
  readonly #newest = new Map<boolean, { readonly atUs: number; readonly exposition: Promise<Exposition> }>();

  constructor(measured: Measured) {
    this.#measured = measured;
    this.#sampler = new NodeSampler(measured);
    this.#process = new ProcessMetrics(measured.clock.wallMs());
  }

  /** Add it to the node. */
  get sink(): FrameSink {
    return this.#sampler;
  }

  start(): void {
    this.#sampler.start();
    this.#process.start();
  }

  close(): void {
    this.#sampler.close();
    this.#process.close();
  }

  /** Rates and latency of the last quarter of an hour, a sample a second. */
  history(sinceMs?: number): History {
    return this.#sampler.history(sinceMs);
  }

  /** Threads and rings at the moment. */
  shards(): ShardSnapshot[] {
    return this.#sampler.shards();
  }

  /** Everything, as the `Accept` header wants it. Several that come at once get the same. */
  scrape(accept = ''): Promise<Exposition> {
    const isOpenMetrics = wantsOpenMetrics(accept);
    const nowUs = this.#measured.clock.nowUs();
    const newest = this.#newest.get(isOpenMetrics);
    if (newest !== undefined && nowUs - newest.atUs < FRESH_US) return newest.exposition;
    const exposition = this.#scrape(isOpenMetrics);
    this.#newest.set(isOpenMetrics, { atUs: nowUs, exposition });
    return exposition;
  }

  async #scrape(isOpenMetrics: boolean): Promise<Exposition> {
    const { engine, stats, clock } = this.#measured;
    const slices = new Slices(clock);
    const all: Family[] = [await this.#streams(slices)];
    const turn = (): Promise<void> => (slices.isOver ? slices.turn() : Promise.resolve());
    const current = stats();
    await turn();
    all.push(...statsFamilies(current, engine, this.#monotonic), healthFamily(this.#measured.health()));
    all.push(...distributionFamilies(this.#sampler.distributions), ...(await this.#process.families()));
    await turn();
    return expose(all, isOpenMetrics, slices);
  }

  async #streams(slices: Slices): Promise<Family> {
    const { interactions, clock } = this.#measured;
    const nowUs = clock.nowUs();
    const counts = new Map<string, { readonly labels: Record<string, string>; count: number }>();
    let left = STREAMS_A_SHARE;
    // Entries that come or go meanwhile are met or not; a Map's iterator stands that.
    for (const entry of interactions.live()) {
      const { source = '', codec } = entry.info;
      const state = this.#stateOf(entry, nowUs);
      const key = `${state} ${codec} ${source}`;
      const counted = counts.get(key);
      if (counted === undefined) counts.set(key, { labels: { source, codec, state }, count: 1 });
      else counted.count++;
      if (--left > 0) continue;
      left = STREAMS_A_SHARE;
      if (slices.isOver) await slices.turn();
    }
    const values = Array.from(counts.values(), ({ labels, count }) => [labels, count] as const);
    return gauge('streams', 'Open streams: speech on a channel, silence on all, or withheld by a pause.', values);
  }

  #stateOf({ info, pausedBy }: InteractionEntry, nowUs: number): 'paused' | 'speech' | 'silence' {
    if (pausedBy.length > 0) return 'paused';
    const { isSpeech } = this.#measured.interactions;
    const view = this.#measured.interactions;
    return [0, 1].some((channel) => isSpeech.call(view, info.stream, channel, nowUs)) ? 'speech' : 'silence';
  }
}

/** Every counter of a node's stats(). */
export function statsFamilies(stats: NodeStats, engine: Pick<Engine, 'state'>, monotonic: Monotonic): Family[] {
  const state = engine.state();
  const refusedByInput = sum(
    state.shards.flatMap(({ rings }) => rings.filter(({ name }) => name === 'input').map(({ refused }) => refused)),
  );
  const sources = Object.entries(stats.sources);
  const genesys = sources.flatMap(([name, status]) => (isGenesys(status) ? [[name, status] as const] : []));
  const audioHook = sources.flatMap(([name, status]) => (isAudioHook(status) ? [[name, status] as const] : []));
  const parts = [stats.sources, stats.sinks, stats.services].flatMap((one) => Object.keys(one));
  const prefixed = (part: string, counts: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(counts).map(([reason, count]) => [`${part}.${reason}`, count]));
  // Those that have not occurred are not among the refusals of stats(); they have a series at 0 all the same.
  const known: Record<string, number> = Object.assign(
    prefixed('engine', zeros(ENGINE_REASONS)),
    ...genesys.map(([name, status]) => prefixed(name, genesysRefusals(status))),
    ...audioHook.map(([name]) => prefixed(name, zeros(AUDIOHOOK_REASONS))),
    ...Object.keys(stats.sinks).map((name) => prefixed(name, { dropped: 0 })),
  );
  const { backend, shards } = stats;
  const build = { version: packageVersion(), node: process.versions.node, backend };
  return [
    gauge('build_info', 'What runs; the value is 1.', [[build, 1]]),
    gauge('shards', 'Decoding threads.', shards),
    gauge('streams_open', 'Open streams of all kinds.', stats.streams),
    ...packetFamilies(stats, refusedByInput, monotonic),
    refusedFamily(stats, ['engine', ...parts], known),
    ...engineFamilies(state, stats.engine),
    ...genesysFamilies(genesys),
    ...audioHookFamilies(audioHook),
    ...sinkFamilies(stats.sinks, monotonic),
    ...finishedFamilies(stats.archive),
    ...serviceFamilies(stats.services),
    counter(
      'reader_frames_dropped',
      'Frames that readers of audio were too slow for.',
      monotonic.of('readers', readersDropped(stats)),
    ),
  ];
}

/** As numbers, the worse the higher. */
const HEALTH = { ok: 0, degraded: 1, failing: 2 } as const;

function healthFamily({ checks }: HealthReport): Family {
  const values = checks.map(({ name, status, affects }) => [{ check: name, affects }, HEALTH[status]] as const);
  return gauge('health_status', 'Checks of /livez and /readyz: 0 ok, 1 degraded, 2 failing.', values);
}

/** What is left of the drops once those with a name of their own are taken away. */
function readersDropped({ drops, counts, engine, sinks }: NodeStats): number {
  const named = counts.packetsDropped + engine.recorderRefused + engine.arenaFull;
  return Math.max(0, drops - named - sum(Object.values(sinks).map(({ dropped }) => dropped)));
}

function zeros(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, 0]));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
