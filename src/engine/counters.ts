/** What an engine has counted since its start. */
export interface EngineCounters {
  readonly framesDecoded: number;
  readonly decodeErrors: number;
  /** Lost packets that were made up. */
  readonly concealed: number;
  /** Lost packets whose audio came out of the packet after them: Opus in-band FEC. */
  readonly packetsRecoveredByFec: number;
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
