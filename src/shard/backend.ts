/**
 * What a shard does with records, which there are two of: JsShard, the reference, and NativeShard, which does the same
 * faster. Both work on the same rings, stream table and counters, so either can take over from the other.
 *
 * Frames are the same in number, length and flags, and their samples too: G.711 and L16 to the bit, Opus, lost packets
 * included, to within one step. Both have the same version of libopus, but native code adds up in another order.
 */
export interface ShardBackend {
  readonly name: 'js' | 'native';
  /** Makes new decoders for a stream that was open when the shard's last thread died; its silence state is kept. */
  reopen(stream: number): void;
  /** Takes up to `most` records. Returns how many it took, 0 for none, or BLOCKED; see ring/agent.ts. */
  drain(most: number, nowUs: number): number;
  close(): void;
}
