/** Runs that are remembered of each channel; the oldest one is forgotten for a new one. */
const REMEMBERED = 16;

/** Of one run: its first and last number, where it begins and ends, and what it is longer than so many usual packets. */
const RUN = { FIRST: 0, LAST: 1, START: 2, END: 3, EXCESS: 4 } as const;
const VALUES = 5;
/** Of a part of a run that had a pause in it. */
const HAS_PAUSE = 1;

/** A part of the time line, in ticks, that no packet is missing for. */
export type NotSent = (channel: number, start: number, length: number) => void;

/**
 * Runs of lost packets that lie beside a pause of their sender. What is missing between two packets is divided among the
 * lost ones, pause and all (../gap-estimator.ts), since nobody knows where the pause was. A late packet shows it: where
 * no number is missing between it and the packet before it or behind it, nothing was sent, and nothing is lost.
 *
 * Worked example at 8 kHz, packets of 160 ticks: 18 ends at 3,040, the sender pauses for a second before 20, and 21 comes
 * at 11,360. 19 and 20 are lost from 3,040 to 11,360. When 19 comes late, for 3,040, the run is 20 alone, from 3,200 on.
 * When 20 comes too, for 11,200, nothing was sent from 3,200 to 11,200. Had 20 come first, 19 would have been lost
 * from 3,040 to 11,200 until it came.
 *
 * Runs without a pause need no memory: their late packets fill them.
 */
export class LostRuns {
  readonly #runs: Float64Array;
  /** By channel: how many runs there have been. */
  readonly #count: Float64Array;

  constructor(channels: number) {
    this.#runs = new Float64Array(channels * REMEMBERED * VALUES);
    this.#count = new Float64Array(channels);
  }

  openChannel(channel: number): void {
    this.#count[channel] = 0;
    this.#runs.fill(Number.NaN, channel * REMEMBERED * VALUES, (channel + 1) * REMEMBERED * VALUES);
  }

  /** A packet is lost, where the last one that was not lost is `usualTicks` long. Lost packets come in their order. */
  lost(channel: number, sequence: number, position: number, ticks: number, usualTicks: number): void {
    const runs = this.#runs;
    const count = this.#count[channel] as number;
    const newest = this.#at(channel, count - 1);
    const isNext = count > 0 && runs[newest + RUN.LAST] === sequence - 1 && runs[newest + RUN.END] === position;
    if (isNext) {
      runs[newest + RUN.LAST] = sequence;
      runs[newest + RUN.END] = position + ticks;
      runs[newest + RUN.EXCESS] = (runs[newest + RUN.EXCESS] as number) + ticks - usualTicks;
      return;
    }
    // Without a pause in it, the newest one need not be kept.
    const isKept = count > 0 && (runs[newest + RUN.EXCESS] as number) > 0;
    if (isKept || count === 0) this.#count[channel] = count + 1;
    const at = isKept || count === 0 ? this.#at(channel, count) : newest;
    this.#set(at, sequence, sequence, position, position + ticks, ticks - usualTicks);
  }

  /** A late packet belongs at `position`. `notSent` gets what no packet is missing for now. */
  late(channel: number, sequence: number, position: number, ticks: number, notSent: NotSent): void {
    const runs = this.#runs;
    const count = this.#count[channel] as number;
    for (let i = count - 1; i >= Math.max(0, count - REMEMBERED); i--) {
      const at = this.#at(channel, i);
      const start = runs[at + RUN.START] as number;
      const end = runs[at + RUN.END] as number;
      const isFirst = sequence === runs[at + RUN.FIRST];
      const isLast = sequence === runs[at + RUN.LAST];
      const isWithin = sequence >= (runs[at + RUN.FIRST] as number) && sequence <= (runs[at + RUN.LAST] as number);
      if (!isWithin || position < start || position >= end || !((runs[at + RUN.EXCESS] as number) > 0)) continue;
      this.#divide(channel, at, sequence, position, position + ticks);
      if (isFirst && position > start) notSent(channel, start, position - start);
      if (isLast && position + ticks < end) notSent(channel, position + ticks, end - position - ticks);
      return;
    }
  }

  /** What is left of the run at `at`: in front of a late packet, and behind it. */
  #divide(channel: number, at: number, sequence: number, position: number, packetEnd: number): void {
    const runs = this.#runs;
    const first = runs[at + RUN.FIRST] as number;
    const last = runs[at + RUN.LAST] as number;
    const start = runs[at + RUN.START] as number;
    const end = runs[at + RUN.END] as number;
    const hasBefore = sequence > first && position > start;
    const hasBehind = sequence < last && packetEnd < end;
    if (hasBehind) this.#set(at, sequence + 1, last, packetEnd, end, HAS_PAUSE);
    else if (hasBefore) this.#set(at, first, sequence - 1, start, position, HAS_PAUSE);
    else runs.fill(Number.NaN, at, at + VALUES);
    if (!hasBefore || !hasBehind) return;
    // Another one is put in front of the newest, which may still be going on.
    const count = this.#count[channel] as number;
    const newest = this.#at(channel, count - 1);
    runs.copyWithin(this.#at(channel, count), newest, newest + VALUES);
    this.#set(newest, first, sequence - 1, start, position, HAS_PAUSE);
    this.#count[channel] = count + 1;
  }

  #set(at: number, first: number, last: number, start: number, end: number, excess: number): void {
    this.#runs[at + RUN.FIRST] = first;
    this.#runs[at + RUN.LAST] = last;
    this.#runs[at + RUN.START] = start;
    this.#runs[at + RUN.END] = end;
    this.#runs[at + RUN.EXCESS] = excess;
  }

  #at(channel: number, run: number): number {
    return (channel * REMEMBERED + (run % REMEMBERED)) * VALUES;
  }
}
