import { LIMITS } from '../core/limits.js';
import type { PacketRing } from './packet-ring.js';
import { MAX_PACKET_SECONDS } from './reception.js';

/** A hole of more packets than this is a jump: the longest hole, in packets of 10 ms. */
export const MAX_HOLE_PACKETS = LIMITS.maxHoleSeconds * 100;

/**
 * Cuts the time between two released packets into the packets lost there. What is missing in time is the step of the
 * timestamps less the duration of the packet before the hole, and no field of RTP says how long that one is: it is
 * told by its bytes where they have stood for samples so far, else by the step between the latest two packets with
 * consecutive numbers.
 */
export class HoleSplitter {
  readonly #packets: PacketRing;
  readonly #clockRate: Float64Array;
  /** Of the packet released last. */
  readonly #timestamp: Float64Array;
  readonly #bytes: Float64Array;
  /** Step between the latest two consecutive packets; 0 while unknown. */
  readonly #packetTicks: Float64Array;
  /** 1 (G.711) or 2 (L16) when payload and step were in that proportion, else 0. */
  readonly #bytesPerTick: Uint8Array;
  // The hole measured last, of whichever lane: it is cut up before the next one is measured.
  #from = 0;
  #ticks = 0;
  #lost = 1;

  constructor(lanes: number, packets: PacketRing) {
    this.#packets = packets;
    this.#clockRate = new Float64Array(lanes);
    this.#timestamp = new Float64Array(lanes);
    this.#bytes = new Float64Array(lanes);
    this.#packetTicks = new Float64Array(lanes);
    this.#bytesPerTick = new Uint8Array(lanes);
  }

  open(lane: number, clockRate: number): void {
    this.#clockRate[lane] = clockRate;
    this.#packetTicks[lane] = 0;
    this.#bytesPerTick[lane] = 0;
  }

  /** Packet `d` was released; `follows` when its number is the one after the last. */
  packet(lane: number, follows: boolean, d: number): void {
    const timestamp = this.#packets.timestamp[d] as number;
    if (follows) {
      const ticks = timestamp - (this.#timestamp[lane] as number);
      if (ticks > 0 && ticks <= (this.#clockRate[lane] as number) * MAX_PACKET_SECONDS) {
        const before = this.#bytes[lane] as number;
        this.#packetTicks[lane] = ticks;
        this.#bytesPerTick[lane] = before === ticks ? 1 : before === 2 * ticks ? 2 : 0;
      }
    }
    this.#timestamp[lane] = timestamp;
    this.#bytes[lane] = this.#packets.payloadLength[d] as number;
  }

  /**
   * Measures the hole of `lost` packets before packet `d`. False when it is not to be filled:
   * too long, or timestamps that did not go forward.
   */
  measure(lane: number, lost: number, d: number): boolean {
    const from = this.#timestamp[lane] as number;
    const step = (this.#packets.timestamp[d] as number) - from;
    const bytesPerTick = this.#bytesPerTick[lane] as number;
    let held = this.#packetTicks[lane] as number;
    if (bytesPerTick > 0) held = Math.round((this.#bytes[lane] as number) / bytesPerTick);
    // Nothing is known, or what is known leaves next to no time for the lost ones: all were of the same length.
    if (held === 0 || step - held < (lost * held) / 4) held = Math.round(step / (lost + 1));
    this.#from = from + held;
    this.#ticks = step - held;
    this.#lost = lost;
    const longest = (this.#clockRate[lane] as number) * LIMITS.maxHoleSeconds;
    return step > 0 && lost <= MAX_HOLE_PACKETS && this.#ticks <= longest;
  }

  /** Timestamp at which lost packet `i` of the hole begins. */
  startOf(i: number): number {
    return this.#from + Math.round((this.#ticks * i) / this.#lost);
  }

  ticksOf(i: number): number {
    return this.startOf(i + 1) - this.startOf(i);
  }
}
