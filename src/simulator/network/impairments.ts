import { US_PER_MS } from '../../core/units.js';
import type { SeededRandom } from './random.js';

/** What the network does to the packets of every interaction. Rates are 0 to 1. */
export interface NetworkImpairments {
  /** Share of the packets that are withheld. */
  readonly loss: number;
  /** Mean length of a run of withheld packets; 1 means that each is withheld independently of the others. */
  readonly burst: number;
  /** Share of the packets that are held back behind one or two later ones. */
  readonly reorder: number;
  /** Share of the packets that are sent twice. */
  readonly duplicate: number;
  /** Each packet is delayed by something between nothing and this. */
  readonly jitterMs: number;
  /**
   * Jitter and reordering together never delay a packet by more. The default lies below the 50 ms that a jitter
   * buffer holds, so that everything sent can still be put in its place.
   */
  readonly maxDelayMs: number;
}

export const NO_IMPAIRMENTS: NetworkImpairments = {
  loss: 0,
  burst: 1,
  reorder: 0,
  duplicate: 0,
  jitterMs: 0,
  maxDelayMs: 45,
};

const PACKET_US = 20 * US_PER_MS;
/** How far past the later packet's own time a reordered one goes. */
const PAST_US = 3 * US_PER_MS;

/** What is to happen to one packet. The same object is filled again for each. */
export interface PacketPlan {
  withheld: boolean;
  delayUs: number;
  /** Delay of the copy, not less than that of the packet itself; −1: no copy. */
  copyDelayUs: number;
}

/**
 * The plan of impairments for one channel: which of its packets are withheld, delayed and doubled. It depends on nothing
 * but the seed, and it draws the same amount of random numbers for every packet, so that changing one rate does not
 * reshuffle the others.
 */
export class ImpairmentPlan {
  readonly packetPlan: PacketPlan = { withheld: false, delayUs: 0, copyDelayUs: -1 };
  readonly #impairments: NetworkImpairments;
  readonly #random: SeededRandom;
  readonly #jitterUs: number;
  readonly #maxDelayUs: number;
  // Gilbert's model of two states: a run goes on with #stay and begins with #enter. Mean length of a run is
  // 1 / (1 − stay) = burst, and loss = enter / (enter + 1 − stay).
  readonly #stay: number;
  readonly #enter: number;
  #inRun = false;

  constructor(impairments: NetworkImpairments, random: SeededRandom) {
    this.#impairments = impairments;
    this.#random = random;
    this.#maxDelayUs = impairments.maxDelayMs * US_PER_MS;
    this.#jitterUs = Math.min(impairments.jitterMs * US_PER_MS, this.#maxDelayUs);
    const independent = impairments.burst <= 1;
    this.#stay = independent ? impairments.loss : 1 - 1 / impairments.burst;
    this.#enter = independent
      ? impairments.loss
      : Math.min(1, impairments.loss / (1 - impairments.loss) / impairments.burst);
  }

  /**
   * Decides about the next packet and fills `packetPlan`. A packet at an edge is always sent, once and in place: no receiver
   * can know of a loss before the first packet or after the last.
   */
  next(atEdge: boolean): PacketPlan {
    const random = this.#random;
    const packetPlan = this.packetPlan;
    this.#inRun = random.unit() < (this.#inRun ? this.#stay : this.#enter);
    const jitterUs = random.unit() * this.#jitterUs;
    const reordered = random.unit() < this.#impairments.reorder;
    const behind = 1 + random.below(2);
    const doubled = random.unit() < this.#impairments.duplicate;
    const copyUs = random.unit() * PACKET_US;
    if (atEdge) {
      packetPlan.withheld = false;
      packetPlan.delayUs = 0;
      packetPlan.copyDelayUs = -1;
      return packetPlan;
    }
    packetPlan.withheld = this.#inRun;
    packetPlan.delayUs = Math.min(this.#maxDelayUs, jitterUs + (reordered ? behind * PACKET_US + PAST_US : 0));
    packetPlan.copyDelayUs = doubled ? Math.min(this.#maxDelayUs, packetPlan.delayUs + copyUs) : -1;
    return packetPlan;
  }
}
