import { US_PER_MS } from '../../core/units.js';
import { CHANNEL_FIELDS, FIELD } from '../channel-state.js';
import { LONGER_ABOVE, NORMAL_BELOW } from './playout-delay.js';

/** The delays that a channel can have, as far as they lie within its bounds. Few, so that a list of packets for each will do. */
const LADDER_MS = [
  ...[0, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250],
  ...[300, 400, 500, 700, 1_000, 1_400, 2_000],
];
/** So often the channel's delay is looked at again, in packets. */
const BLOCK_PACKETS = 64;
/** What has been learned fades by this with each block: to a half in 28 s of 20 ms packets. */
const BLOCK_MEMORY = 1 - 1 / 32;
/** The delay that nothing has asked for again shrinks to this part with each block. */
const BLOCK_SHRINK = 3 / 4;
/** Growth goes beyond the lateness that asked for it, since the next one may be greater. */
const GROWTH = 2;
/** A packet that was late by less than a delay, but by no more than this, would be late with it now and then. */
const MARGIN_US = US_PER_MS;
/** What one late packet is worth: 60 ms of added delay for each percent of late packets. */
const LATE_COST_US = 6_000 * US_PER_MS;
/** Even where nothing has been lost so far, a packet will be lost now and then: once in 500, over the memory of 2,048. */
const EXPECTED_LOSSES = 4;
const MEMORY_PACKETS = BLOCK_PACKETS / (1 - BLOCK_MEMORY);
/** Growth stops where the packets behind lost ones would add more than this to the mean delay of all. */
const MAX_GROWTH_COST_US = 20 * US_PER_MS;
/** The delay is at least this long while many packets are lost, for it is not known yet whether they are late. */
const LOSS_DELAY_US = 50 * US_PER_MS;
/** Weight of one packet in the share of lost ones: as in playout-delay.ts. */
const LOSS_WEIGHT = 1 / 100;
const USUAL_INTERVAL_US = 20 * US_PER_MS;
const MIN_INTERVAL_US = 2.5 * US_PER_MS;
const MAX_INTERVAL_US = 120 * US_PER_MS;

/** Gaps that were given up last, of each channel: first number, number after the last, arrival of the packet that waited. */
const GAPS = 8;
const GAP_VALUES = 3;

/** What is known of a channel, side by side. */
const VALUE = {
  /** Given up and not arrived so far, fading. */
  LOST_GAPS: 0,
  /** The delay that shrinks, µs. */
  HELD_OPEN_US: 1,
  LOST_SHARE: 2,
  /** Mean time between packets, and when it was measured. */
  INTERVAL_US: 3,
  MEASURED_US: 4,
} as const;
const VALUES = 8;

/**
 * Learns for each channel how long a packet behind a gap should wait for the missing one. Packets in order never wait,
 * so that the delay costs nothing on a line that is in order, whatever it is.
 *
 * Waiting has a price on both sides. Too short, and a packet that is overtaken by more is late. Too long, and each packet
 * that is really lost holds up those behind it for nothing. So the *lateness* of overtaken packets (arrival less that of
 * the first packet which overtook them) is counted in classes, gaps that stayed empty beside them, both fading, and the
 * class is chosen whose cost is lowest:
 *
 *     cost(D) = (lost gaps + gaps filled later than D) × wait(D) + late packets × 60 ms a percent
 *     wait(D) = D + the packets that arrive within D, which wait D / 2 on average
 *
 * The form is that of NetEq's reorder optimizer (WebRTC, `modules/audio_coding/neteq/reorder_optimizer.cc`), which adds
 * the delay and 20 ms a percent of late packets.
 *
 * Beside what is learned, the delay *grows at once*, to twice the lateness just seen, and to 50 ms when more than 5 % are
 * lost, as far as the packets behind lost ones would not add more than 20 ms to the mean delay for it. What nothing asks for again shrinks by a quarter with every 64 packets, as does the
 * starting delay: from 50 ms to 0 in 12 s of 20 ms packets.
 *
 * Worked example: 20 ms packets, 1 in 100 overtaken by two others, so late by 40 ms, none lost. D = 40 ms would make 1 %
 * late, since the packet comes a moment after it: 60 ms. D = 50 ms makes none late and costs 1 % of wait(50 ms) = 50 + 62
 * ms: 1.1 ms. With 20 % lost beside them it costs 22 ms more, still less than 60 ms.
 */
export class AdaptiveDelay {
  /** Ascending; a channel's delay is one of them. */
  readonly delaysUs: Float64Array;
  readonly #startUs: number;
  /** While more than 5 % are lost. */
  readonly #lossUs: number;
  /** wait() of a class is this twice over: what does not depend on the interval, and what is to be divided by it. */
  readonly #squares: Float64Array;
  readonly #states: Float64Array;
  readonly #class: Uint8Array;
  readonly #values: Float64Array;
  /** By channel and class: overtaken packets that would have been in time with it, and with no lower one; fading. */
  readonly #overtaken: Float32Array;
  /** By channel: 1 when it has any of them. */
  readonly #hasOvertaken: Uint8Array;
  readonly #gaps: Float64Array;
  readonly #gapCount: Int32Array;

  constructor(channels: number, states: Float64Array, minUs: number, startUs: number, maxUs: number) {
    this.#states = states;
    this.delaysUs = delaysBetween(minUs, startUs, maxUs);
    this.#startUs = startUs;
    this.#lossUs = Math.max(startUs, Math.min(LOSS_DELAY_US, maxUs));
    this.#squares = this.delaysUs.map((us) => (us * us) / 2);
    this.#class = new Uint8Array(channels);
    this.#values = new Float64Array(channels * VALUES);
    this.#overtaken = new Float32Array(channels * this.delaysUs.length);
    this.#hasOvertaken = new Uint8Array(channels);
    this.#gaps = new Float64Array(channels * GAPS * GAP_VALUES);
    this.#gapCount = new Int32Array(channels);
  }

  open(channel: number): void {
    const classes = this.delaysUs.length;
    this.#values.fill(0, channel * VALUES, (channel + 1) * VALUES);
    this.#values[channel * VALUES + VALUE.HELD_OPEN_US] = this.#startUs;
    this.#values[channel * VALUES + VALUE.INTERVAL_US] = USUAL_INTERVAL_US;
    this.#values[channel * VALUES + VALUE.MEASURED_US] = Number.NaN;
    this.#overtaken.fill(0, channel * classes, (channel + 1) * classes);
    this.#hasOvertaken[channel] = 0;
    this.#states[channel * CHANNEL_FIELDS + FIELD.UNTIL_BLOCK] = BLOCK_PACKETS;
    this.#class[channel] = this.#classWithin(this.#startUs);
    this.restart(channel);
  }

  /** Another numbering begins: no number of the old one will come late. */
  restart(channel: number): void {
    this.#gapCount[channel] = 0;
  }

  /** Index into `delaysUs` of the channel's delay. */
  classOf(channel: number): number {
    return this.#class[channel] as number;
  }

  delayUs(channel: number): number {
    return this.delaysUs[this.#class[channel] as number] as number;
  }

  /** One more packet of the channel has been taken in. */
  packet(channel: number, arrivalUs: number): void {
    const at = channel * CHANNEL_FIELDS;
    const left = (this.#states[at + FIELD.UNTIL_BLOCK] as number) - 1;
    this.#states[at + FIELD.UNTIL_BLOCK] = left;
    if (left === 0) this.#endBlock(channel, arrivalUs);
  }

  /** A packet has come `latenessUs` after the first one that overtook it. */
  overtaken(channel: number, latenessUs: number): void {
    const last = this.delaysUs.length - 1;
    const reached = this.#classReaching(latenessUs + MARGIN_US);
    // One that no delay within the bounds would have been long enough for teaches nothing.
    if (reached > last) return;
    const at = channel * this.delaysUs.length + reached;
    this.#overtaken[at] = (this.#overtaken[at] as number) + 1;
    this.#hasOvertaken[channel] = 1;
    this.#grow(channel, Math.min(latenessUs * GROWTH, this.delaysUs[last] as number));
  }

  /** The same for one whose place had been given up. */
  late(channel: number, sequence: number, arrivalUs: number): void {
    const count = Math.min(this.#gapCount[channel] as number, GAPS);
    for (let gap = channel * GAPS; gap < channel * GAPS + count; gap++) {
      const at = gap * GAP_VALUES;
      if (sequence < (this.#gaps[at] as number) || sequence >= (this.#gaps[at + 1] as number)) continue;
      const latenessUs = arrivalUs - (this.#gaps[at + 2] as number);
      const lost = this.#values[channel * VALUES + VALUE.LOST_GAPS] as number;
      if (latenessUs <= (this.delaysUs.at(-1) as number)) {
        this.#values[channel * VALUES + VALUE.LOST_GAPS] = Math.max(0, lost - 1);
      }
      this.overtaken(channel, latenessUs);
      return;
    }
  }

  /** The numbers from `from` on, `missing` of them, were given up for a packet that arrived at `waitedFromUs`. */
  lost(channel: number, from: number, missing: number, waitedFromUs: number): void {
    const values = channel * VALUES;
    const count = this.#gapCount[channel] as number;
    const at = (channel * GAPS + (count % GAPS)) * GAP_VALUES;
    this.#gaps[at] = from;
    this.#gaps[at + 1] = from + missing;
    this.#gaps[at + 2] = waitedFromUs;
    this.#gapCount[channel] = count + 1;
    this.#values[values + VALUE.LOST_GAPS] = (this.#values[values + VALUE.LOST_GAPS] as number) + 1;
    const kept = 1 - (this.#values[values + VALUE.LOST_SHARE] as number);
    const share = 1 - kept * (1 - LOSS_WEIGHT) ** missing;
    this.#values[values + VALUE.LOST_SHARE] = share;
    if (share > LONGER_ABOVE) this.#grow(channel, this.#lossUs);
  }

  #grow(channel: number, toUs: number): void {
    const at = channel * VALUES + VALUE.HELD_OPEN_US;
    if (toUs > (this.#values[at] as number)) this.#values[at] = toUs;
    this.#choose(channel);
  }

  #endBlock(channel: number, arrivalUs: number): void {
    const values = this.#values;
    const at = channel * VALUES;
    const classes = this.delaysUs.length;
    this.#states[channel * CHANNEL_FIELDS + FIELD.UNTIL_BLOCK] = BLOCK_PACKETS;
    const intervalUs = (arrivalUs - (values[at + VALUE.MEASURED_US] as number)) / BLOCK_PACKETS;
    values[at + VALUE.MEASURED_US] = arrivalUs;
    if (intervalUs > 0) {
      values[at + VALUE.INTERVAL_US] = Math.min(Math.max(intervalUs, MIN_INTERVAL_US), MAX_INTERVAL_US);
    }
    const share = (values[at + VALUE.LOST_SHARE] as number) * (1 - LOSS_WEIGHT) ** BLOCK_PACKETS;
    values[at + VALUE.LOST_SHARE] = share;
    values[at + VALUE.LOST_GAPS] = (values[at + VALUE.LOST_GAPS] as number) * BLOCK_MEMORY;
    const heldOpenUs = (values[at + VALUE.HELD_OPEN_US] as number) * BLOCK_SHRINK;
    values[at + VALUE.HELD_OPEN_US] = share < NORMAL_BELOW ? heldOpenUs : Math.max(heldOpenUs, this.#lossUs);
    if (this.#hasOvertaken[channel] === 1) {
      for (let i = channel * classes; i < (channel + 1) * classes; i++) {
        this.#overtaken[i] = (this.#overtaken[i] as number) * BLOCK_MEMORY;
      }
    }
    this.#choose(channel);
  }

  #choose(channel: number): void {
    const learned = this.#hasOvertaken[channel] === 1 ? this.#cheapest(channel) : 0;
    let heldOpen = this.#classWithin(this.#values[channel * VALUES + VALUE.HELD_OPEN_US] as number);
    const intervalUs = this.#values[channel * VALUES + VALUE.INTERVAL_US] as number;
    const gapShare = ((this.#values[channel * VALUES + VALUE.LOST_GAPS] as number) + EXPECTED_LOSSES) / MEMORY_PACKETS;
    while (heldOpen > learned && gapShare * this.#waitUs(heldOpen, intervalUs) > MAX_GROWTH_COST_US) heldOpen--;
    this.#class[channel] = Math.max(learned, heldOpen);
  }

  /** The class whose cost is lowest, by the difference that each makes to the one below. */
  #cheapest(channel: number): number {
    const classes = this.delaysUs.length;
    const first = channel * classes;
    const lostGaps = (this.#values[channel * VALUES + VALUE.LOST_GAPS] as number) + EXPECTED_LOSSES;
    const intervalUs = this.#values[channel * VALUES + VALUE.INTERVAL_US] as number;
    let later = 0;
    for (let i = 1; i < classes; i++) later += this.#overtaken[first + i] as number;
    let cost = 0;
    let lowestCost = 0;
    let best = 0;
    for (let i = 1; i < classes; i++) {
      const saved = this.#overtaken[first + i] as number;
      const waitUs = this.#waitUs(i, intervalUs) - this.#waitUs(i - 1, intervalUs);
      cost += (lostGaps + later) * waitUs - saved * LATE_COST_US;
      later -= saved;
      if (cost >= lowestCost) continue;
      lowestCost = cost;
      best = i;
    }
    return best;
  }

  /** How long all packets together wait at a gap that is given up after the delay of a class. */
  #waitUs(index: number, intervalUs: number): number {
    return (this.delaysUs[index] as number) + (this.#squares[index] as number) / intervalUs;
  }

  /** The longest delay that is no longer than `us`, or the shortest one. */
  #classWithin(us: number): number {
    let index = this.delaysUs.length - 1;
    while (index > 0 && (this.delaysUs[index] as number) > us) index--;
    return index;
  }

  /** The shortest delay that is at least `us`; beyond the last index when there is none. */
  #classReaching(us: number): number {
    let index = 0;
    while (index < this.delaysUs.length && (this.delaysUs[index] as number) < us) index++;
    return index;
  }
}

function delaysBetween(minUs: number, startUs: number, maxUs: number): Float64Array {
  const ladder = LADDER_MS.map((ms) => ms * US_PER_MS).filter((us) => us > minUs && us < maxUs);
  return Float64Array.from(new Set([minUs, ...ladder, startUs, maxUs])).sort();
}
