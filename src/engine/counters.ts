/** What an engine has counted since its start. */
export interface EngineCounters {
  readonly framesDecoded: number;
  readonly decodeErrors: number;
  readonly concealed: number;
  /** Records at which a shard's thread died twice, and that were skipped. */
  readonly poisoned: number;
  /** Records that cannot be valid, and were skipped by a shard. */
  readonly rejected: number;
  readonly recorderRefused: number;
  readonly decodersRebuilt: number;
  readonly shardRestarts: number;
  readonly framesRepeated: number;
  readonly arenaFull: number;
  readonly unknownStream: number;
  /** Received while their stream was paused, and withheld. */
  readonly packetsPaused: number;
}
