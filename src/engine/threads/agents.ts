import { LAYOUT_VERSION } from '../../ring/layout.js';
import { workerUrl } from '../../shard/location.js';
import type { ShardData, SilenceSettings } from '../../shard/shard-data.js';
import type { InternalEngineOptions } from '../options.js';
import type { EngineMemory } from './memory.js';
import { type AgentTask, SHARD_HANG_US } from './pool.js';

/** See shard/neural/speech-judge.ts: frames wait for the neural silence detector no longer than this, when there is too much for it. */
const SPEECH_BUSY_US = 20_000;

/** What each thread of an engine runs: its shards and, where there is one, its recorder. */
export function agentTasks(
  places: EngineMemory,
  silence: SilenceSettings,
  options: InternalEngineOptions,
): AgentTask[] {
  const { memory, shards, streamTable, outputWaiter } = places;
  const { recorder, native = 'auto', shardEntry = workerUrl('shard/entry') } = options;
  const tasks: AgentTask[] = shards.map((one, shard) => ({
    name: `shard ${shard}`,
    entry: shardEntry,
    control: one.control,
    stage: 0,
    hangUs: SHARD_HANG_US,
    data: {
      layoutVersion: LAYOUT_VERSION,
      shard,
      memory,
      control: one.control,
      counters: one.counters,
      input: one.input,
      output: one.output,
      ...(one.recorder === undefined ? {} : { recorder: one.recorder }),
      streamTable,
      outputWaiter,
      silence,
      speech: { weights: places.speechWeights.offset, busyUs: SPEECH_BUSY_US },
      native,
    } satisfies ShardData,
  }));
  if (recorder === undefined) return tasks;
  const { entry } = recorder;
  const control = places.recorderControl;
  const data = recorder.data(places, native);
  return [...tasks, { name: 'recorder', entry, control, stage: 1, hangUs: Number.POSITIVE_INFINITY, data }];
}

/** A counter of SHARD_COUNTERS, of all shards together. */
export function sumCounter({ memory, shards }: EngineMemory, field: number): number {
  const words = new Int32Array(memory);
  return shards.reduce((sum, { counters }) => sum + Atomics.load(words, (counters.offset + field) >> 2), 0);
}
