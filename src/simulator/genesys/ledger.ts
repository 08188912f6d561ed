/**
 * Exact accounts of what was sent. They are kept from what was truly handed to the network and in which order, never
 * from what was planned.
 */

/** One packet as it went out. */
export interface SentPacket {
  readonly channel: number;
  readonly sequence: number;
  readonly timestamp: number;
  /** Base64. */
  readonly payload: string;
}

/** The ledger of one interaction, its channels added up. */
export interface InteractionLedger {
  readonly codec: string;
  readonly clockRate: number;
  readonly sampleRate: number;
  readonly channels: number;
  readonly state: 'waiting' | 'live' | 'ended';
  readonly endReason: string | null;
  /** Numbered packets due, whether sent or not. */
  readonly packets: number;
  /**
   * Those of them that a receiver can know to be due: from the first to the last one sent, of each numbering. Received
   * and lost add up to this.
   */
  readonly knowable: number;
  /** Distinct ones sent. */
  readonly sent: number;
  /** packets − sent, for any reason. */
  readonly withheld: number;
  /** Copies sent beyond the first. */
  readonly duplicated: number;
  /** Packets whose first sending came after that of a later-numbered one. */
  readonly reordered: number;
  /** Payload bytes of the distinct packets sent. */
  readonly payloadBytes: number;
}

export interface Ledger {
  readonly interactions: Record<string, InteractionLedger>;
}

const COPY = -3;
const LATER_ONE_WENT_FIRST = -2;

/** The account of one channel. Packets go by their index: how many places they are from the first, never wrapping. */
export class ChannelLedger {
  readonly channel: number;
  sent = 0;
  duplicated = 0;
  reordered = 0;
  payloadBytes = 0;
  /** Highest index sent; −1: none. */
  highest = -1;
  readonly #log: SentPacket[] | undefined;
  /** Index at which each numbering began. */
  readonly #epochs = [0];
  #sentBits = new Uint8Array(64);

  /** With a `log`, every packet sent is added to it, copies as well. */
  constructor(channel: number, log?: SentPacket[]) {
    this.channel = channel;
    this.#log = log;
  }

  /** Enters one packet. Returns a mark with which undo() takes it back. */
  record(index: number, sequence: number, timestamp: number, payload: string): number {
    this.#log?.push({ channel: this.channel, sequence, timestamp, payload });
    const before = this.highest;
    if (!this.#setBit(index)) {
      this.duplicated++;
      return COPY;
    }
    this.sent++;
    this.payloadBytes += decodedBytes(payload);
    if (index < before) {
      this.reordered++;
      return LATER_ONE_WENT_FIRST;
    }
    this.highest = index;
    return before;
  }

  /** Takes back a packet that never reached the network. The last one entered has to be taken back first. */
  undo(index: number, sequence: number, payload: string, mark: number): void {
    if (this.#log !== undefined) {
      const at = this.#log.findLastIndex((p) => p.channel === this.channel && p.sequence === sequence);
      if (at >= 0) this.#log.splice(at, 1);
    }
    if (mark === COPY) {
      this.duplicated--;
      return;
    }
    this.sent--;
    this.payloadBytes -= decodedBytes(payload);
    this.#clearBit(index);
    if (mark === LATER_ONE_WENT_FIRST) this.reordered--;
    else if (this.highest === index) this.highest = mark;
  }

  /** From `index` on, packets have new numbers. */
  beginEpoch(index: number): void {
    if ((this.#epochs.at(-1) as number) < index) this.#epochs.push(index);
  }

  /** Packets from the first to the last one sent, of each numbering. */
  due(): number {
    let due = 0;
    this.#epochs.forEach((begin, epoch) => {
      let first = begin;
      let last = Math.min(this.highest, (this.#epochs[epoch + 1] ?? Infinity) - 1);
      while (first <= last && !this.#hasBit(first)) first++;
      while (last >= first && !this.#hasBit(last)) last--;
      due += last - first + 1;
    });
    return due;
  }

  /** False when it was set before. */
  #setBit(index: number): boolean {
    const at = index >> 3;
    if (at >= this.#sentBits.length) {
      const grown = new Uint8Array(Math.max(at + 1, this.#sentBits.length * 2));
      grown.set(this.#sentBits);
      this.#sentBits = grown;
    }
    const byte = this.#sentBits[at] as number;
    const bit = 1 << (index & 7);
    this.#sentBits[at] = byte | bit;
    return (byte & bit) === 0;
  }

  #hasBit(index: number): boolean {
    return ((this.#sentBits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  #clearBit(index: number): void {
    const at = index >> 3;
    this.#sentBits[at] = (this.#sentBits[at] as number) & ~(1 << (index & 7));
  }
}

function decodedBytes(base64: string): number {
  const length = base64.length;
  if (base64.endsWith('==')) return (length >> 2) * 3 - 2;
  return (length >> 2) * 3 - (base64.endsWith('=') ? 1 : 0);
}
