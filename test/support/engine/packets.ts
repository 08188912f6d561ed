import { PacketBatch } from '../../../src/engine/input/packet-batch.js';
import type { PayloadArena } from '../../../src/engine/input/payload-arena.js';
import type { PacketColumns } from '../../../src/rtp/packet-columns.js';
import { PacketRing } from '../../../src/rtp/packet-ring.js';

export interface TestPacket {
  readonly stream: number;
  readonly channel?: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly arrivalUs?: number;
  readonly payload: Uint8Array;
}

/** Adds a packet as a source does. False when there is no memory for its payload. */
export function addPacket(batch: PacketBatch, packet: TestPacket): boolean {
  const { stream, channel = 0, sequence, timestamp, arrivalUs = 0, payload } = packet;
  const offset = batch.claim(payload.length);
  if (offset < 0) return false;
  batch.bytes.set(payload, offset);
  const { columns, row } = batch;
  columns.channel[row] = stream * 2 + channel;
  columns.wireSequence[row] = sequence;
  columns.wireTimestamp[row] = timestamp;
  columns.arrivalUs[row] = arrivalUs;
  columns.flags[row] = 0;
  columns.payloadOffset[row] = offset;
  columns.payloadLength[row] = payload.length;
  batch.add(1);
  return true;
}

/** A batch without a jitter buffer behind it: its rows are taken by hand. */
export class LooseBatch extends PacketBatch {
  readonly #packets: PacketRing;

  /** @param onFull must take the rows, with takeRows(). */
  constructor(arena: PayloadArena, onFull: () => void, rows = 512) {
    const packets = new PacketRing(rows, new Float64Array(4));
    super(packets, arena, onFull);
    this.#packets = packets;
  }

  /** Calls `take` for each row that has been added, and frees it. */
  takeRows(take: (columns: PacketColumns, row: number) => void): void {
    for (let row = this.#packets.filledRow(); row >= 0; row = this.#packets.filledRow()) {
      take(this.columns, row);
      this.#packets.inserted(row);
      this.#packets.trim();
    }
  }
}
