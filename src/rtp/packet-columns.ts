/**
 * The one description of packets, a row each. The reader of a packet fills a row; the jitter buffer keeps
 * the row, completes it and releases it; the record of the input ring is written from it. Functions pass the index of
 * the row: an integer costs nothing, whereas a double (a time, an unwrapped number) is allocated whenever the compiler
 * has not inlined the call.
 */
export class PacketColumns {
  /** Stream * 2 + channel of the stream. */
  readonly channel: Int32Array;
  /** As on the wire, as is `wireTimestamp`. */
  readonly wireSequence: Float64Array;
  readonly wireTimestamp: Float64Array;
  /** Microseconds of core/clock. */
  readonly arrivalUs: Float64Array;
  /** FLAG of ring/layout.ts. */
  readonly flags: Uint8Array;
  /** Of the payload, absolute in the engine's shared memory. */
  readonly payloadOffset: Int32Array;
  readonly payloadLength: Int32Array;
  /** Unwrapped, as is `timestamp`; known from the jitter buffer on. */
  readonly sequence: Float64Array;
  readonly timestamp: Float64Array;
  /** Which numbering of the channel the packet belongs to: 1 for the first one, 2 after a restart, and so on. */
  readonly epoch: Int32Array;

  constructor(rows: number) {
    this.channel = new Int32Array(rows);
    this.wireSequence = new Float64Array(rows);
    this.wireTimestamp = new Float64Array(rows);
    this.arrivalUs = new Float64Array(rows);
    this.flags = new Uint8Array(rows);
    this.payloadOffset = new Int32Array(rows);
    this.payloadLength = new Int32Array(rows);
    this.sequence = new Float64Array(rows);
    this.timestamp = new Float64Array(rows);
    this.epoch = new Int32Array(rows);
  }
}
