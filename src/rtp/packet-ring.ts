/** Which delay a packet is held for; the index of its cursor. */
export const KIND = { FREE: 0, NORMAL: 1, LONGER: 2, CANDIDATE: 3 } as const;
export type PacketDelayKind = 1 | 2 | 3;

/**
 * The packets that a jitter buffer holds: descriptors in columns, used as a ring in the order of insertion.
 *
 * There are only three delays (normal, longer, candidate), and packets with the same delay fall due in the order in
 * which they arrived. So one cursor for each delay, which steps over packets of the other kinds, finds the next due
 * packet without a timer, a heap or a search. The head of the ring is the oldest packet; payload memory before it is
 * free.
 *
 * The rest of this folder refers to a packet by the index of its descriptor, `d`: an integer can be passed from
 * function to function without cost, whereas a double (a time, an unwrapped number) is allocated on the heap whenever
 * the compiler has not inlined the call.
 */
export class PacketRing {
  readonly channel: Int32Array;
  readonly kind: Uint8Array;
  readonly flags: Uint8Array;
  readonly payloadOffset: Int32Array;
  readonly payloadLength: Int32Array;
  readonly arrivalUs: Float64Array;
  readonly wireSequence: Float64Array;
  readonly wireTimestamp: Float64Array;
  /** Unwrapped, as is `timestamp`. */
  readonly sequence: Float64Array;
  readonly timestamp: Float64Array;
  /** Which numbering of the channel the packet belongs to: 1 for the first one, 2 after a restart, and so on. */
  readonly epoch: Int32Array;
  /** 1: in time only because of the longer playout delay. */
  readonly recovered: Uint8Array;
  /** How long the sender stood still before this packet, in RTP ticks; else 0. */
  readonly standstillTicks: Float64Array;
  /** Links of the lists that packets are in: the channel's order, or its candidates. */
  readonly next: Int32Array;
  readonly previous: Int32Array;

  readonly #mask: number;
  readonly #playoutDelayUs: Float64Array;
  // Counters modulo 2^32, of which the low bits index the ring; differences are right across the wrap.
  #head = 0;
  #tail = 0;
  readonly #cursor = new Int32Array(4);

  /** @param packets a power of two. @param playoutDelayUs by kind. */
  constructor(packets: number, playoutDelayUs: Float64Array) {
    // One more than the ring has: for a packet that arrives while the ring is full. It is counted but not kept.
    const places = packets + 1;
    this.#mask = packets - 1;
    this.#playoutDelayUs = playoutDelayUs;
    this.channel = new Int32Array(places);
    this.kind = new Uint8Array(places);
    this.flags = new Uint8Array(places);
    this.payloadOffset = new Int32Array(places);
    this.payloadLength = new Int32Array(places);
    this.arrivalUs = new Float64Array(places);
    this.wireSequence = new Float64Array(places);
    this.wireTimestamp = new Float64Array(places);
    this.sequence = new Float64Array(places);
    this.timestamp = new Float64Array(places);
    this.epoch = new Int32Array(places);
    this.recovered = new Uint8Array(places);
    this.standstillTicks = new Float64Array(places);
    this.next = new Int32Array(places);
    this.previous = new Int32Array(places);
  }

  /** The descriptor to fill for a new packet. It is kept only by keep(); until then, the next packet gets the same. */
  incoming(): number {
    return ((this.#tail - this.#head) | 0) > this.#mask ? this.#mask + 1 : this.#tail & this.#mask;
  }

  /** Keeps the packet in incoming(). False when the ring is full. */
  keep(kind: PacketDelayKind): boolean {
    if (((this.#tail - this.#head) | 0) > this.#mask) return false;
    this.kind[this.#tail & this.#mask] = kind;
    this.#tail = (this.#tail + 1) | 0;
    return true;
  }

  /** The next descriptor of a kind, or −1. Its cursor stays on it. */
  nextOf(kind: PacketDelayKind): number {
    let at = this.#cursor[kind] as number;
    while (at !== this.#tail && this.kind[at & this.#mask] !== kind) at = (at + 1) | 0;
    this.#cursor[kind] = at;
    return at === this.#tail ? -1 : at & this.#mask;
  }

  isDue(d: number, kind: PacketDelayKind, nowUs: number): boolean {
    return (this.arrivalUs[d] as number) + (this.#playoutDelayUs[kind] as number) <= nowUs;
  }

  nextDueUs(): number {
    return Math.min(this.#nextDueOf(KIND.NORMAL), this.#nextDueOf(KIND.LONGER), this.#nextDueOf(KIND.CANDIDATE));
  }

  /** The descriptor that has been held longest, or −1. */
  oldest(): number {
    return this.#head === this.#tail ? -1 : this.#head & this.#mask;
  }

  /** Frees a list of packets, linked by `next`; returns how many they were. The ring takes them back at trim(). */
  freeList(first: number): number {
    let count = 0;
    for (let d = first; d !== -1; d = this.next[d] as number) {
      this.kind[d] = KIND.FREE;
      count++;
    }
    return count;
  }

  /** Takes back the free descriptors at the head of the ring. Cursors behind the head move up to it. */
  trim(): void {
    let head = this.#head;
    while (head !== this.#tail && this.kind[head & this.#mask] === KIND.FREE) head = (head + 1) | 0;
    this.#head = head;
    for (let kind = 1; kind < this.#cursor.length; kind++) {
      if ((((this.#cursor[kind] as number) - head) | 0) < 0) this.#cursor[kind] = head;
    }
  }

  #nextDueOf(kind: PacketDelayKind): number {
    const d = this.nextOf(kind);
    return d < 0 ? Number.POSITIVE_INFINITY : (this.arrivalUs[d] as number) + (this.#playoutDelayUs[kind] as number);
  }
}
