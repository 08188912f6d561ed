import { TrunklineError } from '../core/errors.js';
import { alignRecord, RECORD as FIELDS, KIND as KINDS, RING } from './layout.js';

/** Declared here, for the compiler: an import is looked up at each use. */
const [RECORD, KIND] = [FIELDS, KINDS];

/**
 * Single-producer single-consumer rings of variable-length records over shared memory (layout.ts). Each side is a
 * class of its own, so that a role is a type. Nothing here allocates after construction; callers work with absolute
 * byte offsets into the shared memory, through the views that both classes expose.
 */
export interface RingPlace {
  readonly memory: SharedArrayBuffer;
  /** Absolute byte offset of the ring's header; a multiple of 128. */
  readonly offset: number;
  /** Bytes of the data area; a power of two. */
  readonly capacity: number;
}

abstract class RingSide {
  /** The whole shared memory, for reading and writing record fields (little-endian) at absolute offsets. */
  readonly view: DataView;
  /** The whole shared memory, for copying payloads at absolute offsets. */
  readonly bytes: Uint8Array;
  readonly capacity: number;
  protected readonly words: Int32Array;
  protected readonly tailWord: number;
  protected readonly headWord: number;
  protected readonly dataStart: number;
  protected readonly mask: number;

  constructor(place: RingPlace) {
    if (place.capacity < 1024 || (place.capacity & (place.capacity - 1)) !== 0 || place.offset % 128 !== 0) {
      throw new TrunklineError(
        'CONFIG_INVALID',
        `A ring needs a power of two of at least 1024 bytes at a multiple of 128; got ${place.capacity} at ${place.offset}.`,
      );
    }
    this.view = new DataView(place.memory);
    this.bytes = new Uint8Array(place.memory);
    this.words = new Int32Array(place.memory);
    this.capacity = place.capacity;
    this.mask = place.capacity - 1;
    this.tailWord = (place.offset + RING.TAIL) >> 2;
    this.headWord = (place.offset + RING.HEAD) >> 2;
    this.dataStart = place.offset + RING.DATA;
  }

  /** Bytes that are committed and not yet released. */
  usedBytes(): number {
    return (Atomics.load(this.words, this.tailWord) - Atomics.load(this.words, this.headWord)) >>> 0;
  }
}

/**
 * With this share of the capacity before the batch at hand, all of it taken by the consumer, the ring begins again at
 * its start: most of a capacity that is meant for the worst stall then costs neither memory nor cache. Until the consumer
 * has gone over the padding, a moment later, that share is all the space there is, which is why it is not less.
 */
const EARLY_SHARE = 1 / 4;

/** What a producer keeps to itself, by its index in RingProducer.cursors. */
export const PRODUCER_CURSOR = {
  /** Behind the last record committed. It runs ahead of the shared tail, which only the producer writes, until publish(). */
  TAIL: 0,
  /** Last known head; read again only when the ring looks full. */
  HEAD: 1,
  /** 1 while control records wait for space (link.ts): no data may overtake them. */
  WAITING: 2,
  /** Where the tail may not go beyond at present (engine/input/ring-capacity.ts). */
  LIMIT: 3,
  COUNT: 4,
} as const;

const { TAIL, LIMIT } = PRODUCER_CURSOR;

export class RingProducer extends RingSide {
  /** Read and changed by the native path as well (native/regular-packets.ts), between two calls of this producer. */
  readonly cursors = new Int32Array(PRODUCER_CURSOR.COUNT);
  #published: number;
  readonly #early: number;
  /** The padding that publish() made last, while the consumer has not passed it: its length, and where it ends. */
  #paddingBytes = 0;
  #paddingEnd = 0;

  constructor(place: RingPlace) {
    super(place);
    this.#tail = Atomics.load(this.words, this.tailWord);
    this.#published = this.#tail;
    this.#head = Atomics.load(this.words, this.headWord);
    this.#early = place.capacity * EARLY_SHARE;
  }

  get #tail(): number {
    return this.cursors[PRODUCER_CURSOR.TAIL] as number;
  }

  set #tail(cursor: number) {
    this.cursors[PRODUCER_CURSOR.TAIL] = cursor;
  }

  get #head(): number {
    return this.cursors[PRODUCER_CURSOR.HEAD] as number;
  }

  set #head(cursor: number) {
    this.cursors[PRODUCER_CURSOR.HEAD] = cursor;
  }

  /** The largest record (header and payload) that a claim can ever get. */
  get maxRecordBytes(): number {
    return this.capacity >> 1;
  }

  /**
   * Space for one record of at most `length` bytes (header and payload). Returns its absolute offset, or −1 when the
   * ring is full. Claiming again without commit gives the same space.
   */
  tryClaim(length: number): number {
    const needed = alignRecord(length);
    if (needed > this.maxRecordBytes) return -1;
    const index = this.#tail & this.mask;
    const toEnd = this.capacity - index;
    const total = needed > toEnd ? toEnd + needed : needed;
    if (this.capacity - ((this.#tail - this.#head) >>> 0) < total) {
      this.#head = Atomics.load(this.words, this.headWord);
      if (this.capacity - ((this.#tail - this.#head) >>> 0) < total) return -1;
    }
    if (needed > toEnd) {
      this.#pad(index);
      return this.dataStart;
    }
    return this.dataStart + index;
  }

  /** Fills the ring from `index`, where the next record would begin, to its end. */
  #pad(index: number): void {
    const at = this.dataStart + index;
    const toEnd = this.capacity - index;
    this.view.setInt32(at + RECORD.LENGTH, toEnd, true);
    this.view.setUint8(at + RECORD.KIND, KIND.PAD);
    this.#tail = (this.#tail + toEnd) | 0;
  }

  /** Ends the record that the last claim gave, `length` bytes long; it may be shorter than claimed. Not yet visible. */
  commit(length: number): void {
    const at = this.dataStart + (this.#tail & this.mask);
    this.view.setInt32(at + RECORD.LENGTH, length, true);
    this.#tail = (this.#tail + alignRecord(length)) | 0;
  }

  /** Bytes that can still be committed, as of now. */
  freeBytes(): number {
    this.#head = Atomics.load(this.words, this.headWord);
    return this.capacity - ((this.#tail - this.#head) >>> 0);
  }

  /** Bytes that the ring has for records at present: its capacity without the padding that publish() made ahead of time. */
  usableBytes(): number {
    this.#head = Atomics.load(this.words, this.headWord);
    this.#forgetPassedPadding();
    return this.capacity - this.#paddingBytes;
  }

  #forgetPassedPadding(): void {
    if (((this.#head - this.#paddingEnd) | 0) >= 0) this.#paddingBytes = 0;
  }

  /** From now on, isBelowLimit says whether less than so many more bytes have been committed. */
  limit(bytes: number): void {
    this.cursors[PRODUCER_CURSOR.LIMIT] = (this.#tail + bytes) | 0;
  }

  get isBelowLimit(): boolean {
    const { cursors } = this;
    return (((cursors[LIMIT] as number) - (cursors[TAIL] as number)) | 0) > 0;
  }

  /** Makes every committed record visible to the consumer. True when there was something new. */
  publish(): boolean {
    if (this.#published === this.#tail) return false;
    const before = (this.#tail & this.mask) - ((this.#tail - this.#published) >>> 0);
    if (before >= this.#early) {
      this.#head = Atomics.load(this.words, this.headWord);
      this.#forgetPassedPadding();
      if (this.#head === this.#published) {
        const tail = this.#tail;
        this.#pad(tail & this.mask);
        this.#paddingBytes = (this.#tail - tail) >>> 0;
        this.#paddingEnd = this.#tail;
      }
    }
    Atomics.store(this.words, this.tailWord, this.#tail);
    this.#published = this.#tail;
    return true;
  }
}

/** Takes no part: says how far the consumer has come. */
export class RingGauge extends RingSide {
  /** Where what has been published ends. */
  get tail(): number {
    return Atomics.load(this.words, this.tailWord);
  }

  /** Whether everything before `tail` has been released. */
  hasReached(tail: number): boolean {
    return ((Atomics.load(this.words, this.headWord) - tail) | 0) >= 0;
  }
}

export class RingConsumer extends RingSide {
  #head: number;
  // Last known tail; read again only when everything known has been consumed.
  #tail: number;

  constructor(place: RingPlace) {
    super(place);
    this.#head = Atomics.load(this.words, this.headWord);
    this.#tail = this.#head;
  }

  /** This consumer's cursor, which names the record at hand across a restart. */
  get cursor(): number {
    return this.#head;
  }

  /** Absolute offset of the oldest record, or −1 when there is none. The same until release(). */
  peek(): number {
    for (;;) {
      if (this.#head === this.#tail) {
        this.#tail = Atomics.load(this.words, this.tailWord);
        if (this.#head === this.#tail) return -1;
      }
      const index = this.#head & this.mask;
      const at = this.dataStart + index;
      if (this.view.getUint8(at + RECORD.KIND) !== KIND.PAD) return at;
      // Padding reaches to the end of the ring; what does not is a record with a wrong kind.
      const toEnd = this.capacity - index;
      if (this.view.getInt32(at + RECORD.LENGTH, true) !== toEnd || (this.#tail - this.#head) >>> 0 < toEnd) return at;
      this.#head = (this.#head + toEnd) | 0;
      Atomics.store(this.words, this.headWord, this.#head);
    }
  }

  /**
   * Absolute offset of the end of what is known to be readable in one stretch from the record that peek() showed on:
   * whole records, which stay as they are until they are given back.
   */
  readableEnd(): number {
    const index = this.#head & this.mask;
    return this.dataStart + Math.min(index + ((this.#tail - this.#head) >>> 0), this.capacity);
  }

  /** Whether the length of the record at `at`, which peek() has shown, leaves it within what is readable. */
  isWhole(at: number): boolean {
    const length = this.view.getInt32(at + RECORD.LENGTH, true);
    // What is readable is a multiple of the alignment, so a length that fits also fits when it is aligned.
    return length >= RECORD.INPUT_HEADER_BYTES && length <= this.readableEnd() - at;
  }

  /** Gives everything that is known to be readable back to the producer, without looking at it. */
  skipAll(): void {
    this.#head = this.#tail;
    this.giveBack();
  }

  /** Goes on to the next record. The producer does not know yet. */
  advance(): void {
    const at = this.dataStart + (this.#head & this.mask);
    this.#head = (this.#head + alignRecord(this.view.getInt32(at + RECORD.LENGTH, true))) | 0;
  }

  /** Gives everything up to the record that advance() went over last back to the producer. */
  giveBack(): void {
    Atomics.store(this.words, this.headWord, this.#head);
  }

  /** Gives the record that peek() showed back to the producer. */
  release(): void {
    this.advance();
    this.giveBack();
  }
}
