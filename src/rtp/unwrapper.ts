/** Sequence numbers of RTP (RFC 3550 5.1). */
export const MODULUS_16 = 2 ** 16;
/** RTP timestamps (RFC 3550 5.1), and the sequence numbers of some senders. */
export const MODULUS_32 = 2 ** 32;

/**
 * Turns wrapping numbers into ones that go on, a channel at a time, by taking the value nearest to the newest one.
 *
 * A sender does not say where its numbers wrap, so each channel begins with the smallest modulus it can have and takes
 * a larger one when a number shows it: beyond 65535 they are not of 16 bits, beyond 2^32 − 1 they never wrap. Until
 * then both readings agree, because the unwrapped value begins as the number on the wire.
 *
 * unwrap() changes nothing; accept() is for the packets that turn out to belong, so that one corrupt number can
 * neither move the reference nor change the modulus.
 */
export class Unwrapper {
  readonly #smallest: number;
  readonly #modulus: Float64Array;
  /** Unwrapped value of the newest packet. */
  readonly #newest: Float64Array;
  /** What the newest value has over its wire form: a multiple of the modulus. */
  readonly #offset: Float64Array;

  constructor(channels: number, smallestModulus: typeof MODULUS_16 | typeof MODULUS_32) {
    this.#smallest = smallestModulus;
    this.#modulus = new Float64Array(channels).fill(smallestModulus);
    this.#newest = new Float64Array(channels).fill(Number.NaN);
    this.#offset = new Float64Array(channels);
  }

  /** A new sender, of whose numbers nothing is known: unwrap() gives them as they are until one is accepted. */
  open(channel: number): void {
    this.#modulus[channel] = this.#smallest;
    this.#newest[channel] = Number.NaN;
    this.#offset[channel] = 0;
  }

  /** The value nearest to the newest one that has this wire form. May be negative just before a channel's beginning. */
  unwrap(channel: number, wire: number): number {
    const modulus = this.#modulus[channel] as number;
    if (wire >= modulus) return this.#unwrapLarger(channel, wire);
    const newest = this.#newest[channel] as number;
    const value = wire + (this.#offset[channel] as number);
    const half = modulus / 2;
    if (value - newest > half) return value - modulus;
    if (newest - value > half) return value + modulus;
    return value;
  }

  /** Makes `value`, as unwrap() gave it for `wire`, the newest one. */
  accept(channel: number, wire: number, value: number): void {
    if (wire >= (this.#modulus[channel] as number)) this.#modulus[channel] = modulusFor(wire);
    this.#newest[channel] = value;
    this.#offset[channel] = value - wire;
  }

  /** Begins anew at `wire`: the first packet, or a sender that has restarted. What is known of the modulus stays. */
  restart(channel: number, wire: number): number {
    this.accept(channel, wire, wire);
    return wire;
  }

  /** The shortest way from one wire form to another: positive when `to` is the newer. */
  distance(channel: number, from: number, to: number): number {
    const modulus = Math.max(this.#modulus[channel] as number, modulusFor(Math.max(from, to)));
    const way = to - from;
    if (way > modulus / 2) return way - modulus;
    if (-way > modulus / 2) return way + modulus;
    return way;
  }

  // The number shows a larger modulus than the channel has had so far.
  #unwrapLarger(channel: number, wire: number): number {
    const modulus = modulusFor(wire);
    if (modulus === Number.POSITIVE_INFINITY) return wire;
    const cycles = Math.round(((this.#newest[channel] as number) - wire) / modulus);
    return Number.isNaN(cycles) ? wire : wire + cycles * modulus;
  }
}

function modulusFor(wire: number): number {
  if (wire < MODULUS_16) return MODULUS_16;
  return wire < MODULUS_32 ? MODULUS_32 : Number.POSITIVE_INFINITY;
}
