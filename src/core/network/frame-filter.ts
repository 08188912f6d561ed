import { Buffer } from 'node:buffer';

// RFC 6455 section 5.2.
const FIN = 0x80;
const RESERVED = 0x70;
const OPCODE = 0x0f;
const MASK = 0x80;
const LENGTH = 0x7f;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MASK_BYTES = 4;
/** Longest header: of a masked frame with a length of 64 bits. */
const MOST_HEADER = 10 + MASK_BYTES;
const CONTINUATION = 0;
const BINARY = 2;
const PING = 9;
const PONG = 10;

/** First bytes of whole, unfragmented messages. */
export const WHOLE_MESSAGE = { TEXT: FIN | 1, BINARY: FIN | BINARY } as const;

/** The frames that a FrameFilter may take. */
export interface TakenFrames {
  /** Their first byte: of one kind of whole message. */
  readonly head: (typeof WHOLE_MESSAGE)[keyof typeof WHOLE_MESSAGE];
  /** The peer is a client, which masks what it sends; a server does not. */
  readonly masked: boolean;
  /**
   * Longest frame, header included, that is assembled here when a read ends within it; none that ws would refuse as too
   * long.
   */
  readonly mostCarried: number;
}

/**
 * Takes frames with data out of the bytes of a WebSocket connection before `ws` sees them. Everything else goes to ws byte
 * for byte and in order: the handshake, control frames, other messages, fragments, and violations of the protocol.
 *
 * The frames that ws does not see are whole unfragmented messages, which change nothing in its state. Extensions are not
 * negotiated, so that a reserved bit is a violation.
 */
export abstract class FrameFilter {
  readonly #head: number;
  readonly #mask: number;
  readonly #mostCarried: number;
  #isOpen = false;
  /** Bytes still to come of a frame that ws has begun to get. */
  #passing = 0;
  /** ws is receiving a fragmented message, and other frames may come between its fragments. */
  #isFragmented = false;
  /** ws may have found what it got in this read too long, and tells only after it. */
  #isDoubtful = false;
  #mayTake = true;
  /** What read() will return. */
  #goesOn = true;
  /** Beginning of a frame whose rest has not come yet. */
  #carry = Buffer.alloc(0);
  #carried = 0;

  constructor({ head, masked, mostCarried }: TakenFrames) {
    this.#head = head;
    this.#mask = masked ? MASK : 0;
    this.#mostCarried = mostCarried;
  }

  /**
   * Takes frames from `from`, where one begins, up to `to` at most. Returns where it stopped: at `to`, or before a frame
   * that is not whole or must go to ws.
   */
  protected abstract takeFrames(bytes: Buffer, from: number, to: number): number;

  /**
   * Gives bytes to ws, at least one. They are valid until this returns, and those of a read for as long as that.
   * @param isRead They lie in the bytes that read() was called with. Returns false to stop reading.
   */
  protected abstract pass(bytes: Buffer, from: number, to: number, isRead: boolean): boolean;

  /** The handshake is done: the next byte that is read begins a frame. */
  protected start(): void {
    this.#isOpen = true;
  }

  /** From now on, everything goes to ws. To be called when ws reports an error. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const carried = this.#carried;
    this.#carried = 0;
    if (carried > 0) this.pass(this.#carry, 0, carried, false);
  }

  /** Whether the frame at `at`, of which two bytes are there, is of the form to take. */
  protected takesForm(bytes: Buffer, at: number): boolean {
    return bytes[at] === this.#head && ((bytes[at + 1] as number) & MASK) === this.#mask;
  }

  /**
   * Takes the first `length` bytes, which a socket has read; without `mayTake`, all go to ws. Returns false to stop
   * reading, as Socket expects it.
   */
  protected read(bytes: Buffer, length: number, mayTake = true): boolean {
    if (length === 0) return true;
    if (!this.#isOpen) return this.pass(bytes, 0, length, true);
    this.#mayTake = mayTake;
    this.#isDoubtful = this.#passing > 0;
    this.#goesOn = true;
    const from = this.#carried > 0 ? this.#complete(bytes, length) : 0;
    const at = Math.min(length, from + this.#passing);
    this.#passing -= at - from;
    this.#walk(bytes, from, at, length, true);
    return this.#goesOn;
  }

  /** Processes the bytes from `at`, where a frame begins, up to `to`. Those from `from` on go to ws before. */
  #walk(bytes: Buffer, from: number, at: number, to: number, isRead: boolean): void {
    let passed = from;
    let end = at;
    while (end < to && this.#isOpen) {
      if (this.#mayTake && !this.#isFragmented && !this.#isDoubtful) {
        this.#pass(bytes, passed, end, isRead);
        end = this.takeFrames(bytes, end, to);
        passed = end;
        if (end === to || !this.#isOpen) break;
      }
      const size = frameBytes(bytes, end, to);
      if (size === 0 || (size > to - end && this.#isWaitedFor(bytes, end, size))) {
        this.#pass(bytes, passed, end, isRead);
        this.#keep(bytes, end, to, Math.max(size, MOST_HEADER));
        return;
      }
      this.#note(bytes[end] as number, bytes[end + 1] as number, size);
      // A length of 64 bits can be too large to count exactly: where the bytes of this read end must not depend on it.
      const next = Math.min(to, end + size);
      this.#passing = end + size - next;
      end = next;
    }
    this.#pass(bytes, passed, this.#isOpen ? end : to, isRead);
  }

  #pass(bytes: Buffer, from: number, to: number, isRead: boolean): void {
    if (from < to && !this.pass(bytes, from, to, isRead)) this.#goesOn = false;
  }

  /** Completes the frame that was cut off and processes it. Returns how many bytes of the read that took. */
  #complete(bytes: Buffer, length: number): number {
    let at = 0;
    let size = frameBytes(this.#carry, 0, this.#carried);
    while (size === 0 && at < length) {
      this.#carry[this.#carried++] = bytes[at++] as number;
      size = frameBytes(this.#carry, 0, this.#carried);
    }
    if (size === 0) return at;
    if (this.#isWaitedFor(this.#carry, 0, size)) {
      this.#keep(this.#carry, 0, this.#carried, size);
      const from = at;
      at = Math.min(length, from + size - this.#carried);
      this.#carried += bytes.copy(this.#carry, this.#carried, from, at);
      if (this.#carried < size) return at;
    }
    const carried = this.#carried;
    this.#carried = 0;
    this.#walk(this.#carry, 0, 0, carried, false);
    return at;
  }

  /** Keeps the bytes of a frame that is not whole, in memory for `size`. */
  #keep(bytes: Buffer, from: number, to: number, size: number): void {
    const carry = this.#carry.length < size ? Buffer.allocUnsafeSlow(size) : this.#carry;
    this.#carried = bytes.copy(carry, 0, from, to);
    this.#carry = carry;
  }

  /** Whether a frame that has begun may be one to take. Of any other, ws gets the part that is there. */
  #isWaitedFor(bytes: Buffer, at: number, size: number): boolean {
    return this.takesForm(bytes, at) && !this.#isFragmented && size <= this.#mostCarried;
  }

  /** Notes what a frame that ws gets means for the frames after it. */
  #note(head: number, second: number, size: number): void {
    const opcode = head & OPCODE;
    const isLast = (head & FIN) !== 0;
    const isData = opcode <= BINARY && (opcode === CONTINUATION) === this.#isFragmented;
    // RFC 6455 section 5.5: whole, and of 125 bytes at most.
    const isSignal = (opcode === PING || opcode === PONG) && isLast && (second & LENGTH) < LENGTH_16;
    // After a close frame, or one for which ws will end the connection, nothing counts.
    if ((head & RESERVED) !== 0 || (second & MASK) !== this.#mask || !(isData || isSignal)) this.#isOpen = false;
    else if (isData) {
      this.#isDoubtful ||= opcode === CONTINUATION || !isLast || size > this.#mostCarried;
      this.#isFragmented = !isLast;
    }
  }
}

/** Bytes of the frame whose header begins at `at`, header included; 0 when the header is not whole. */
export function frameBytes(bytes: Buffer, at: number, to: number): number {
  if (to - at < 2) return 0;
  const second = bytes[at + 1] as number;
  const mask = (second & MASK) === 0 ? 0 : MASK_BYTES;
  const length = second & LENGTH;
  if (length < LENGTH_16) return 2 + mask + length;
  if (length < LENGTH_64) return to - at < 4 ? 0 : 4 + mask + bytes.readUInt16BE(at + 2);
  return to - at < 10 ? 0 : 10 + mask + Number(bytes.readBigUInt64BE(at + 2));
}

/** Bytes of that frame's header. */
export function headerBytes(bytes: Buffer, at: number): number {
  const second = bytes[at + 1] as number;
  const mask = (second & MASK) === 0 ? 0 : MASK_BYTES;
  const length = second & LENGTH;
  return mask + (length < LENGTH_16 ? 2 : length < LENGTH_64 ? 4 : 10);
}
