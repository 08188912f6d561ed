import { Buffer } from 'node:buffer';
import { TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';

const BUCKETS = 128;
const EMPTY = -1;

// Printable ASCII without quote, backslash and space: such an id stands in JSON exactly as it is, so its bytes on the
// wire can be compared with the bytes here, and it can stand in a file name or a URL once encoded.
const PLAIN_ID = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The key of an interaction: the platform's ids are UUIDs and mean the same in upper and lower case (RFC 9562). */
export function idKey(id: string): string {
  return UUID.test(id) ? id.toLowerCase() : id;
}

/** @throws TrunklineError CONFIG_INVALID for what cannot be an interaction id. */
export function checkInteractionId(id: string): void {
  if (PLAIN_ID.test(id) && id.length <= LIMITS.maxNameBytes) return;
  throw new TrunklineError(
    'CONFIG_INVALID',
    `An interaction id has 1 to ${LIMITS.maxNameBytes} printable ASCII characters without quotes; check TARGET_INTERACTIONS, or their file.`,
  );
}

/** A packet that the packet path cannot decide about by the table alone. */
export interface UndecidedPacket {
  /** A CodecId, or −1 when the packet does not say. */
  readonly codec: number;
  /** 0 or 1, or −1 when the packet does not say. */
  readonly channel: number;
  /** As on the wire. */
  readonly sequence: number;
  /** As on the wire. */
  readonly timestamp: number;
  readonly arrivalUs: number;
  /** Decoded from base64; valid during the call. */
  readonly payload: Buffer;
}

/** Whose row it is: decides about the packets that the row does not settle. */
export interface RowOwner {
  readonly id: string;
  /** True when the packet can go to the engine by what the row says after the call. */
  takePacket(packet: UndecidedPacket): boolean;
}

/** What the packet path knows of an interaction. */
export interface Row {
  /** The engine's stream, −1 before one is open. */
  readonly stream: number;
  /** CodecId of the open stream. */
  readonly codec: number;
  readonly channels: number;
  /** Packets of this codec and of these channels go to the engine without asking the owner. */
  readonly flowing: boolean;
}

/**
 * The interactions of one connection, as the packet path sees them: found by the bytes of their id as they stand in a
 * message, so that no string is made per packet (open addressing). An interaction keeps its slot while it is on the
 * connection. The columns are a projection of its state (interaction/interaction.ts), which alone writes them, with
 * `set`.
 */
export class InteractionTable {
  static readonly CAPACITY = LIMITS.interactionsPerConnection;

  /** Engine stream of each slot, −1 before one is open. */
  readonly stream = new Int32Array(InteractionTable.CAPACITY).fill(EMPTY);
  readonly channels = new Uint8Array(InteractionTable.CAPACITY);
  /** CodecId of the open stream. */
  readonly codec = new Uint8Array(InteractionTable.CAPACITY);
  /** 1 while packets go to the engine by codec and channels alone; otherwise the owner decides about each. */
  readonly flowing = new Uint8Array(InteractionTable.CAPACITY);

  // The table, for readers that look into it by themselves (native/dsp/src/media.rs).
  /** The bytes of each slot's id, LIMITS.maxNameBytes apart. */
  readonly idBytes = Buffer.alloc(InteractionTable.CAPACITY * LIMITS.maxNameBytes);
  readonly idLengths = new Uint8Array(InteractionTable.CAPACITY);
  /** Where find() looks: a slot, or −1, from the id's hash on. */
  readonly buckets = new Int16Array(BUCKETS).fill(EMPTY);

  readonly #owners: (RowOwner | undefined)[] = new Array<RowOwner | undefined>(InteractionTable.CAPACITY).fill(
    undefined,
  );
  /** By slot, idKey of the owner's id. */
  readonly #ids: (string | undefined)[] = new Array<string | undefined>(InteractionTable.CAPACITY).fill(undefined);
  readonly #view = new DataView(this.idBytes.buffer, this.idBytes.byteOffset, this.idBytes.length);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The slot of a new interaction, or −1 when all are taken. Its id must have passed checkInteractionId. */
  add(owner: RowOwner): number {
    const slot = this.#ids.indexOf(undefined);
    if (slot < 0) return EMPTY;
    this.#owners[slot] = owner;
    this.#ids[slot] = idKey(owner.id);
    this.#spell(slot, owner.id);
    this.stream[slot] = EMPTY;
    this.flowing[slot] = 0;
    this.#place(slot);
    this.#size++;
    return slot;
  }

  remove(slot: number): void {
    if (this.#ids[slot] === undefined) return;
    this.#ids[slot] = undefined;
    this.#owners[slot] = undefined;
    this.stream[slot] = EMPTY;
    this.flowing[slot] = 0;
    this.#size--;
    this.#rebuild();
  }

  set(slot: number, row: Row): void {
    this.stream[slot] = row.stream;
    this.codec[slot] = row.codec;
    this.channels[slot] = row.channels;
    this.flowing[slot] = row.flowing ? 1 : 0;
  }

  owner(slot: number): RowOwner | undefined {
    return this.#owners[slot];
  }

  /** As it was asked for; empty for a free slot. */
  id(slot: number): string {
    return this.#owners[slot]?.id ?? '';
  }

  /**
   * The slot of the interaction that a message of the server names so, or −1. A server may write a UUID in another case
   * than it was asked for: from then on `find` knows it by the server's spelling.
   */
  slotOf(id: string): number {
    const slot = this.#ids.indexOf(idKey(id));
    if (slot >= 0 && this.#spelling(slot) !== id) {
      this.#spell(slot, id);
      this.#rebuild();
    }
    return slot;
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

  #spelling(slot: number): string {
    const start = slot * LIMITS.maxNameBytes;
    return this.idBytes.toString('latin1', start, start + (this.idLengths[slot] as number));
  }

  #spell(slot: number, id: string): void {
    const start = slot * LIMITS.maxNameBytes;
    this.idLengths[slot] = this.idBytes.write(id, start, LIMITS.maxNameBytes, 'latin1');
  }

  /** Removing one entry would cut the chains that run over it; rebuilding is rare and short. */
  #rebuild(): void {
    this.buckets.fill(EMPTY);
    for (let slot = 0; slot < InteractionTable.CAPACITY; slot++) {
      if (this.#ids[slot] !== undefined) this.#place(slot);
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
// An attacker who aims for collisions gains little: a table has at most one connection's interactions.
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
