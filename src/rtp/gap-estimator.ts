import { LIMITS } from '../core/limits.js';
import { CHANNEL_FIELDS, FIELD } from './channel-state.js';
import type { PacketRing } from './packet-ring.js';
import { MAX_PACKET_SECONDS } from './reception.js';
import { TimestampLimiter } from './timestamp-limiter.js';

/** A gap of more packets than this is a jump: the longest gap, in packets of 10 ms. */
export const MAX_GAP_PACKETS = LIMITS.maxGapSeconds * 100;
/** The shortest packet of any codec (RFC 6716: 2.5 ms). A gap with less time than this for each lost packet is a jump. */
const MIN_PACKET_SECONDS = 0.0025;
/** Opus has this RTP clock whatever it is decoded to (RFC 7587): so many ticks are whole samples at 8, 12, 16, 24 and 48 kHz. */
const OPUS_CLOCK_RATE = 48_000;
const OPUS_UNIT_TICKS = 12;

/**
 * Divides the time between two released packets among the packets lost there.
 *
 * The gap is the step of the timestamps less the duration of the packet before it, and no RTP field says how long that
 * packet is. Its bytes say it if bytes have corresponded to ticks so far (G.711, L16); otherwise the step between the
 * latest two packets with consecutive numbers does.
 *
 * Worked example, PCMU at 8 kHz: packet 7 with 160 bytes has timestamp 1,120, packet 10 has 1,600. The step is 480
 * ticks, the packet before the gap covers 160, so packets 8 and 9 cover 320: 1,280 to 1,440 and 1,440 to 1,600.
 *
 * Timestamps are only a claim: gaps are filled no further than arrival times allow (timestamp-limiter.ts).
 */
export class GapEstimator {
  readonly #packets: PacketRing;
  readonly #states: Float64Array;
  readonly #limiter: TimestampLimiter;
  // The gap measured last, of any channel: it is divided before the next one is measured.
  #from = 0;
  #ticks = 0;
  #lost = 1;
  #unit = 1;

  constructor(packets: PacketRing, states: Float64Array) {
    this.#packets = packets;
    this.#states = states;
    this.#limiter = new TimestampLimiter(states, FIELD.GAP_AUDIO_OFFSET);
  }

  open(channel: number, clockRate: number): void {
    const at = channel * CHANNEL_FIELDS;
    this.#states[at + FIELD.CLOCK_RATE] = clockRate;
    this.#states[at + FIELD.RELEASED_TICKS] = 0;
    this.#states[at + FIELD.BYTES_PER_TICK] = 0;
    this.#states[at + FIELD.MEDIA_OFFSET] = 0;
    this.#limiter.open(channel, clockRate);
  }

  /** The channel's first packet, `d`, was released. */
  begin(channel: number, d: number): void {
    this.#limiter.begin(channel, this.#packets.timestamp[d] as number, this.#packets.arrivalUs[d] as number);
    this.#remember(channel, d);
  }

  /** Packet `d` was released; its number is the one after the last. */
  follow(channel: number, d: number): void {
    const at = channel * CHANNEL_FIELDS;
    const ticks = (this.#packets.timestamp[d] as number) - (this.#states[at + FIELD.RELEASED_TIMESTAMP] as number);
    if (ticks > 0 && ticks <= (this.#states[at + FIELD.CLOCK_RATE] as number) * MAX_PACKET_SECONDS) {
      const before = this.#states[at + FIELD.RELEASED_BYTES] as number;
      // A longer step behind packets of the same size is a short pause of the sender; its packets are as long as before.
      const usual = this.#states[at + FIELD.RELEASED_TICKS] as number;
      const isPause = ticks > usual && before === usual * (this.#states[at + FIELD.BYTES_PER_TICK] as number);
      if (!isPause || usual === 0) {
        this.#states[at + FIELD.RELEASED_TICKS] = ticks;
        this.#states[at + FIELD.BYTES_PER_TICK] = before === ticks ? 1 : before === 2 * ticks ? 2 : 0;
      }
      this.#advance(channel, d, 0);
    } else if (ticks >= 0 && this.#isAllowed(channel, d)) {
      this.#advance(channel, d, Math.max(0, ticks - this.#durationTicks(channel)));
    } else {
      this.jump(channel, d);
      return;
    }
    this.#remember(channel, d);
  }

  /** Packet `d` was released after the gap that was measured. */
  fill(channel: number, d: number): void {
    this.#advance(channel, d, this.#ticks);
    this.#remember(channel, d);
  }

  /** Packet `d` was released, and its timestamp is unrelated to the ones before. */
  jump(channel: number, d: number): void {
    const at = channel * CHANNEL_FIELDS;
    const arrivalUs = this.#packets.arrivalUs[d] as number;
    const media = this.#limiter.mediaAt(channel, arrivalUs);
    this.#states[at + FIELD.MEDIA_OFFSET] = (this.#packets.timestamp[d] as number) - media;
    this.#advance(channel, d, 0);
    this.#remember(channel, d);
  }

  /** Media time has advanced by `ticks` without the timestamps. */
  standstill(channel: number, ticks: number): void {
    const at = channel * CHANNEL_FIELDS;
    this.#states[at + FIELD.MEDIA_OFFSET] = (this.#states[at + FIELD.MEDIA_OFFSET] as number) - ticks;
    this.#limiter.standstill(channel, ticks);
  }

  /**
   * Measures the gap of `lost` packets before packet `d`. False when it must not be filled: it is too long, arrival time
   * contradicts it, it has too little time for so many packets, or timestamps did not increase.
   */
  measure(channel: number, lost: number, d: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    const from = this.#states[at + FIELD.RELEASED_TIMESTAMP] as number;
    const step = (this.#packets.timestamp[d] as number) - from;
    let duration = this.#durationTicks(channel);
    // The duration is unknown, or leaves next to no time for the lost packets: assume that all are equally long.
    if (duration === 0 || step - duration < (lost * duration) / 4) duration = Math.round(step / (lost + 1));
    this.#from = from + duration;
    this.#ticks = step - duration;
    this.#lost = lost;
    const rate = this.#states[at + FIELD.CLOCK_RATE] as number;
    this.#unit = rate === OPUS_CLOCK_RATE ? OPUS_UNIT_TICKS : 1;
    if (step <= 0 || lost > MAX_GAP_PACKETS || this.#ticks > rate * LIMITS.maxGapSeconds) return false;
    return this.#ticks >= lost * rate * MIN_PACKET_SECONDS && this.#isAllowed(channel, d);
  }

  /** Measures a gap whose last packet, with `timestamp`, is lost itself; it is taken to be as long as the one before. */
  measureEnd(channel: number, lost: number, timestamp: number, arrivalUs: number): boolean {
    const at = channel * CHANNEL_FIELDS;
    const from = this.#states[at + FIELD.RELEASED_TIMESTAMP] as number;
    const step = timestamp - from;
    const duration = this.#durationTicks(channel) || Math.round(step / lost);
    this.#from = from + duration;
    this.#ticks = step;
    this.#lost = lost;
    const rate = this.#states[at + FIELD.CLOCK_RATE] as number;
    this.#unit = rate === OPUS_CLOCK_RATE ? OPUS_UNIT_TICKS : 1;
    if (step < lost * rate * MIN_PACKET_SECONDS || lost > MAX_GAP_PACKETS || step > rate * LIMITS.maxGapSeconds) {
      return false;
    }
    return this.#limiter.allows(channel, timestamp - (this.#states[at + FIELD.MEDIA_OFFSET] as number), arrivalUs);
  }

  /** Timestamp at which lost packet `i` of the gap begins. */
  startOf(i: number): number {
    if (i === this.#lost) return this.#from + this.#ticks;
    return this.#from + this.#unit * Math.round((this.#ticks * i) / (this.#lost * this.#unit));
  }

  ticksOf(i: number): number {
    return this.startOf(i + 1) - this.startOf(i);
  }

  /** Duration of the packet released last; 0 while unknown. */
  #durationTicks(channel: number): number {
    const at = channel * CHANNEL_FIELDS;
    const bytesPerTick = this.#states[at + FIELD.BYTES_PER_TICK] as number;
    return bytesPerTick > 0
      ? Math.round((this.#states[at + FIELD.RELEASED_BYTES] as number) / bytesPerTick)
      : (this.#states[at + FIELD.RELEASED_TICKS] as number);
  }

  #isAllowed(channel: number, d: number): boolean {
    return this.#limiter.allows(channel, this.#media(channel, d), this.#packets.arrivalUs[d] as number);
  }

  #advance(channel: number, d: number, withoutAudio: number): void {
    this.#limiter.advance(channel, this.#media(channel, d), this.#packets.arrivalUs[d] as number, withoutAudio);
  }

  #media(channel: number, d: number): number {
    const at = channel * CHANNEL_FIELDS;
    return (this.#packets.timestamp[d] as number) - (this.#states[at + FIELD.MEDIA_OFFSET] as number);
  }

  #remember(channel: number, d: number): void {
    const at = channel * CHANNEL_FIELDS;
    this.#states[at + FIELD.RELEASED_TIMESTAMP] = this.#packets.timestamp[d] as number;
    this.#states[at + FIELD.RELEASED_BYTES] = this.#packets.payloadLength[d] as number;
  }
}
