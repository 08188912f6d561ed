import type { PacketColumns } from '../packet-columns.js';

/** Bases that are remembered of each channel. A sender whose clock is right has one for the whole call. */
const REMEMBERED = 8;

const NONE = -1;

/**
 * Finds the place on the time line of packets that came too late to be released. The base of a channel (../timeline.ts)
 * may have changed since: by a restart of the sender, a jump of its timestamps, or because it stood still. So the
 * latest bases are kept, each with the number and the position of the first packet that was placed by it.
 *
 * Worked example at 8 kHz: packet 50 has timestamp 8,000 and position 8,000, base 0. The sender stands still for a
 * second; packet 60 has timestamp 9,600 and position 17,600, base −8,000. Packet 59 with timestamp 9,440 arrives after
 * all: by the base in force before packet 60 it belongs at 9,440.
 */
export class LatePlacement {
  /** By channel: how many bases there have been. */
  readonly #count: Float64Array;
  // REMEMBERED entries a channel, used as a ring: what the first packet of each base was, and where.
  readonly #epoch: Int32Array;
  readonly #sequence: Float64Array;
  readonly #base: Float64Array;
  readonly #position: Float64Array;

  constructor(channels: number) {
    this.#count = new Float64Array(channels);
    this.#epoch = new Int32Array(channels * REMEMBERED);
    this.#sequence = new Float64Array(channels * REMEMBERED);
    this.#base = new Float64Array(channels * REMEMBERED);
    this.#position = new Float64Array(channels * REMEMBERED);
  }

  openChannel(channel: number): void {
    this.#count[channel] = 0;
  }

  /** The packet in `row` is the first one that was placed by `base`, at `position`. */
  begin(packets: PacketColumns, row: number, base: number, position: number): void {
    const channel = packets.channel[row] as number;
    const count = this.#count[channel] as number;
    const at = this.#at(channel, count);
    this.#epoch[at] = packets.epoch[row] as number;
    this.#sequence[at] = packets.sequence[row] as number;
    this.#base[at] = base;
    this.#position[at] = position;
    this.#count[channel] = count + 1;
  }

  /**
   * Position of the late packet in `row`, in ticks of the stream's time line; `end` is where the channel's last packet
   * ends. −1 when it has none: it belongs before the stream's first packet, its timestamp contradicts its number, or the
   * base that it belongs to has been forgotten.
   */
  place(packets: PacketColumns, row: number, end: number): number {
    const channel = packets.channel[row] as number;
    const epoch = packets.epoch[row] as number;
    const timestamp = packets.timestamp[row] as number;
    const count = this.#count[channel] as number;
    let next = NONE;
    let until = end;
    for (let i = count - 1; i >= Math.max(0, count - REMEMBERED); i--) {
      const at = this.#at(channel, i);
      const from = this.#position[at] as number;
      if (!this.#isBefore(at, epoch, packets.sequence[row] as number)) {
        next = at;
        until = from;
        continue;
      }
      const position = this.#epoch[at] === epoch ? timestamp - (this.#base[at] as number) : NONE;
      return position >= from && position < until ? position : this.#placeBefore(next, epoch, timestamp, from);
    }
    return count > REMEMBERED ? NONE : this.#placeBefore(next, epoch, timestamp, 0);
  }

  /** By the base of the packets that follow: −1 where that leads before `from`, or does not lead before them. */
  #placeBefore(next: number, epoch: number, timestamp: number, from: number): number {
    if (next === NONE || this.#epoch[next] !== epoch) return NONE;
    const position = timestamp - (this.#base[next] as number);
    return position >= from && position < (this.#position[next] as number) ? position : NONE;
  }

  /** Whether the first packet of the base at `at` came before number `sequence` of `epoch`, or has that number. */
  #isBefore(at: number, epoch: number, sequence: number): boolean {
    const other = this.#epoch[at] as number;
    return other < epoch || (other === epoch && (this.#sequence[at] as number) <= sequence);
  }

  #at(channel: number, i: number): number {
    return channel * REMEMBERED + (i % REMEMBERED);
  }
}
