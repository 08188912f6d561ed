import { US_PER_MS } from '../../core/units.js';
import type { ImpairmentPlan } from '../network/impairments.js';
import type { SeededRandom } from '../network/random.js';
import type { PacketLoop } from './loops.js';

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
  /**
   * From the next packet on, sequence numbers are `sequenceJump` further on than they would be, and timestamps
   * restart; `due` goes on. Delayed packets are handed over first.
   */
  renumber?(sequenceJump: number, firstTimestamp: number, send: Send): void;
  /** Whether the packets from the next one on carry the mark of a secure pause in place of speech. */
  mark?(isMarked: boolean): void;
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
  readonly slot: number;
}

/**
 * Where a call of `slots` packets' time begins in a loop, at `place` or the next slot after it for which the call's
 * first and last slot have packets: the length of the call then follows from its packets.
 */
export function findLoopStart({ payloads }: PacketLoop, place: number, slots: number): number {
  for (let start = place; start < place + payloads.length; start++) {
    const last = Number.isFinite(slots) ? start + slots - 1 : start;
    if (payloads[start % payloads.length] !== '' && payloads[last % payloads.length] !== '') {
      return start % payloads.length;
    }
  }
  return place;
}

/**
 * Speech, one packet every 20 ms, with what the plan of impairments does to it. In a pause of discontinuous transmission
 * time goes on (a slot is 20 ms), but no packet is due and no number given.
 */
export class SpeechTrack implements Track {
  nextUs = 0;
  due = 0;
  #slot = 0;
  readonly #loop: PacketLoop;
  readonly #loopStart: number;
  #numbering: Numbering;
  /** First index and first slot of the numbering. */
  #firstIndex = 0;
  #firstSlot = 0;
  readonly #marking: PacketLoop | undefined;
  /** Slots at which marked packets begin and end, by turns. */
  readonly #turns: number[] = [];
  readonly #step: number;
  readonly #plan: ImpairmentPlan | undefined;
  readonly #total: number;
  readonly #lastUs: number;
  // What is due and not yet sent, by time; of equal times, the one that was planned first.
  readonly #delayed: Delayed[] = [];

  /** `seconds` may be Infinity. Without a plan nothing goes wrong. `marking` is sent in secure pauses. */
  constructor(
    loop: PacketLoop,
    loopStart: number,
    numbering: Numbering,
    clockRate: number,
    seconds: number,
    plan?: ImpairmentPlan,
    marking?: PacketLoop,
  ) {
    this.#marking = marking;
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
    while (this.#slot < this.#total && this.#slot * PACKET_US <= elapsedUs) {
      const slot = this.#slot++;
      if (this.#payload(slot) === '') continue;
      const index = this.due++;
      if (this.#plan === undefined) this.#send(index, slot, send);
      else this.#schedule(index, slot, this.#plan);
    }
    let first = this.#delayed[0];
    while (first !== undefined && first.atUs <= elapsedUs) {
      this.#delayed.shift();
      this.#send(first.index, first.slot, send);
      first = this.#delayed[0];
    }
    this.nextUs = Math.min(this.#slot < this.#total ? this.#slot * PACKET_US : Infinity, first?.atUs ?? Infinity);
  }

  flush(send: Send): void {
    for (const { index, slot } of this.#delayed.splice(0)) this.#send(index, slot, send);
  }

  renumber(sequenceJump: number, firstTimestamp: number, send: Send): void {
    this.flush(send);
    const firstSequence = this.#numbering.firstSequence + this.due - this.#firstIndex + sequenceJump;
    this.#numbering = { firstSequence, firstTimestamp };
    this.#firstIndex = this.due;
    this.#firstSlot = this.#slot;
  }

  mark(isMarked: boolean): void {
    if (this.#marking !== undefined && isMarked === (this.#turns.length % 2 === 0)) this.#turns.push(this.#slot);
  }

  #schedule(index: number, slot: number, plan: ImpairmentPlan): void {
    const packetPlan = plan.next(slot === 0 || slot === this.#total - 1);
    if (packetPlan.withheld) return;
    const dueUs = slot * PACKET_US;
    this.#insert(Math.min(dueUs + packetPlan.delayUs, this.#lastUs), index, slot);
    if (packetPlan.copyDelayUs >= 0) this.#insert(Math.min(dueUs + packetPlan.copyDelayUs, this.#lastUs), index, slot);
  }

  #insert(atUs: number, index: number, slot: number): void {
    let place = this.#delayed.length;
    while (place > 0 && (this.#delayed[place - 1] as Delayed).atUs > atUs) place--;
    this.#delayed.splice(place, 0, { atUs, index, slot });
  }

  #payload(slot: number): string {
    const { payloads } = this.#isMarked(slot) ? (this.#marking ?? this.#loop) : this.#loop;
    return payloads[(this.#loopStart + slot) % payloads.length] as string;
  }

  #isMarked(slot: number): boolean {
    let turns = 0;
    for (const turn of this.#turns) if (turn <= slot) turns++;
    return turns % 2 === 1;
  }

  #send(index: number, slot: number, send: Send): void {
    send(
      index,
      (this.#numbering.firstSequence + index - this.#firstIndex) & 0xffff,
      (this.#numbering.firstTimestamp + (slot - this.#firstSlot) * this.#step) >>> 0,
      this.#payload(slot),
    );
  }
}
