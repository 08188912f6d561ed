/** Which hold a packet is under; the index of its cursor. */
export const KIND = { FREE: 0, NORMAL: 1, LONGER: 2, CANDIDATE: 3 } as const;
export type PacketDelayKind = 1 | 2 | 3;

/**
 * The packets that a jitter buffer holds: descriptors in columns, used as a ring in the order of insertion.
 *
 * There are only three lengths of hold, and packets under the same one fall due in the order in which they came. So a
 * cursor for each hold, which steps over what is not its own, finds the next due packet without a timer, a heap or a
 * search, and the ring's head is the oldest packet, up to which payload memory is free.
 *
 * Everything else in this room speaks of a packet by its descriptor's index: an integer can be passed from function
 * to function for nothing, whereas a double (a time, an unwrapped number) costs an allocation whenever the compiler
 * has not inlined the call.
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
  /** Which numbering of the channel the packet belongs to. */
  readonly epoch: Int32Array;
  /** 1: in time only because the hold is wide. */
  readonly recovered: Uint8Array;
  /** Links of the lists that the jitter buffer makes. */
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
    // One more than the ring has: the place of a packet that comes when the ring is full, and is counted all the same.
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
    this.next = new Int32Array(places);
    this.previous = new Int32Array(places);
  }

  /** The descriptor for the packet at hand. It is only held after keep(); until then, the next packet gets the same. */
  incoming(): number {
    return ((this.#tail - this.#head) | 0) > this.#mask ? this.#mask + 1 : this.#tail & this.#mask;
  }

  /** Holds the packet in incoming(). False when the ring is full. */
  keep(kind: PacketDelayKind): boolean {
    if (((this.#tail - this.#head) | 0) > this.#mask) return false;
    this.kind[this.#tail & this.#mask] = kind;
    this.#tail = (this.#tail + 1) | 0;
    return true;
  }

  /** The next descriptor of a kind, which its cursor then stands on, or −1. */
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

  /** Gives back the descriptors that are free at the ring's head. No cursor may stay behind it. */
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
