import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import type { Timeline } from '../../rtp/timeline.js';
import { MIN_SILENCE_MS } from '../../shard/shard-data.js';
import type { Stream, Streams } from '../streams.js';
import type { Release } from './release.js';

const CHECK_EVERY_US = 100 * US_PER_MS;
/** A packet that is due now is released within this time. */
const RELEASE_US = 20 * US_PER_MS;
/** TCP holds packets of ordered streams back for so long when one of its segments is lost and sent again. */
const RESEND_US = 500 * US_PER_MS;
/** No packet of theirs is longer. */
const LONGEST_PACKET_MS = 2_000;

/** What is known of ordered streams, which have no time line. */
interface OrderedArrivals {
  /** Of the last packet; negative before the first, and while one waits for capacity. */
  arrivalUs(stream: number): number;
  /** Where it begins, in samples. */
  positionOf(stream: number): number;
}

/**
 * Notices channels whose packets have stopped, so that silence is reported while it lasts and not only when the next
 * packet arrives. The shard is told once per gap, when nothing has been released for the shortest silence, the playout
 * delay in force on the channel and 20 ms: 520 ms after the last packet where all come in order. Whether that ends speech
 * is for the silence detector to say. Paused channels are left out.
 *
 * The positions of ordered streams do not follow arrival, and TCP may deliver nothing for a moment and everything afterwards,
 * so their shards are told a second after the last packet.
 */
export class StoppedPackets {
  readonly #streams: Streams;
  readonly #timeline: Timeline;
  readonly #release: Release;
  readonly #playoutDelayUs: (channel: number) => number;
  readonly #ordered: OrderedArrivals;
  /** By channel: the end of the last packet when the shard was told; of ordered streams, its arrival. */
  readonly #toldAt: Float64Array;
  /** How often a shard has been told. */
  #told = 0;
  #nextCheckUs = 0;
  #open = 0;

  constructor(
    channels: number,
    streams: Streams,
    timeline: Timeline,
    release: Release,
    playoutDelayUs: (channel: number) => number,
    ordered: OrderedArrivals,
  ) {
    this.#streams = streams;
    this.#timeline = timeline;
    this.#release = release;
    this.#playoutDelayUs = playoutDelayUs;
    this.#ordered = ordered;
    this.#toldAt = new Float64Array(channels).fill(-1);
  }

  open({ info }: Stream): void {
    this.#toldAt.fill(-1, info.stream * 2, info.stream * 2 + 2);
    this.#open++;
  }

  close(): void {
    this.#open--;
  }

  /** When to check next, or Infinity while there is nothing to check. */
  dueUs(): number {
    return this.#open === 0 ? Number.POSITIVE_INFINITY : this.#nextCheckUs;
  }

  /** Returns whether there was something that a shard had to know. */
  check(nowUs: number): boolean {
    if (nowUs < this.dueUs()) return false;
    const toldBefore = this.#told;
    this.#nextCheckUs = nowUs + CHECK_EVERY_US;
    for (const stream of this.#streams) {
      if (stream.ending) continue;
      for (let channel = 0; channel < stream.info.channels; channel++) {
        if (stream.ordered) this.#checkOrdered(stream, channel, nowUs);
        else this.#check(stream, channel, nowUs);
      }
    }
    return this.#told > toldBefore;
  }

  #checkOrdered({ info }: Stream, ofStream: number, nowUs: number): void {
    const channel = info.stream * 2 + ofStream;
    const lastUs = this.#ordered.arrivalUs(info.stream);
    if (lastUs < 0 || lastUs === this.#toldAt[channel]) return;
    if (nowUs - lastUs < MIN_SILENCE_MS * US_PER_MS + RESEND_US) return;
    this.#toldAt[channel] = lastUs;
    this.#told++;
    const durationMs = LONGEST_PACKET_MS + MIN_SILENCE_MS;
    this.#release.noPackets(channel, this.#ordered.positionOf(info.stream), (durationMs * info.sampleRate) / 1000);
  }

  #check({ info }: Stream, ofStream: number, nowUs: number): void {
    const channel = info.stream * 2 + ofStream;
    const end = this.#timeline.end(channel);
    if (end < 0 || end === this.#toldAt[channel] || this.#release.pauses.isPaused(channel)) return;
    const timeoutUs = MIN_SILENCE_MS * US_PER_MS + this.#playoutDelayUs(channel) + RELEASE_US;
    if (nowUs - this.#timeline.lastArrivalUs(channel) < timeoutUs) return;
    this.#toldAt[channel] = end;
    this.#told++;
    this.#release.noPackets(channel, end, Math.ceil((MIN_SILENCE_MS * US_PER_MS * info.clockRate) / US_PER_SECOND));
  }
}
