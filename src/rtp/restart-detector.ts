import type { PacketRing } from './packet-ring.js';
import { MAX_MISORDER, type Reception } from './reception.js';
import type { Unwrapper } from './unwrapper.js';

/** How long an unconfirmed restart is held, at most. */
export const CANDIDATE_TIMEOUT_US = 100_000;
/** So many packets around one number are a restart, even if no two of them are consecutive. */
const MAX_CANDIDATES = 8;
/** In place of an epoch: the packet is a candidate for a restart. */
export const CANDIDATE = -1;

const NONE = -1;

/** What a number out of all order does to the candidates of its channel. */
export const CLASSIFICATION = {
  /** It is the next candidate, to be added. */
  WAIT: 0,
  /** It is there already. */
  DUPLICATE: 1,
  /** With it, the candidates are a restart. */
  CONFIRMED: 2,
  /** As WAIT, but the candidates before it are refuted and have to go. */
  REPLACE: 3,
} as const;
export type Classification = (typeof CLASSIFICATION)[keyof typeof CLASSIFICATION];

/**
 * Restarts of the sender (RFC 3550 A.1). Nothing is decided by one packet whose number is out of all order: it is kept
 * as a candidate, and when another one comes with the number before or after it, the candidates are the beginning of a
 * new numbering, and none of them is lost. They lie in the packet ring, linked in the order of arrival.
 */
export class RestartDetector {
  readonly #packets: PacketRing;
  readonly #sequences: Unwrapper;
  readonly #reception: Reception;
  readonly #first: Int32Array;
  /** 1: by number and timestamp the candidates look like copies of packets long gone. */
  readonly #copies: Uint8Array;
  /** Packets received when the first candidate came: if there are more now, the old numbering lives. */
  readonly #receivedThen: Float64Array;

  constructor(channels: number, packets: PacketRing, sequences: Unwrapper, reception: Reception) {
    this.#packets = packets;
    this.#sequences = sequences;
    this.#reception = reception;
    this.#first = new Int32Array(channels).fill(NONE);
    this.#copies = new Uint8Array(channels);
    this.#receivedThen = new Float64Array(channels);
  }

  /** The channel's first candidate, or −1. */
  first(channel: number): number {
    return this.#first[channel] as number;
  }

  /** Weighs a packet against the channel's candidates. */
  classify(channel: number, d: number): Classification {
    const packets = this.#packets;
    const sequence = packets.wireSequence[d] as number;
    const first = this.#first[channel] as number;
    if (first === NONE) return CLASSIFICATION.WAIT;
    // Copies that come in between the packets of a living numbering confirm nothing.
    if (this.#copies[channel] === 1 && this.#livesOn(channel)) return CLASSIFICATION.REPLACE;
    const away = this.#sequences.distance(channel, packets.wireSequence[first] as number, sequence);
    if (Math.abs(away) >= MAX_MISORDER) return CLASSIFICATION.REPLACE;
    let candidates = 1;
    let isNeighbour = false;
    for (let c = first; c !== NONE; c = packets.next[c] as number) {
      const step = this.#sequences.distance(channel, packets.wireSequence[c] as number, sequence);
      if (step === 0) return CLASSIFICATION.DUPLICATE;
      if (Math.abs(step) === 1) isNeighbour = true;
      candidates++;
    }
    return isNeighbour || candidates > MAX_CANDIDATES ? CLASSIFICATION.CONFIRMED : CLASSIFICATION.WAIT;
  }

  /** Makes a packet, which the ring keeps, the channel's last candidate. */
  add(channel: number, d: number): void {
    const packets = this.#packets;
    packets.epoch[d] = CANDIDATE;
    packets.next[d] = NONE;
    let last = this.#first[channel] as number;
    if (last === NONE) {
      this.#first[channel] = d;
      this.#receivedThen[channel] = this.#reception.received(channel);
      this.#copies[channel] = this.#reception.fits(channel, d) ? 1 : 0;
      return;
    }
    while (packets.next[last] !== NONE) last = packets.next[last] as number;
    packets.next[last] = d;
  }

  /**
   * Whether the candidates are to be believed though nothing has confirmed them: the old numbering is silent, and
   * they are no copies. Better that than to lose the first words after a pause.
   */
  isCredible(channel: number): boolean {
    return this.#copies[channel] === 0 && !this.#livesOn(channel);
  }

  /** Takes out all candidates; returns the first, from which the others hang. */
  clear(channel: number): number {
    const first = this.#first[channel] as number;
    this.#first[channel] = NONE;
    return first;
  }

  #livesOn(channel: number): boolean {
    return this.#reception.received(channel) !== this.#receivedThen[channel];
  }
}
