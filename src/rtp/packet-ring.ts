import { PacketColumns } from './packet-columns.js';

/** Which delay a packet is held for; the index of its cursor. */
export const KIND = {
  FREE: 0,
  /** The fixed delay. With adaptive delays: after a stall, until it is known whether the sender stood still. */
  NORMAL: 1,
  /** The fixed delay while many packets are lost. */
  LONGER: 2,
  CANDIDATE: 3,
  /** Not at all, since nothing is missing before it. */
  IN_ORDER: 4,
  /** Behind a gap: this and the following ones, one for each class of delay/adaptive-delay.ts. */
  BEHIND_GAP: 5,
} as const;
/** At most so many, FREE included: one bit of a word for each. */
export const MAX_KINDS = 32;

/** How long packets are held, at most, until it is known whether the sender has restarted, or stood still. */
export const CANDIDATE_TIMEOUT_US = 100_000;

/**
 * The packets of a jitter buffer: rows that are used as a ring, in the order of arrival.
 *
 *     head ................ tail ................ filled ................ head + capacity
 *          held, or FREE again    to be inserted          to be filled
 *
 * There are only a few delays, and packets with the same delay fall due in the order in which they arrived. So one cursor
 * for each delay, which steps over packets of the other kinds, finds the next due packet without a timer, a heap or a
 * search. A delay that no packet has at the moment costs nothing. The head of the ring is the oldest packet; payload
 * memory before it is free.
 */
export class PacketRing extends PacketColumns {
  readonly kind: Uint8Array;
  /** 1: in time only because of the longer playout delay. */
  readonly recovered: Uint8Array;
  /** How many numbers before this packet's were never sent, by its timestamp. */
  readonly skipped: Int32Array;
  /** How long the sender stood still before this packet, in RTP ticks; else 0. */
  readonly standstillTicks: Float64Array;
  /** Links of the lists that packets are in: the channel's order, or its candidates. */
  readonly next: Int32Array;
  readonly previous: Int32Array;

  readonly #mask: number;
  readonly #playoutDelayUs: Float64Array;
  // Counters modulo 2^32, of which the low bits index the rows; differences are right across the wrap.
  #head = 0;
  #tail = 0;
  #filled = 0;
  /** The row behind the ring is filled: see freeRow(). */
  #isOverfilled = false;
  readonly #cursor = new Int32Array(MAX_KINDS);
  /** By kind: packets that have it. */
  readonly #count = new Int32Array(MAX_KINDS);
  /** One bit for each kind that packets have. */
  #kinds = 0;

  /** @param packets a power of two. @param playoutDelayUs by kind, FREE included; at most MAX_KINDS. */
  constructor(packets: number, playoutDelayUs: Float64Array) {
    // One row more than the ring has, for a packet that comes when the ring is full and must be counted all the same.
    const rows = packets + 1;
    super(rows);
    this.#mask = packets - 1;
    this.#playoutDelayUs = playoutDelayUs;
    this.kind = new Uint8Array(rows);
    this.recovered = new Uint8Array(rows);
    this.skipped = new Int32Array(rows);
    this.standstillTicks = new Float64Array(rows);
    this.next = new Int32Array(rows);
    this.previous = new Int32Array(rows);
  }

  // ---- filling

  /** The next row to fill. When the ring is full it is the one behind it, which can only be counted. */
  freeRow(): number {
    return this.isFull ? this.#mask + 1 : this.#filled & this.#mask;
  }

  /** How many rows from freeRow() on can be filled in one go; at least 1. */
  freeRows(): number {
    if (this.isFull) return 1;
    const toEnd = this.#mask + 1 - (this.#filled & this.#mask);
    return Math.min(toEnd, this.#mask + 1 - ((this.#filled - this.#head) | 0));
  }

  /** `count` rows from freeRow() on have been filled. */
  fill(count: number): void {
    if (this.isFull) this.#isOverfilled = true;
    else this.#filled = (this.#filled + count) | 0;
  }

  get isFull(): boolean {
    return ((this.#filled - this.#head) | 0) > this.#mask;
  }

  // ---- inserting

  /** The row that was filled first of those not yet inserted, or −1. */
  filledRow(): number {
    if (this.#tail !== this.#filled) return this.#tail & this.#mask;
    return this.#isOverfilled ? this.#mask + 1 : -1;
  }

  /** How many rows from filledRow() on are filled and lie one behind the other; 0 for the one behind the ring. */
  filledRows(): number {
    const index = this.#tail & this.#mask;
    return Math.min((this.#filled - this.#tail) | 0, this.#mask + 1 - index);
  }

  /** The next `count` filled rows were released at once, without having been kept. */
  passOver(count: number): void {
    const isEmpty = this.#head === this.#tail;
    const tail = (this.#tail + count) | 0;
    // When nothing is held, the same few rows are used again and again, and stay in the cache.
    if (isEmpty && tail === this.#filled) {
      this.#filled = this.#tail;
      return;
    }
    this.#tail = tail;
    if (isEmpty) this.#head = tail;
  }

  /** Gives filledRow() a delay. False when the ring is full. */
  keep(d: number, kind: number): boolean {
    if (d > this.#mask) return false;
    this.kind[d] = kind;
    const count = this.#count[kind] as number;
    this.#count[kind] = count + 1;
    if (count === 0) {
      this.#cursor[kind] = this.#tail;
      this.#kinds |= 1 << kind;
    }
    return true;
  }

  /** Goes on to the next filled row. One that was not kept is free again. */
  inserted(d: number): void {
    if (d > this.#mask) this.#isOverfilled = false;
    else if (this.kind[d] !== KIND.FREE) this.#tail = (this.#tail + 1) | 0;
    // The last one that was filled is given back at once; one in between is stepped over.
    else if (((this.#tail + 1) | 0) === this.#filled) this.#filled = this.#tail;
    else this.#tail = (this.#tail + 1) | 0;
  }

  // ---- releasing

  /** The kinds that packets have, as bits. */
  get kinds(): number {
    return this.#kinds;
  }

  /** The next row of a kind, or −1. Its cursor stays on it. */
  nextOf(kind: number): number {
    if (this.#count[kind] === 0) return -1;
    let at = this.#cursor[kind] as number;
    while (at !== this.#tail && this.kind[at & this.#mask] !== kind) at = (at + 1) | 0;
    this.#cursor[kind] = at;
    return at === this.#tail ? -1 : at & this.#mask;
  }

  /** How long packets of a kind are held. */
  delayUs(kind: number): number {
    return this.#playoutDelayUs[kind] as number;
  }

  isDue(d: number, kind: number, nowUs: number): boolean {
    return (this.arrivalUs[d] as number) + (this.#playoutDelayUs[kind] as number) <= nowUs;
  }

  nextDueUs(): number {
    let dueUs = Number.POSITIVE_INFINITY;
    for (let kinds = this.#kinds; kinds !== 0; kinds &= kinds - 1) {
      const kind = lowestKind(kinds);
      const ofKind = (this.arrivalUs[this.nextOf(kind)] as number) + (this.#playoutDelayUs[kind] as number);
      if (ofKind < dueUs) dueUs = ofKind;
    }
    return dueUs;
  }

  /** The row that has been held longest, or −1. */
  oldest(): number {
    return this.#head === this.#tail ? -1 : this.#head & this.#mask;
  }

  /** The earliest arrival of a packet and of those that follow it in the list. */
  earliestArrivalUs(first: number): number {
    let earliestUs = Number.POSITIVE_INFINITY;
    for (let d = first; d !== -1; d = this.next[d] as number) {
      earliestUs = Math.min(earliestUs, this.arrivalUs[d] as number);
    }
    return earliestUs;
  }

  /** Frees a packet. The ring takes its row back at trim(). */
  free(d: number): void {
    const kind = this.kind[d] as number;
    const count = (this.#count[kind] as number) - 1;
    this.#count[kind] = count;
    if (count === 0) this.#kinds &= ~(1 << kind);
    this.kind[d] = KIND.FREE;
  }

  /** Frees a list of packets, linked by `next`; returns how many they were. The ring takes them back at trim(). */
  freeList(first: number): number {
    let count = 0;
    for (let d = first; d !== -1; d = this.next[d] as number) {
      this.free(d);
      count++;
    }
    return count;
  }

  /** Takes back the free rows at the head of the ring. Cursors behind the head move up to it. */
  trim(): void {
    let head = this.#head;
    while (head !== this.#tail && this.kind[head & this.#mask] === KIND.FREE) head = (head + 1) | 0;
    if (head === this.#filled) {
      // When nothing is held, the same few rows are used again and again, and stay in the cache.
      this.#head = 0;
      this.#tail = 0;
      this.#filled = 0;
      return;
    }
    this.#head = head;
    for (let kinds = this.#kinds; kinds !== 0; kinds &= kinds - 1) {
      const kind = lowestKind(kinds);
      if ((((this.#cursor[kind] as number) - head) | 0) < 0) this.#cursor[kind] = head;
    }
  }
}

/** The lowest of some kinds; at least one. */
export function lowestKind(kinds: number): number {
  return 31 - Math.clz32(kinds & -kinds);
}
