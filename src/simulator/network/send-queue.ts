import type { Socket } from 'node:net';
import type { ChannelLedger } from '../genesys/ledger.js';

/** One packet, as it stands in the ledger. */
interface Entry {
  readonly ledger: ChannelLedger;
  readonly index: number;
  readonly sequence: number;
  readonly payload: string;
  readonly mark: number;
}

const MAX_HEADER_BYTES = 10;
const FINAL_TEXT = 0x81;
const LENGTH_IN_2_BYTES = 126;
const LENGTH_IN_8_BYTES = 127;

/** Messages that are written together. */
interface Batch {
  readonly buffer: Buffer;
  readonly entries: readonly Entry[];
}

/**
 * Writes text messages to one WebSocket, as many as there are at a time: thousands of small messages a second cost a
 * tenth of what they do one by one. Frames are RFC 6455 5.2, final, unmasked; ws itself reads the connection and
 * writes control frames, which may stand between any two of these.
 *
 * Packets are entered in the ledger when they are pushed. Those that the operating system has not taken when the
 * connection ends are taken back. At most one batch is under way at a time, so that this is known of all but one.
 */
export class SendQueue {
  readonly #socket: Socket;
  readonly #texts: string[] = [];
  #entries: Entry[] = [];
  #bytes = 0;
  /** Not yet taken by the operating system; the first is under way. */
  readonly #queue: Batch[] = [];
  #queuedBytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes that the other side's slowness keeps here. */
  get backlogBytes(): number {
    return this.#queuedBytes;
  }

  /** Adds a message that is not a packet. ASCII or not. */
  pushMessage(text: string): void {
    this.#texts.push(text);
    this.#bytes += Buffer.byteLength(text) + MAX_HEADER_BYTES;
  }

  /** Adds a packet and enters it in the ledger. `text` must be ASCII. */
  pushPacket(
    text: string,
    ledger: ChannelLedger,
    index: number,
    sequence: number,
    timestamp: number,
    payload: string,
  ): void {
    this.#texts.push(text);
    this.#bytes += text.length + MAX_HEADER_BYTES;
    const mark = ledger.record(index, sequence, timestamp, payload);
    this.#entries.push({ ledger, index, sequence, payload, mark });
  }

  /** Writes what was pushed. */
  flush(): void {
    const count = this.#texts.length;
    if (count === 0) return;
    const buffer = Buffer.allocUnsafe(this.#bytes);
    let at = 0;
    for (const text of this.#texts) at = writeFrame(buffer, at, text);
    const batch: Batch = { buffer: buffer.subarray(0, at), entries: this.#entries };
    this.#texts.length = 0;
    this.#bytes = 0;
    this.#entries = [];
    this.#queue.push(batch);
    this.#queuedBytes += at;
    if (this.#queue.length === 1) this.#drain();
  }

  #drain(): void {
    for (let batch = this.#queue[0]; batch !== undefined && this.#socket.writable; batch = this.#queue[0]) {
      this.#write(batch);
      // The callback comes later even when the operating system has taken everything at once.
      if (this.#socket.writableLength > 0) return;
      this.#taken(batch);
    }
  }

  #write(batch: Batch): void {
    this.#socket.write(batch.buffer, (error) => {
      // Node reports a write that was cancelled by the end of the connection as done.
      if (error || this.#socket.destroyed || this.#queue[0] !== batch) return;
      this.#taken(batch);
      this.#drain();
    });
  }

  #taken(batch: Batch): void {
    this.#queue.shift();
    this.#queuedBytes -= batch.buffer.length;
  }

  /** Once the connection is closed: takes back what never left. Of a batch that had left in part, all of it. */
  takeBackUnsent(): void {
    const unsent = [...this.#queue.flatMap(({ entries }) => entries), ...this.#entries];
    for (const { ledger, index, sequence, payload, mark } of unsent.reverse()) {
      ledger.undo(index, sequence, payload, mark);
    }
    this.#queue.length = 0;
    this.#entries = [];
  }
}

function writeFrame(buffer: Buffer, at: number, text: string): number {
  const length = Buffer.byteLength(text);
  let next = at;
  buffer[next++] = FINAL_TEXT;
  if (length < LENGTH_IN_2_BYTES) {
    buffer[next++] = length;
  } else if (length < 65_536) {
    buffer[next++] = LENGTH_IN_2_BYTES;
    next = buffer.writeUInt16BE(length, next);
  } else {
    buffer[next++] = LENGTH_IN_8_BYTES;
    next = buffer.writeBigUInt64BE(BigInt(length), next);
  }
  return next + buffer.write(text, next);
}
