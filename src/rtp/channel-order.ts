import type { PacketRing } from './packet-ring.js';

const NONE = -1;

/**
 * The packets of each channel in the order in which they are to go: by epoch, then by sequence number. Doubly linked
 * lists through the descriptors, entered from the back: a packet in order costs one look, one out of order as many as
 * packets overtook it (never more than the history of reception.ts). Against a ring of slots by sequence number this
 * needs no room for packets that are not there and no growing, and a restarted numbering simply follows behind the
 * old one.
 */
export class ChannelOrder {
  readonly #packets: PacketRing;
  readonly #first: Int32Array;
  readonly #last: Int32Array;

  constructor(channels: number, packets: PacketRing) {
    this.#packets = packets;
    this.#first = new Int32Array(channels).fill(NONE);
    this.#last = new Int32Array(channels).fill(NONE);
  }

  /** The packet that goes first, or −1. */
  first(channel: number): number {
    return this.#first[channel] as number;
  }

  /** The packet that goes last, or −1. */
  last(channel: number): number {
    return this.#last[channel] as number;
  }

  /** Puts a packet of the channel's latest epoch in its place. Returns the packet that follows it there, or −1. */
  enter(channel: number, d: number, epoch: number): number {
    const packets = this.#packets;
    const sequence = packets.sequence[d] as number;
    let before = this.#last[channel] as number;
    let after = NONE;
    while (before !== NONE && packets.epoch[before] === epoch && (packets.sequence[before] as number) > sequence) {
      after = before;
      before = packets.previous[before] as number;
    }
    packets.epoch[d] = epoch;
    packets.previous[d] = before;
    packets.next[d] = after;
    if (before === NONE) this.#first[channel] = d;
    else packets.next[before] = d;
    if (after === NONE) this.#last[channel] = d;
    else packets.previous[after] = d;
    return after;
  }

  /** Takes the first packet out. */
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
