import type { ReceptionCounts } from '../core/events.js';
import { RingGauge, type RingPlace } from '../ring/ring.js';
import { SHARD_COUNTERS } from '../shard/shard-data.js';
import type { EngineMemory } from './threads/memory.js';
import type { ThreadState } from './threads/pool.js';

export interface RingState {
  /** `input`: packets to the shard; `output`: its frames; `recorder`: what is to be recorded. */
  readonly name: 'input' | 'output' | 'recorder';
  readonly capacityBytes: number;
  readonly usedBytes: number;
  /** Records that it had no space for, since the start. The output ring refuses none: its shard waits. */
  readonly refused: number;
}

export interface ShardState extends ThreadState {
  readonly streams: number;
  /** Records that the shard has taken from its input ring. */
  readonly records: number;
  readonly rings: readonly RingState[];
}

/** How an engine does at the moment, beside its counters. */
export interface EngineState {
  readonly shards: readonly ShardState[];
  /** The thread that writes recordings; undefined when nothing is recorded. */
  readonly recorder: ThreadState | undefined;
  /** Memory of the payloads that the jitter buffer holds. */
  readonly arena: { readonly capacityBytes: number; readonly usedBytes: number };
}

/** One open stream at the moment; filled by Engine.sample(). */
export interface StreamSample {
  readonly counts: ReceptionCounts;
  /** The longest that its next packet is held, of its channels; 0 for an ordered stream. */
  playoutDelayUs: number;
  /** MOS-LQ of the latest 10 s that have passed, of the channel where it is lower; NaN while there is none. */
  mosLq: number;
  /** Drift of its senders' clocks in ppm, the larger one of its channels; NaN while it is not known. */
  driftPpm: number;
  /** It came over TCP and has no jitter buffer. */
  isOrdered: boolean;
}

/** What the memory of an engine does not show. */
interface Elsewhere {
  readonly threads: readonly ThreadState[];
  readonly arenaUsedBytes: number;
  streamsOn(shard: number): number;
  refusedByInput(shard: number): number;
}

/** Reads some words of the shared memory for each shard; takes no part in the rings. */
export class EngineGauges {
  readonly #memory: EngineMemory;
  readonly #words: Int32Array;
  readonly #rings: readonly (readonly { readonly name: RingState['name']; readonly gauge: RingGauge }[])[];

  constructor(memory: EngineMemory) {
    this.#memory = memory;
    this.#words = new Int32Array(memory.memory);
    const gauges = (name: RingState['name'], place: RingPlace | undefined) =>
      place === undefined ? [] : [{ name, gauge: new RingGauge(place) }];
    this.#rings = memory.shards.map(({ input, output, recorder }) => [
      ...gauges('input', input),
      ...gauges('output', output),
      ...gauges('recorder', recorder),
    ]);
  }

  read({ threads, arenaUsedBytes, streamsOn, refusedByInput }: Elsewhere): EngineState {
    const shards = this.#rings.map((rings, shard) => ({
      ...(threads[shard] as ThreadState),
      streams: streamsOn(shard),
      records: this.#counter(shard, SHARD_COUNTERS.RECORDS),
      rings: rings.map(({ name, gauge }) => ({
        name,
        capacityBytes: gauge.capacity,
        usedBytes: gauge.usedBytes(),
        refused: this.#refused(name, shard, refusedByInput),
      })),
    }));
    const { capacity: capacityBytes } = this.#memory.arena;
    return { shards, recorder: threads[shards.length], arena: { capacityBytes, usedBytes: arenaUsedBytes } };
  }

  #refused(ring: RingState['name'], shard: number, byInput: (shard: number) => number): number {
    if (ring === 'input') return byInput(shard);
    return ring === 'recorder' ? this.#counter(shard, SHARD_COUNTERS.RECORDER_REFUSED) : 0;
  }

  #counter(shard: number, counter: number): number {
    const at = (this.#memory.shards[shard]?.counters.offset ?? 0) + counter;
    return Atomics.load(this.#words, at >> 2) >>> 0;
  }
}
