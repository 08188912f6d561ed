import { US_PER_MS } from '../core/units.js';
import type { PacketLoop } from './loops.js';
import type { SeededRandom } from './random.js';
import type { TroublePlan } from './trouble.js';

/** Takes one packet off a track. `index` counts from the first packet and never wraps; the rest is as on the wire. */
export type Send = (index: number, sequence: number, timestamp: number, payload: string) => void;

/** The packets of one channel and when each is to be sent. Times are microseconds from the start of the interaction. */
export interface Track {
  /** When there is something to do next; Infinity when the track is through. */
  readonly nextUs: number;
  /** Numbered packets due so far. */
  readonly due: number;
  /** Hands over everything that was to be sent up to `elapsedUs`, in the order of its time. Nothing is ever skipped. */
  run(elapsedUs: number, send: Send): void;
  /** Hands over at once what is due already but was still delayed. */
  flush(send: Send): void;
}

export const PACKET_US = 20 * US_PER_MS;
const PACKETS_PER_SECOND = 50;

export interface Numbering {
  readonly firstSequence: number;
  readonly firstTimestamp: number;
}

/**
 * Where an interaction's numbers begin. Random, as RFC 3550 5.1 wants it, but some begin shortly before the wrap, so
 * that even short runs see it.
 */
export function drawSequence(random: SeededRandom, nearWrap: boolean): number {
  return nearWrap ? 65_535 - random.below(40) : random.below(65_536);
}

export function drawTimestamp(random: SeededRandom, nearWrap: boolean, clockRate: number): number {
  return nearWrap ? 2 ** 32 - 1 - random.below(clockRate) : random.uint32();
}

interface Delayed {
  readonly atUs: number;
  readonly index: number;
}

/** Speech, one packet every 20 ms, with what the plan of trouble does to it. */
export class SpeechTrack implements Track {
  nextUs = 0;
  due = 0;
  readonly #loop: PacketLoop;
  readonly #loopStart: number;
  readonly #numbering: Numbering;
  readonly #step: number;
  readonly #plan: TroublePlan | undefined;
  readonly #total: number;
  readonly #lastUs: number;
  // What is due and not yet sent, by time; of equal times, the one that was planned first.
  readonly #delayed: Delayed[] = [];

  /** `seconds` may be Infinity. Without a plan nothing goes wrong. */
  constructor(
    loop: PacketLoop,
    loopStart: number,
    numbering: Numbering,
    clockRate: number,
    seconds: number,
    plan?: TroublePlan,
  ) {
    this.#loop = loop;
    this.#loopStart = loopStart;
    this.#numbering = numbering;
    this.#step = clockRate / PACKETS_PER_SECOND;
    this.#plan = plan;
    this.#total = Math.round(seconds * PACKETS_PER_SECOND);
    this.#lastUs = (this.#total - 1) * PACKET_US;
  }

  run(elapsedUs: number, send: Send): void {
    // Planned before anything is sent: after a stall of the sender the delayed ones then still go in their order.
    while (this.due < this.#total && this.due * PACKET_US <= elapsedUs) {
      if (this.#plan === undefined) this.#send(this.due, send);
      else this.#schedule(this.due, this.#plan);
      this.due++;
    }
    let first = this.#delayed[0];
    while (first !== undefined && first.atUs <= elapsedUs) {
      this.#delayed.shift();
      this.#send(first.index, send);
      first = this.#delayed[0];
    }
    this.nextUs = Math.min(this.due < this.#total ? this.due * PACKET_US : Infinity, first?.atUs ?? Infinity);
  }

  flush(send: Send): void {
    for (const { index } of this.#delayed.splice(0)) this.#send(index, send);
  }

  #schedule(index: number, plan: TroublePlan): void {
    const fate = plan.next(index === 0 || index === this.#total - 1);
    if (fate.withheld) return;
    const dueUs = index * PACKET_US;
    this.#insert(Math.min(dueUs + fate.delayUs, this.#lastUs), index);
    if (fate.copyDelayUs >= 0) this.#insert(Math.min(dueUs + fate.copyDelayUs, this.#lastUs), index);
  }

  #insert(atUs: number, index: number): void {
    let place = this.#delayed.length;
    while (place > 0 && (this.#delayed[place - 1] as Delayed).atUs > atUs) place--;
    this.#delayed.splice(place, 0, { atUs, index });
  }

  #send(index: number, send: Send): void {
    const payloads = this.#loop.payloads;
    send(
      index,
      (this.#numbering.firstSequence + index) & 0xffff,
      (this.#numbering.firstTimestamp + index * this.#step) >>> 0,
      payloads[(this.#loopStart + index) % payloads.length] as string,
    );
  }
}
