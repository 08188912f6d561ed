import { SHARD_COUNTERS } from '../shard/shard-data.js';

/** What the shards have counted, added up. */
export interface DecodingCounters {
  readonly framesDecoded: number;
  readonly decodeErrors: number;
  /** Lost packets that were made up. */
  readonly concealed: number;
  /** Lost packets whose audio came out of the packet after them: Opus in-band FEC. */
  readonly packetsRecoveredByFec: number;
  /** Late Opus packets that are not in the recording: their gap was too long ago, or given up, or the recorder was busy. */
  readonly lateOpusUnrepaired: number;
  /** Gaps of recorded Opus for which there was no memory to repair them later. */
  readonly opusGapsGivenUp: number;
  /** Records at which a shard's thread died twice, and that were skipped. */
  readonly poisoned: number;
  /** Records that cannot be valid, and were skipped by a shard. */
  readonly rejected: number;
  readonly recorderRefused: number;
  /** Windows of the neural silence detector that were left to the adaptive one, because a shard was overloaded. */
  readonly windowsPassed: number;
  readonly decodersRebuilt: number;
}

/** What an engine has counted since its start. */
export interface EngineCounters extends DecodingCounters {
  readonly shardRestarts: number;
  readonly framesRepeated: number;
  readonly arenaFull: number;
  readonly unknownStream: number;
  /** Late packets that are not recorded because their channel brought too many at once; dropped packets as well. */
  readonly latePacketsRefused: number;
  /**
   * Late packets that are not recorded because nobody knows where they belong: before the first packet, in front of more
   * jumps of the time line than are remembered, or with a timestamp or payload that cannot be right.
   */
  readonly latePacketsUnplaced: number;
  /** Received while their stream was paused, and withheld. */
  readonly packetsPaused: number;
}

/** @param sum adds up one of SHARD_COUNTERS over all shards. */
export function decodingCounters(sum: (counter: number) => number): DecodingCounters {
  return {
    framesDecoded: sum(SHARD_COUNTERS.FRAMES),
    decodeErrors: sum(SHARD_COUNTERS.DECODE_ERRORS),
    concealed: sum(SHARD_COUNTERS.CONCEALED),
    packetsRecoveredByFec: sum(SHARD_COUNTERS.RECOVERED_BY_FEC),
    lateOpusUnrepaired: sum(SHARD_COUNTERS.LATE_UNREPAIRED),
    opusGapsGivenUp: sum(SHARD_COUNTERS.GAPS_GIVEN_UP),
    poisoned: sum(SHARD_COUNTERS.POISONED),
    rejected: sum(SHARD_COUNTERS.REJECTED),
    recorderRefused: sum(SHARD_COUNTERS.RECORDER_REFUSED),
    windowsPassed: sum(SHARD_COUNTERS.WINDOWS_PASSED),
    decodersRebuilt: sum(SHARD_COUNTERS.REBUILT),
  };
}
