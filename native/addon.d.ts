/** What the native module exports: native/src/lib.rs (shards), socket_reader.rs, regular_packets.rs, deinterleaver.rs, chunk_sealer.rs, flac_encoder.rs and service_manager.rs. */
export interface Addon {
  /** Compared with LAYOUT_VERSION of src/ring/layout.ts before anything else is used. */
  readonly LAYOUT_VERSION: number;
  /** `memory` is the whole shared memory of the engine. */
  readonly NativeShard: new (
    memory: Uint8Array,
    places: AddonShardPlaces,
  ) => AddonShard;
  /** Keeps the columns; what changes in them later is seen by the next read(). */
  readonly NativeInteractionTable: new (
    columns: AddonInteractionColumns,
  ) => AddonInteractionTable;
  /** `memory` is the whole shared memory of the engine; `call` has CALL_NUMBERS entries (src/native/socket-reader.ts). */
  readonly NativeSocketReader: new (
    memory: Uint8Array,
    columns: AddonPacketColumns,
    call: Float64Array,
  ) => AddonSocketReader;
  /** `memory` is the whole shared memory of the engine; `arena` (its payloads) and `rings` (one a shard) lie in it. */
  readonly NativeRegularPackets: new (
    memory: Uint8Array,
    arena: AddonRing,
    rings: readonly AddonRing[],
    state: AddonRegularPacketsState,
  ) => AddonRegularPackets;
  /** `memory` is the whole shared memory of the engine; `call` has the numbers of src/native/deinterleaver.ts. */
  readonly NativeDeinterleaver: new (
    memory: Uint8Array,
    call: Int32Array,
  ) => AddonDeinterleaver;
  /** `scratch` is that of src/sinks/recorder/encryption/chunk-format.ts. Throws where Node's own OpenSSL cannot be used. */
  readonly NativeChunkSealer: new (
    scratch: Uint8Array,
  ) => AddonChunkSealer;
  /** Codes from `source`, interleaved, to `out`; `blockSamples` is a power of two. */
  readonly NativeFlacEncoder: new (
    sampleRate: number,
    channels: number,
    blockSamples: number,
    source: Int16Array,
    out: Uint8Array,
  ) => AddonFlacEncoder;
  /** Sends one datagram to systemd. Throws when it cannot be sent; only on Linux can it. */
  readonly notifyServiceManager: (socket: string, message: string) => void;
}

export interface AddonFlacEncoder {
  /** FlacFrameEncoder.encode() of src/audio/flac/frame-encoder.ts, with the arrays that it was made with. */
  encode(at: number, count: number, number: number, outAt: number): number;
}

/** Absolute offset of a ring's header, and the bytes of its data area. */
export interface AddonRing {
  readonly offset: number;
  readonly capacity: number;
}

/** Absolute offsets of everything that a shard works on. */
export interface AddonShardPlaces {
  readonly control: number;
  readonly counters: number;
  readonly input: AddonRing;
  readonly output: AddonRing;
  readonly recorder?: AddonRing;
  readonly table: number;
  readonly streams: number;
  readonly silenceThreshold: number;
  readonly silenceWindowMs: number;
  /** Weights of the neural detector, which are there before its first stream is opened. */
  readonly speechWeights?: number;
  readonly speechBusyUs?: number;
}

export interface AddonChunkSealer {
  /** Encrypts so many bytes of content where they are. */
  seal(length: number): void;
}

export interface AddonShard {
  /** Makes new decoders for a stream that was open when the shard's last thread died. */
  reopen(stream: number): void;
  /** What the engine's clock has just shown. Called several times at the start; the call with the least delay counts. */
  tellTime(nowUs: number): void;
  /** Processes up to `most` records. Returns how many it was, 0 for none, −1 when the output ring is full. */
  drain(most: number): number;
  /** Frees the decoders. */
  close(): void;
}

/** Columns of InteractionTable (src/sources/genesys/interaction-table.ts). */
export interface AddonInteractionColumns {
  readonly idBytes: Uint8Array;
  readonly idLengths: Uint8Array;
  readonly buckets: Int16Array;
  readonly flowing: Uint8Array;
  readonly stream: Int32Array;
  readonly channels: Uint8Array;
  readonly codec: Uint8Array;
}

/** Opaque: only read() uses it. */
export type AddonInteractionTable = object;

/** Columns of PacketColumns (src/rtp/packet-columns.ts). */
export interface AddonPacketColumns {
  readonly channel: Int32Array;
  readonly wireSequence: Float64Array;
  readonly wireTimestamp: Float64Array;
  readonly arrivalUs: Float64Array;
  readonly flags: Uint8Array;
  readonly payloadOffset: Int32Array;
  readonly payloadLength: Int32Array;
}

export interface AddonSocketReader {
  /** Takes its numbers from `call`, leaves there where it stopped, and returns how many rows it has filled. */
  read(bytes: Uint8Array, table: AddonInteractionTable): number;
}

/** What the main thread keeps, and take() works on. */
export interface AddonRegularPacketsState {
  readonly columns: AddonPacketColumns;
  /** FIELD of src/rtp/channel-state.ts, for every channel. */
  readonly states: Float64Array;
  /** NumberHistory.bits of src/rtp/late/number-history.ts. */
  readonly history: Int32Array;
  /** RingProducer.cursors of each shard's input ring (src/ring/ring.ts). */
  readonly cursors: readonly Int32Array[];
  /** Filled by take(): the number of rows that it leaves to JavaScript, and the rows. */
  readonly leftRows: Int32Array;
}

export interface AddonRegularPackets {
  /**
   * Takes the regular packets in `count` rows from `first` on, and lists the others in `leftRows`. Returns how many rows it
   * has gone over; fewer than `count` when the list is full.
   */
  take(first: number, count: number): number;
}

export interface AddonDeinterleaver {
  /** Takes its numbers from `call`, and writes the samples of each channel in `bytes` into the memory. */
  write(bytes: Uint8Array): void;
}
