import { Buffer } from 'node:buffer';
import { TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';

const BUCKETS = 128;
const EMPTY = -1;

// Printable ASCII without quote, backslash and space: such an id stands in JSON exactly as it is, so its bytes on the
// wire can be compared with the bytes here, and it can stand in a file name or a URL once encoded.
const PLAIN_ID = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** @throws TrunklineError CONFIG_INVALID for what cannot be an interaction id. */
export function checkInteractionId(id: string): void {
  if (PLAIN_ID.test(id) && id.length <= LIMITS.maxNameBytes) return;
  throw new TrunklineError(
    'CONFIG_INVALID',
    `An interaction id has 1 to ${LIMITS.maxNameBytes} printable ASCII characters without quotes; check TARGET_INTERACTIONS, or their file.`,
  );
}

/**
 * The interactions of one connection, found by the bytes of their id as they stand in a message: an open-addressing
 * table, so that no string is made per packet. A slot keeps its number while its interaction is on the connection;
 * what the packet path needs to know of it lies in arrays by slot.
 */
export class InteractionTable {
  static readonly CAPACITY = LIMITS.interactionsPerConnection;

  /** Engine stream of each slot, −1 before one is open. */
  readonly stream = new Int32Array(InteractionTable.CAPACITY).fill(EMPTY);
  readonly channels = new Uint8Array(InteractionTable.CAPACITY);
  /** CodecId of the open stream. */
  readonly codec = new Uint8Array(InteractionTable.CAPACITY);
  /** 1 once a packet has been taken in since the connection was made; until then packets go through `firstPacket`. */
  readonly flowing = new Uint8Array(InteractionTable.CAPACITY);

  // The table, for readers that look into it by themselves (native/dsp/src/media.rs).
  /** The bytes of each slot's id, LIMITS.maxNameBytes apart. */
  readonly idBytes = Buffer.alloc(InteractionTable.CAPACITY * LIMITS.maxNameBytes);
  readonly idLengths = new Uint8Array(InteractionTable.CAPACITY);
  /** Where find() looks: a slot, or −1, from the id's hash on. */
  readonly buckets = new Int16Array(BUCKETS).fill(EMPTY);

  readonly #ids: (string | undefined)[] = new Array<string | undefined>(InteractionTable.CAPACITY).fill(undefined);
  readonly #view = new DataView(this.idBytes.buffer, this.idBytes.byteOffset, this.idBytes.length);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The slot of a new interaction, or −1 when all are taken. The id must have passed checkInteractionId. */
  add(id: string): number {
    const slot = this.#ids.indexOf(undefined);
    if (slot < 0) return EMPTY;
    this.#ids[slot] = id;
    const start = slot * LIMITS.maxNameBytes;
    this.idLengths[slot] = this.idBytes.write(id, start, LIMITS.maxNameBytes, 'latin1');
    this.stream[slot] = EMPTY;
    this.flowing[slot] = 0;
    this.#place(slot);
    this.#size++;
    return slot;
  }

  remove(slot: number): void {
    if (this.#ids[slot] === undefined) return;
    this.#ids[slot] = undefined;
    this.stream[slot] = EMPTY;
    this.flowing[slot] = 0;
    this.#size--;
    // A hole would cut the chains that run over it; building anew is rare and short.
    this.buckets.fill(EMPTY);
    for (let other = 0; other < InteractionTable.CAPACITY; other++) {
      if (this.#ids[other] !== undefined) this.#place(other);
    }
  }

  id(slot: number): string {
    return this.#ids[slot] ?? '';
  }

  slotOf(id: string): number {
    return this.#ids.indexOf(id);
  }

  /** The slot of the id whose bytes lie at `start` of `view`, or −1. */
  find(view: DataView, start: number, length: number): number {
    let bucket = hash(view, start, length);
    for (;;) {
      const slot = this.buckets[bucket] as number;
      if (slot < 0) return EMPTY;
      if (this.idLengths[slot] === length && this.#equals(slot, view, start, length)) return slot;
      bucket = (bucket + 1) & (BUCKETS - 1);
    }
  }

  #place(slot: number): void {
    let bucket = hash(this.#view, slot * LIMITS.maxNameBytes, this.idLengths[slot] as number);
    while ((this.buckets[bucket] as number) >= 0) bucket = (bucket + 1) & (BUCKETS - 1);
    this.buckets[bucket] = slot;
  }

  #equals(slot: number, view: DataView, start: number, length: number): boolean {
    const mine = slot * LIMITS.maxNameBytes;
    let i = 0;
    for (; i + 4 <= length; i += 4) {
      if (view.getInt32(start + i) !== this.#view.getInt32(mine + i)) return false;
    }
    for (; i < length; i++) {
      if (view.getUint8(start + i) !== this.#view.getUint8(mine + i)) return false;
    }
    return true;
  }
}

// The ends of an id differ the most: a UUID is random all through, made-up ids count upwards in their last digits.
// Somebody who aims for collisions gains little, as a table never holds more than one connection's interactions.
function hash(view: DataView, start: number, length: number): number {
  let mixed = length;
  if (length >= 4) {
    mixed = Math.imul(view.getInt32(start + length - 4), 0x9e3779b1) ^ Math.imul(view.getInt32(start), 0x85ebca6b);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x2c1b3c6d);
  } else {
    for (let i = 0; i < length; i++) mixed = Math.imul(mixed ^ view.getUint8(start + i), 0x9e3779b1);
  }
  return mixed >>> 25;
}
