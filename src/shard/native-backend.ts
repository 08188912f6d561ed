import type { AddonShard } from '#addon';
import { systemClock } from '../core/clock.js';
import { loadAddon } from '../native/addon.js';
import type { ShardBackend } from './backend.js';
import type { ShardData } from './shard-data.js';

/** How often the addon gets the time at the start, so that at least one call is made without delay. */
const CLOCK_READINGS = 50;

/**
 * The Rust backend. The adapter is thin, since everything lies in the shared memory.
 * @throws TrunklineError NATIVE_UNAVAILABLE, see loadAddon().
 */
export class NativeShard implements ShardBackend {
  readonly name = 'native';
  readonly #shard: AddonShard;

  constructor(data: ShardData) {
    this.#shard = new (loadAddon().NativeShard)(new Uint8Array(data.memory), {
      control: data.control.offset,
      counters: data.counters.offset,
      input: data.input,
      output: data.output,
      ...(data.recorder && { recorder: data.recorder }),
      table: data.streamTable.offset,
      streams: data.streamTable.capacity,
      silenceThreshold: data.silence.threshold,
      silenceWindowMs: data.silence.windowMs,
      ...(data.speech && { speechWeights: data.speech.weights, speechBusyUs: data.speech.busyUs }),
    });
    for (let i = 0; i < CLOCK_READINGS; i++) this.#shard.tellTime(systemClock.nowUs());
  }

  reopen(stream: number): void {
    this.#shard.reopen(stream);
  }

  drain(most: number): number {
    return this.#shard.drain(most);
  }

  close(): void {
    this.#shard.close();
  }
}
