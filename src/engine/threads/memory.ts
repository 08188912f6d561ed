import { PACKED } from '../../audio/neural/silero-weights.js';
import { AGENT_CONTROL, type ControlPlace } from '../../ring/agent.js';
import { ringBytes } from '../../ring/layout.js';
import type { RingPlace } from '../../ring/ring.js';
import { StreamTable } from '../../ring/stream-table.js';
import { SHARD_COUNTERS } from '../../shard/shard-data.js';

/** The places of one shard in the engine's memory. */
export interface ShardPlaces {
  readonly control: ControlPlace;
  readonly counters: ControlPlace;
  readonly input: RingPlace;
  readonly output: RingPlace;
  readonly recorder: RingPlace | undefined;
}

export interface EngineMemory {
  readonly memory: SharedArrayBuffer;
  readonly arena: { readonly offset: number; readonly capacity: number };
  readonly streamTable: { readonly offset: number; readonly capacity: number };
  readonly outputWaiter: ControlPlace;
  readonly recorderControl: ControlPlace;
  /** Of the neural detector; filled when its first stream is opened. */
  readonly speechWeights: { readonly offset: number };
  readonly shards: readonly ShardPlaces[];
}

export interface MemorySizes {
  readonly shards: number;
  readonly maxStreams: number;
  readonly arenaBytes: number;
  readonly inputRingBytes: number;
  readonly outputRingBytes: number;
  /** 0 when nothing is recorded. */
  readonly recorderRingBytes: number;
}

const PAGE = 128;

/**
 * Lays the whole data plane out in one SharedArrayBuffer. One, because then a payload moves from arena to ring to ring
 * by copyWithin, without a view being made; pages that are never touched cost no memory.
 */
export function layOutMemory(sizes: MemorySizes): EngineMemory {
  let end = 0;
  const place = (bytes: number): number => {
    const at = end;
    end = Math.ceil((at + bytes) / PAGE) * PAGE;
    return at;
  };
  const ring = (capacity: number): { offset: number; capacity: number } => ({
    offset: place(ringBytes(capacity)),
    capacity,
  });
  const outputWaiter = place(PAGE);
  const recorderControl = place(AGENT_CONTROL.BYTES);
  const streamTable = place(StreamTable.bytes(sizes.maxStreams));
  const arena = place(sizes.arenaBytes);
  const speechWeights = place(PACKED.length * Float32Array.BYTES_PER_ELEMENT);
  const shards = Array.from({ length: sizes.shards }, () => ({
    control: place(AGENT_CONTROL.BYTES),
    counters: place(SHARD_COUNTERS.BYTES),
    input: ring(sizes.inputRingBytes),
    output: ring(sizes.outputRingBytes),
    recorder: sizes.recorderRingBytes > 0 ? ring(sizes.recorderRingBytes) : undefined,
  }));
  const memory = new SharedArrayBuffer(end);
  return {
    memory,
    arena: { offset: arena, capacity: sizes.arenaBytes },
    streamTable: { offset: streamTable, capacity: sizes.maxStreams },
    outputWaiter: { memory, offset: outputWaiter },
    recorderControl: { memory, offset: recorderControl },
    speechWeights: { offset: speechWeights },
    shards: shards.map((s) => ({
      control: { memory, offset: s.control },
      counters: { memory, offset: s.counters },
      input: { memory, ...s.input },
      output: { memory, ...s.output },
      recorder: s.recorder && { memory, ...s.recorder },
    })),
  };
}
