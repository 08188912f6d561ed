import type { Buffer } from 'node:buffer';
import type { PacketColumns } from '../../rtp/packet-columns.js';
import type { PacketRing } from '../../rtp/packet-ring.js';
import type { PayloadArena } from './payload-arena.js';

/**
 * The one way in which a source hands packets to the engine. Payloads lie in an arena of shared memory, descriptions in
 * the rows that the jitter buffer keeps: nothing is copied and nothing is allocated per packet. A source in JavaScript
 * fills one row after another; the native reader fills many at a time.
 *
 *     const at = batch.claim(maxBytes);
 *     if (at >= 0) {
 *       // Write the payload into batch.bytes there, and every column of batch.columns at batch.row. Then:
 *       batch.add(1);
 *     }
 */
export class PacketBatch {
  /** The arena's memory; offsets are absolute within it. */
  readonly bytes: Buffer;
  /** The source fills `channel`, `wireSequence`, `wireTimestamp`, `arrivalUs`, `flags` and the payload's place. */
  readonly columns: PacketColumns;
  readonly #packets: PacketRing;
  readonly #arena: PayloadArena;
  readonly #onFull: () => void;

  /** @param onFull must insert what has been added. */
  constructor(packets: PacketRing, arena: PayloadArena, onFull: () => void) {
    this.bytes = arena.bytes;
    this.columns = packets;
    this.#packets = packets;
    this.#arena = arena;
    this.#onFull = onFull;
  }

  /** Memory for a payload of at most `maxBytes`: an absolute offset into `bytes`, or −1 when the arena is full. */
  claim(maxBytes: number): number {
    return this.#arena.claim(maxBytes);
  }

  /** As claim(), for packets that can still be claimed one by one: nothing is counted as refused. */
  tryClaim(maxBytes: number): number {
    return this.#arena.tryClaim(maxBytes);
  }

  /** The row to fill next. */
  get row(): number {
    return this.#packets.freeRow();
  }

  /** How many rows from `row` on can be filled before add() is called; at least 1. */
  get rows(): number {
    return this.#packets.freeRows();
  }

  /** The next `count` rows are filled, and their payloads lie one behind the other where the last claim said. */
  add(count: number): void {
    const last = this.#packets.freeRow() + count - 1;
    this.#arena.commit(this.columns.payloadOffset[last] as number, this.columns.payloadLength[last] as number);
    this.#packets.fill(count);
    if (this.#packets.isFull) this.#onFull();
  }
}
