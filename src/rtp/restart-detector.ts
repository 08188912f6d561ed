import type { PacketRing } from './packet-ring.js';
import { MAX_MISORDER, type Reception } from './reception.js';
import type { Unwrapper } from './unwrapper.js';

/** How long an unconfirmed candidate is held, at most. */
export const CANDIDATE_TIMEOUT_US = 100_000;
/** More candidates than this around one number are a restart, even if no two of them are consecutive. */
const MAX_CANDIDATES = 8;
/** Epoch of a packet that is a candidate for a restart. */
export const CANDIDATE = -1;

const NONE = -1;

/** What a packet whose number is out of range means for the candidates of its channel. */
export const CLASSIFICATION = {
  /** It is another candidate, to be added. */
  WAIT: 0,
  /** It is a copy of a candidate. */
  DUPLICATE: 1,
  /** Together with it, the candidates are a restart. */
  CONFIRMED: 2,
  /** As WAIT, but the earlier candidates are refuted and must be removed. */
  REPLACE: 3,
} as const;
export type Classification = (typeof CLASSIFICATION)[keyof typeof CLASSIFICATION];

/**
 * Detects restarts of the sender (RFC 3550 A.1). One packet whose number is out of range decides nothing: it is kept as
 * a candidate. When another one arrives with the number before or after it, the candidates are the beginning of a new
 * numbering, and none of them is lost. They lie in the packet ring, linked in the order of arrival.
 *
 * Worked example: 1000, 1001, then 40000: a candidate. If 40001 follows, both begin a new epoch. If 1002 follows and
 * nothing near 40000, the candidate is removed after CANDIDATE_TIMEOUT_US and counted as a duplicate.
 */
export class RestartDetector {
  readonly #packets: PacketRing;
  readonly #sequences: Unwrapper;
  readonly #reception: Reception;
  readonly #first: Int32Array;
  /** 1: number and timestamp of the candidates look like copies of packets released long ago. */
  readonly #copies: Uint8Array;
  /** Packets received when the first candidate arrived: if there are more now, the old numbering continues. */
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

  /** Compares a packet with the channel's candidates. */
  classify(channel: number, d: number): Classification {
    const packets = this.#packets;
    const sequence = packets.wireSequence[d] as number;
    const first = this.#first[channel] as number;
    if (first === NONE) return CLASSIFICATION.WAIT;
    // Copies that arrive between the packets of a numbering that continues confirm nothing.
    if (this.#copies[channel] === 1 && this.#continues(channel)) return CLASSIFICATION.REPLACE;
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

  /** Adds a packet, which the ring keeps already, to the channel's candidates. */
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
   * Whether unconfirmed candidates are taken for a restart: nothing has arrived in the old numbering since, and they are
   * not copies. The alternative would be to lose the first words after a pause.
   */
  isCredible(channel: number): boolean {
    return this.#copies[channel] === 0 && !this.#continues(channel);
  }

  /** Removes all candidates; returns the first, which links to the others. */
  clear(channel: number): number {
    const first = this.#first[channel] as number;
    this.#first[channel] = NONE;
    return first;
  }

  #continues(channel: number): boolean {
    return this.#reception.received(channel) !== this.#receivedThen[channel];
  }
}
