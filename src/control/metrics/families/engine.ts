import type { EngineCounters } from '../../../engine/counters.js';
import type { EngineState } from '../../../engine/engine-state.js';
import { counter, type Family, gauge } from '../family.js';

/** Worker threads, rings and the memory of the engine. */
export function engineFamilies(state: EngineState, counters: EngineCounters): Family[] {
  const { shards, recorder, arena } = state;
  const threads = recorder === undefined ? shards : [...shards, recorder];
  const byThread = (value: (thread: (typeof threads)[number]) => number) =>
    threads.map((thread) => [{ thread: thread.name }, value(thread)] as const);
  const byRing = (value: (ring: (typeof shards)[number]['rings'][number]) => number) =>
    shards.flatMap(({ name, rings }) => rings.map((ring) => [{ thread: name, ring: ring.name }, value(ring)] as const));
  return [
    counter(
      'thread_busy_seconds',
      'Work of each worker thread; its rate is the utilisation.',
      byThread(({ busySeconds }) => busySeconds),
    ),
    counter(
      'thread_heartbeats',
      'Turns of the loop of each worker thread, modulo 2^32.',
      byThread(({ heartbeats }) => heartbeats),
    ),
    gauge(
      'thread_heartbeat_age_seconds',
      'Time since the last turn of the loop; an idle thread turns every 0.1 seconds.',
      byThread(({ heartbeatAgeMs }) => heartbeatAgeMs / 1e3),
    ),
    counter(
      'thread_restarts',
      'Worker threads that died or hung and were replaced.',
      byThread(({ restarts }) => restarts),
    ),
    gauge(
      'shard_streams',
      'Streams of each shard.',
      shards.map(({ name, streams }) => [{ thread: name }, streams] as const),
    ),
    counter(
      'shard_records',
      'Records that each shard has processed, modulo 2^32.',
      shards.map(({ name, records }) => [{ thread: name }, records] as const),
    ),
    gauge(
      'ring_used_bytes',
      'What lies in each ring between two threads.',
      byRing(({ usedBytes }) => usedBytes),
    ),
    gauge(
      'ring_capacity_bytes',
      'Size of each ring between two threads.',
      byRing(({ capacityBytes }) => capacityBytes),
    ),
    counter(
      'ring_refused',
      'Records that each ring had no space for.',
      byRing(({ refused }) => refused),
    ),
    gauge('arena_used_bytes', 'Payloads that the jitter buffer holds.', arena.usedBytes),
    gauge('arena_capacity_bytes', 'Space for the payloads of the jitter buffer.', arena.capacityBytes),
    counter('shard_restarts', 'Restarts of all worker threads together.', counters.shardRestarts),
    counter('frames_decoded', 'Frames that the shards have decoded, concealed ones included.', counters.framesDecoded),
    counter('frames_concealed_by_shards', 'Frames that the shards have made up.', counters.concealed),
    counter(
      'packets_recovered_by_fec',
      'Lost packets whose audio came out of the packet after them (Opus in-band FEC).',
      counters.packetsRecoveredByFec,
    ),
    counter(
      'late_opus_packets_unrepaired',
      'Late Opus packets that are not in the recording.',
      counters.lateOpusUnrepaired,
    ),
    counter(
      'opus_gaps_given_up',
      'Gaps of recorded Opus for which there was no memory to repair them later.',
      counters.opusGapsGivenUp,
    ),
    counter(
      'late_packets_unplaced',
      'Late packets that are not recorded because nobody knows where they belong.',
      counters.latePacketsUnplaced,
    ),
    counter('decode_errors', 'Packets that a decoder has refused.', counters.decodeErrors),
    counter(
      'decoders_rebuilt',
      'Decoders that were made again after the restart of a shard.',
      counters.decodersRebuilt,
    ),
    counter(
      'frames_repeated',
      'Frames that came twice after the restart of a shard, and were delivered once.',
      counters.framesRepeated,
    ),
    counter('records_poisoned', 'Records at which a shard died twice, and that were skipped.', counters.poisoned),
    counter('records_rejected', 'Records that cannot be valid, and were skipped by a shard.', counters.rejected),
    counter(
      'recorder_refused',
      'Frames and silence edges that the recorder rings had no space for.',
      counters.recorderRefused,
    ),
    counter(
      'speech_windows_passed',
      'Windows of 32 ms that the neural silence detector left to the adaptive one, because a shard was overloaded.',
      counters.windowsPassed,
    ),
  ];
}
