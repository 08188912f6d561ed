import type { PacketRing } from './packet-ring.js';

const NONE = -1;

/**
 * The held packets of each channel in the order in which they are released: by epoch, then by sequence number.
 *
 * Doubly linked lists through the descriptors, searched from the back: a packet in order costs one comparison, one out
 * of order as many as packets overtook it (never more than HISTORY_PACKETS of number-history.ts). Compared with an array of
 * slots by sequence number, lists need no slots for missing packets and never grow, and the packets of a restarted
 * numbering simply follow those of the old one.
 */
export class ChannelOrder {
  readonly #packets: PacketRing;
  readonly #first: Int32Array;
  readonly #last: Int32Array;
  /** Of the packets that the one inserted last was placed before: the arrival of the first; infinity without any. */
  overtakenUs = Number.POSITIVE_INFINITY;

  constructor(channels: number, packets: PacketRing) {
    this.#packets = packets;
    this.#first = new Int32Array(channels).fill(NONE);
    this.#last = new Int32Array(channels).fill(NONE);
  }

  /** The packet to release first, or −1. */
  first(channel: number): number {
    return this.#first[channel] as number;
  }

  /** The packet to release last, or −1. */
  last(channel: number): number {
    return this.#last[channel] as number;
  }

  /** Inserts a packet of the channel's latest epoch. Returns the packet that follows it in the order, or −1. */
  insert(channel: number, d: number, epoch: number): number {
    const packets = this.#packets;
    const sequence = packets.sequence[d] as number;
    let before = this.#last[channel] as number;
    let after = NONE;
    let overtakenUs = Number.POSITIVE_INFINITY;
    while (before !== NONE && packets.epoch[before] === epoch && (packets.sequence[before] as number) > sequence) {
      if ((packets.arrivalUs[before] as number) < overtakenUs) overtakenUs = packets.arrivalUs[before] as number;
      after = before;
      before = packets.previous[before] as number;
    }
    this.overtakenUs = overtakenUs;
    packets.epoch[d] = epoch;
    packets.previous[d] = before;
    packets.next[d] = after;
    if (before === NONE) this.#first[channel] = d;
    else packets.next[before] = d;
    if (after === NONE) this.#last[channel] = d;
    else packets.previous[after] = d;
    return after;
  }

  /** Removes the first packet. */
  shift(channel: number): void {
    const next = this.#packets.next[this.#first[channel] as number] as number;
    this.#first[channel] = next;
    if (next === NONE) this.#last[channel] = NONE;
    else this.#packets.previous[next] = NONE;
  }

  clear(channel: number): void {
    this.#first[channel] = NONE;
    this.#last[channel] = NONE;
  }
}
