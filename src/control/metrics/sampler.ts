import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import type { Clock } from '../../core/clock.js';
import { zeroCounts } from '../../core/counts.js';
import type { FrameSink, ReceptionCounts, StreamInfo } from '../../core/events.js';
import { type BucketCounts, Buckets } from '../../core/statistics/buckets.js';
import { MS_PER_SECOND, US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import type { Engine } from '../../engine/engine.js';
import type { EngineState, RingState, StreamSample } from '../../engine/engine-state.js';
import type { Metrics } from '../../sinks/metrics/metrics.js';
import { type History, HistoryRing } from './history.js';

/** The table of streams is walked once a second, in so many parts. */
const PARTS = 10;
const TICK_MS = MS_PER_SECOND / PARTS;
/** Every so many seconds, jitter and playout delay of each stream are taken into the distributions. */
const DISTRIBUTION_SECONDS = 10;
const JITTER_BOUNDS_US = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 50_000, 100_000, 200_000];
const PLAYOUT_BOUNDS_US = [
  ...[0, 5_000, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 80_000, 100_000],
  ...[150_000, 200_000, 300_000, 500_000, 1_000_000, 2_000_000],
];

/** MOS-LQ from 1 to 4.5; drift of clocks in ppm, without its sign. */
const MOS_BOUNDS = [1.5, 2, 2.5, 3, 3.25, 3.5, 3.75, 4, 4.25, 4.5];
const DRIFT_BOUNDS_PPM = [5, 10, 20, 50, 100, 200, 500, 1_000];

/** Distributions over the open streams, each looked at every few seconds. */
export interface StreamDistributions {
  readonly jitterUs: BucketCounts;
  readonly playoutDelayUs: BucketCounts;
  readonly mosLq: BucketCounts;
  readonly driftPpm: BucketCounts;
}

/** A shard for people: shares instead of counters. */
export interface ShardSnapshot {
  /** `shard 0` and so on, or `recorder`. */
  readonly name: string;
  /** Share of the last second in which it has worked, 0 to 1. */
  readonly utilisation: number;
  readonly heartbeatAgeMs: number;
  readonly restarts: number;
  readonly streams: number;
  readonly rings: readonly {
    readonly name: RingState['name'];
    /** Share of the ring in use, 0 to 1. */
    readonly fill: number;
    readonly refused: number;
  }[];
}

/** What is sampled. */
export interface Sampled {
  readonly engine: Pick<Engine, 'state' | 'sample' | 'maxStreams'>;
  readonly metrics: Pick<Metrics, 'recentDeliveredP99'>;
  readonly clock: Clock;
}

/**
 * Looks at a node every second: rates for the history, utilisation of the threads, distributions over all streams. The
 * table of streams is walked in ten parts, so that no turn of the event loop takes longer for it than a tenth of a
 * millisecond or two. Add it to the node as a sink: it counts streams that end between two looks to the last packet.
 */
export class NodeSampler implements FrameSink {
  readonly #engine: Sampled['engine'];
  readonly #metrics: Sampled['metrics'];
  readonly #clock: Clock;
  readonly #history = new HistoryRing();
  readonly #jitterUs = new Buckets(JITTER_BOUNDS_US);
  readonly #playoutDelayUs = new Buckets(PLAYOUT_BOUNDS_US);
  readonly #mosLq = new Buckets(MOS_BOUNDS);
  readonly #driftPpm = new Buckets(DRIFT_BOUNDS_PPM);
  readonly #sample: StreamSample = {
    ...{ counts: zeroCounts(), playoutDelayUs: 0, isOrdered: false },
    ...{ mosLq: Number.NaN, driftPpm: Number.NaN },
  };
  /** By stream: what has been taken into the sums. */
  readonly #received: Float64Array;
  readonly #lost: Float64Array;
  readonly #dropped: Float64Array;
  /** Since the last second was closed. */
  #sums = { received: 0, lost: 0, dropped: 0 };
  #streams = 0;
  #streamsSoFar = 0;
  #next = 0;
  #part = 0;
  #seconds = 0;
  #closedUs: number;
  #cpu = process.cpuUsage();
  #loop: EventLoopUtilization = performance.eventLoopUtilization();
  readonly #busy = new Map<string, { readonly seconds: number; readonly utilisation: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ engine, metrics, clock }: Sampled) {
    this.#engine = engine;
    this.#metrics = metrics;
    this.#clock = clock;
    this.#closedUs = clock.nowUs();
    this.#received = new Float64Array(engine.maxStreams);
    this.#lost = new Float64Array(engine.maxStreams);
    this.#dropped = new Float64Array(engine.maxStreams);
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** One part of the walk; the last part of a round closes its second. Called by the timer. */
  tick(): void {
    const isDistribution = this.#seconds % DISTRIBUTION_SECONDS === 0;
    const last = this.#part === PARTS - 1;
    const end = last ? this.#engine.maxStreams : Math.ceil((this.#engine.maxStreams * (this.#part + 1)) / PARTS);
    for (; this.#next < end; this.#next++) this.#look(this.#next, isDistribution);
    this.#part++;
    if (last) this.#closeSecond();
  }

  streamEnded({ stream }: StreamInfo, counts: ReceptionCounts): void {
    this.#add(stream, counts);
    this.#received[stream] = 0;
    this.#lost[stream] = 0;
    this.#dropped[stream] = 0;
  }

  history(sinceMs?: number): History {
    return this.#history.read(sinceMs);
  }

  get distributions(): StreamDistributions {
    return {
      jitterUs: this.#jitterUs.read(),
      playoutDelayUs: this.#playoutDelayUs.read(),
      mosLq: this.#mosLq.read(),
      driftPpm: this.#driftPpm.read(),
    };
  }

  /** The shards and, where something is recorded, the recorder's thread. */
  shards(): ShardSnapshot[] {
    const { shards, recorder } = this.#engine.state();
    const all = recorder === undefined ? shards : [...shards, { ...recorder, streams: 0, rings: [] }];
    return all.map(({ name, heartbeatAgeMs, restarts, streams, rings }) => ({
      name,
      utilisation: this.#busy.get(name)?.utilisation ?? 0,
      heartbeatAgeMs,
      restarts,
      streams,
      rings: rings.map((ring) => ({
        name: ring.name,
        fill: ring.usedBytes / ring.capacityBytes,
        refused: ring.refused,
      })),
    }));
  }

  #look(stream: number, isDistribution: boolean): void {
    const sample = this.#sample;
    if (!this.#engine.sample(stream, sample)) return;
    this.#streamsSoFar++;
    this.#add(stream, sample.counts);
    if (!isDistribution || sample.isOrdered || sample.counts.packetsReceived === 0) return;
    this.#jitterUs.add(sample.counts.jitterUs);
    this.#playoutDelayUs.add(sample.playoutDelayUs);
    if (!Number.isNaN(sample.mosLq)) this.#mosLq.add(sample.mosLq);
    if (!Number.isNaN(sample.driftPpm)) this.#driftPpm.add(Math.abs(sample.driftPpm));
  }

  #add(stream: number, { packetsReceived, packetsLost, packetsDropped }: ReceptionCounts): void {
    this.#sums.received += packetsReceived - (this.#received[stream] as number);
    this.#sums.lost += packetsLost - (this.#lost[stream] as number);
    this.#sums.dropped += packetsDropped - (this.#dropped[stream] as number);
    this.#received[stream] = packetsReceived;
    this.#lost[stream] = packetsLost;
    this.#dropped[stream] = packetsDropped;
  }

  #closeSecond(): void {
    const nowUs = this.#clock.nowUs();
    const seconds = (nowUs - this.#closedUs) / US_PER_SECOND;
    this.#next = 0;
    this.#part = 0;
    this.#seconds++;
    this.#streams = this.#streamsSoFar;
    this.#streamsSoFar = 0;
    // A clock of a test may stand still.
    if (seconds <= 0) return;
    this.#closedUs = nowUs;
    const cpu = process.cpuUsage(this.#cpu);
    this.#cpu = process.cpuUsage();
    const { utilization } = performance.eventLoopUtilization(this.#loop);
    this.#loop = performance.eventLoopUtilization();
    const { received, lost, dropped } = this.#sums;
    this.#sums = { received: 0, lost: 0, dropped: 0 };
    this.#history.add(this.#clock.wallMs(), {
      packetsPerSecond: received / seconds,
      // What was lost may arrive after all.
      lostPerSecond: Math.max(0, lost) / seconds,
      droppedPerSecond: dropped / seconds,
      latencyP99Ms: this.#metrics.recentDeliveredP99() / US_PER_MS,
      cpuCores: (cpu.user + cpu.system) / (seconds * US_PER_SECOND),
      mainUtilisation: utilization,
      streams: this.#streams,
      rssBytes: process.memoryUsage.rss(),
    });
    this.#measureThreads(this.#engine.state(), seconds);
  }

  #measureThreads({ shards, recorder }: EngineState, seconds: number): void {
    for (const { name, busySeconds } of recorder === undefined ? shards : [...shards, recorder]) {
      const before = this.#busy.get(name)?.seconds ?? busySeconds;
      const utilisation = Math.min(1, Math.max(0, (busySeconds - before) / seconds));
      this.#busy.set(name, { seconds: busySeconds, utilisation });
    }
  }
}
