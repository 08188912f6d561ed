import { LIMITS } from '../core/limits.js';
import type { PacketRing } from './packet-ring.js';
import { MAX_PACKET_SECONDS } from './reception.js';
import { TimestampLimiter } from './timestamp-limiter.js';

/** A hole of more packets than this is a jump: the longest hole, in packets of 10 ms. */
export const MAX_GAP_PACKETS = LIMITS.maxGapSeconds * 100;
/** The shortest packet that any codec makes (RFC 6716: 2.5 ms). A hole with less for each lost one is none. */
const MIN_PACKET_SECONDS = 0.0025;

/**
 * Cuts the time between two released packets into the packets lost there. What is missing in time is the step of the
 * timestamps less the duration of the packet before the hole, and no field of RTP says how long that one is: it is
 * told by its bytes where they have stood for samples so far, else by the step between the latest two packets with
 * consecutive numbers.
 *
 * Timestamps are only a claim: all holes together are filled no farther than arrival times bear out (lead.ts).
 */
export class GapEstimator {
  readonly #packets: PacketRing;
  readonly #clockRate: Float64Array;
  /** Of the packet released last. */
  readonly #timestamp: Float64Array;
  readonly #bytes: Float64Array;
  /** Step between the latest two consecutive packets; 0 while unknown. */
  readonly #packetTicks: Float64Array;
  /** 1 (G.711) or 2 (L16) when payload and step were in that proportion, else 0. */
  readonly #bytesPerTick: Uint8Array;
  readonly #limiter: TimestampLimiter;
  /** What timestamps have over the channel's media time: moved when they jump, so that the media time does not. */
  readonly #offset: Float64Array;
  // The hole measured last, of whichever channel: it is cut up before the next one is measured.
  #from = 0;
  #ticks = 0;
  #lost = 1;

  constructor(channels: number, packets: PacketRing) {
    this.#packets = packets;
    this.#clockRate = new Float64Array(channels);
    this.#timestamp = new Float64Array(channels);
    this.#bytes = new Float64Array(channels);
    this.#packetTicks = new Float64Array(channels);
    this.#bytesPerTick = new Uint8Array(channels);
    this.#limiter = new TimestampLimiter(channels);
    this.#offset = new Float64Array(channels);
  }

  open(channel: number, clockRate: number): void {
    this.#clockRate[channel] = clockRate;
    this.#packetTicks[channel] = 0;
    this.#bytesPerTick[channel] = 0;
    this.#offset[channel] = 0;
    this.#limiter.open(channel, clockRate);
  }

  /** The channel's first packet, `d`, was released. */
  begin(channel: number, d: number): void {
    this.#limiter.begin(channel, this.#packets.timestamp[d] as number, this.#packets.arrivalUs[d] as number);
    this.#remember(channel, d);
  }

  /** Packet `d` was released; its number is the one after the last. */
  follow(channel: number, d: number): void {
    const ticks = (this.#packets.timestamp[d] as number) - (this.#timestamp[channel] as number);
    if (ticks > 0 && ticks <= (this.#clockRate[channel] as number) * MAX_PACKET_SECONDS) {
      const before = this.#bytes[channel] as number;
      this.#packetTicks[channel] = ticks;
      this.#bytesPerTick[channel] = before === ticks ? 1 : before === 2 * ticks ? 2 : 0;
      this.#advance(channel, d, 0);
    } else if (ticks >= 0 && this.#isBorneOut(channel, d)) {
      this.#advance(channel, d, Math.max(0, ticks - this.#heldTicks(channel)));
    } else {
      this.jump(channel, d);
      return;
    }
    this.#remember(channel, d);
  }

  /** Packet `d` was released after the hole that was measured. */
  fill(channel: number, d: number): void {
    this.#advance(channel, d, this.#ticks);
    this.#remember(channel, d);
  }

  /** Packet `d` was released, and its timestamp has nothing to do with the ones before. */
  jump(channel: number, d: number): void {
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    const media = this.#limiter.mediaAt(channel, arrivalUs);
    this.#offset[channel] = (this.#packets.timestamp[d] as number) - media;
    this.#advance(channel, d, 0);
    this.#remember(channel, d);
  }

  /**
   * Measures the hole of `lost` packets before packet `d`. False when it is not to be filled: too long, not borne out
   * by the arrival, with too little time for so many, or timestamps that did not go forward.
   */
  measure(channel: number, lost: number, d: number): boolean {
    const from = this.#timestamp[channel] as number;
    const step = (this.#packets.timestamp[d] as number) - from;
    let held = this.#heldTicks(channel);
    // Nothing is known, or what is known leaves next to no time for the lost ones: all were of the same length.
    if (held === 0 || step - held < (lost * held) / 4) held = Math.round(step / (lost + 1));
    this.#from = from + held;
    this.#ticks = step - held;
    this.#lost = lost;
    const rate = this.#clockRate[channel] as number;
    if (step <= 0 || lost > MAX_GAP_PACKETS || this.#ticks > rate * LIMITS.maxGapSeconds) return false;
    return this.#ticks >= lost * rate * MIN_PACKET_SECONDS && this.#isBorneOut(channel, d);
  }

  /** Timestamp at which lost packet `i` of the hole begins. */
  startOf(i: number): number {
    return this.#from + Math.round((this.#ticks * i) / this.#lost);
  }

  ticksOf(i: number): number {
    return this.startOf(i + 1) - this.startOf(i);
  }

  /** How long the packet released last is; 0 while unknown. */
  #heldTicks(channel: number): number {
    const bytesPerTick = this.#bytesPerTick[channel] as number;
    return bytesPerTick > 0
      ? Math.round((this.#bytes[channel] as number) / bytesPerTick)
      : (this.#packetTicks[channel] as number);
  }

  #isBorneOut(channel: number, d: number): boolean {
    return this.#limiter.allows(channel, this.#media(channel, d), this.#packets.arrivalUs[d] as number);
  }

  #advance(channel: number, d: number, withoutAudio: number): void {
    this.#limiter.advance(channel, this.#media(channel, d), this.#packets.arrivalUs[d] as number, withoutAudio);
  }

  #media(channel: number, d: number): number {
    return (this.#packets.timestamp[d] as number) - (this.#offset[channel] as number);
  }

  #remember(channel: number, d: number): void {
    this.#timestamp[channel] = this.#packets.timestamp[d] as number;
    this.#bytes[channel] = this.#packets.payloadLength[d] as number;
  }
}
