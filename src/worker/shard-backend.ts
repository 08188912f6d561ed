/**
 * What a shard does with records, which there are two of: JsShard, the reference, and NativeShard, which does the same
 * faster. Both work on the same rings, stream table and counters, so either can take over from the other.
 */
export interface ShardBackend {
  readonly name: 'js' | 'native';
  /** Decoders anew for a stream that the last life of this shard had open; its silence state goes on. */
  reopen(stream: number): void;
  /** Takes up to `most` records. Returns how many it took, 0 for none, or BLOCKED; see ring/agent.ts. */
  drain(most: number, nowUs: number): number;
  close(): void;
}
