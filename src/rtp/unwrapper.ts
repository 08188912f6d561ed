import { CHANNEL_FIELDS } from './channel-state.js';

/** Of an unwrapper, from its first field on. NEWEST: unwrapped value of the newest packet; OFFSET: less its wire form. */
const MODULUS = 0;
const NEWEST = 1;
const OFFSET = 2;

/** Sequence numbers of RTP (RFC 3550 5.1). */
export const MODULUS_16 = 2 ** 16;
/** RTP timestamps (RFC 3550 5.1), and the sequence numbers of some senders. */
export const MODULUS_32 = 2 ** 32;

/**
 * Extends wrapping numbers of each channel to numbers that keep growing, by taking the value nearest to the newest one:
 * after 65535 the wire form 2 becomes 65538 (RFC 3550 A.1, `extended sequence number`).
 *
 * A sender does not say at which modulus its numbers wrap. Each channel therefore begins with the smallest possible one
 * and takes a larger one when a number shows it: numbers beyond 65535 have more than 16 bits, numbers beyond 2^32 − 1
 * never wrap. Until then both readings agree, because the unwrapped value begins as the number on the wire.
 *
 * unwrap() changes nothing. accept() is called only for packets that turn out to belong to the channel, so a single
 * corrupt number can neither move the reference nor change the modulus.
 */
export class Unwrapper {
  readonly #smallest: number;
  readonly #states: Float64Array;
  readonly #first: number;

  /** @param first the field of its modulus in `states`, before those of the newest number and the offset. */
  constructor(smallestModulus: typeof MODULUS_16 | typeof MODULUS_32, states: Float64Array, first: number) {
    this.#smallest = smallestModulus;
    this.#states = states;
    this.#first = first;
  }

  /** A new sender: unwrap() returns numbers unchanged until one is accepted. */
  open(channel: number): void {
    const at = channel * CHANNEL_FIELDS + this.#first;
    this.#states[at + MODULUS] = this.#smallest;
    this.#states[at + NEWEST] = Number.NaN;
    this.#states[at + OFFSET] = 0;
  }

  /** The value nearest to the newest one that has this wire form. May be negative for packets before the first one. */
  unwrap(channel: number, wire: number): number {
    const at = channel * CHANNEL_FIELDS + this.#first;
    const modulus = this.#states[at + MODULUS] as number;
    if (wire >= modulus) return this.#unwrapLarger(channel, wire);
    const newest = this.#states[at + NEWEST] as number;
    const value = wire + (this.#states[at + OFFSET] as number);
    const half = modulus / 2;
    if (value - newest > half) return value - modulus;
    if (newest - value > half) return value + modulus;
    return value;
  }

  /** Makes `value`, which unwrap() returned for `wire`, the newest one. */
  accept(channel: number, wire: number, value: number): void {
    const at = channel * CHANNEL_FIELDS + this.#first;
    if (wire >= (this.#states[at + MODULUS] as number)) this.#states[at + MODULUS] = modulusFor(wire);
    this.#states[at + NEWEST] = value;
    this.#states[at + OFFSET] = value - wire;
  }

  /** Restarts at `wire`: the first packet, or a sender that has restarted. The modulus stays. */
  restart(channel: number, wire: number): number {
    this.accept(channel, wire, wire);
    return wire;
  }

  /** The newest number as it was on the wire. */
  newestWire(channel: number): number {
    const at = channel * CHANNEL_FIELDS + this.#first;
    return (this.#states[at + NEWEST] as number) - (this.#states[at + OFFSET] as number);
  }

  /** The shortest distance from one wire form to another: positive when `to` is newer. */
  distance(channel: number, from: number, to: number): number {
    const at = channel * CHANNEL_FIELDS + this.#first;
    const modulus = Math.max(this.#states[at + MODULUS] as number, modulusFor(Math.max(from, to)));
    const way = to - from;
    if (way > modulus / 2) return way - modulus;
    if (-way > modulus / 2) return way + modulus;
    return way;
  }

  // The number shows that the modulus is larger than assumed so far.
  #unwrapLarger(channel: number, wire: number): number {
    const at = channel * CHANNEL_FIELDS + this.#first;
    const modulus = modulusFor(wire);
    if (modulus === Number.POSITIVE_INFINITY) return wire;
    const cycles = Math.round(((this.#states[at + NEWEST] as number) - wire) / modulus);
    return Number.isNaN(cycles) ? wire : wire + cycles * modulus;
  }
}

function modulusFor(wire: number): number {
  if (wire < MODULUS_16) return MODULUS_16;
  return wire < MODULUS_32 ? MODULUS_32 : Number.POSITIVE_INFINITY;
}
