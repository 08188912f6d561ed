import { Buffer } from 'node:buffer';
import { packetMessage, packetPrefix } from '../../../src/simulator/genesys/wire.js';
import type { Speech } from '../load/payloads.js';
import { interactionId } from '../load/plan.js';
import { textFrame } from '../load/websocket.js';
import { sequenceAt, timestampAt } from './plan.js';

/** One interaction as the generator sends it. */
export interface Voice extends Speech {
  readonly index: number;
  /** Timestamp units from packet to packet. */
  readonly ticksPerPacket: number;
  /** Wire form of the sequence number (16 bits) and of the RTP timestamp (32 bits) at tick 0. */
  readonly firstSequence: number;
  readonly firstTimestamp: number;
}

/** One buffer with a frame of each interaction, as it is in one tick. */
interface Slot {
  /** Has capacity for the longest numbers. */
  readonly memory: Buffer;
  /** The part of `memory` that is sent. */
  bytes: Buffer;
  /** The tick that it holds; NaN before the first. */
  tick: number;
  /** Where each frame begins, and where the last one ends. */
  readonly starts: Int32Array;
  /** Where the last digit of each frame's numbers stands. */
  readonly sequenceEnds: Int32Array;
  readonly timestampEnds: Int32Array;
}

const ZERO = 0x30;
const NINE = 0x39;
const LONGEST_SEQUENCE = 65_535;
const LONGEST_TIMESTAMP = 2 ** 32 - 1;
/** What packetMessage() puts between and behind the two numbers. */
const TIMESTAMP_KEY = ',"timestamp":';
const PAYLOAD_KEY = ',"payload":"';
const END = '"}';

/**
 * All that one connection ever sends, prepared: a buffer for each of `slots` ticks with one frame of each interaction. A
 * tick takes the next slot, and there only the digits of its numbers change, most of them by adding to the last ones; a
 * frame whose numbers wrap or get another digit is written again. The payloads come round when the slots do. The
 * slots are also how far a client may fall behind before the buffers would be changed while the socket reads them.
 */
export class ConnectionFrames {
  readonly slots: number;
  readonly #voices: readonly Voice[];
  readonly #prefixes: readonly string[];
  readonly #slots: readonly Slot[];
  /** What each voice's numbers grow by from one round of the slots to the next, without the zeros at its end. */
  readonly #sequenceStep: Step;
  readonly #timestampSteps: readonly Step[];
  /** Until that tick neither number of the voice wraps. */
  readonly #wrapsAt: Int32Array;

  constructor(voices: readonly Voice[], slots: number) {
    this.slots = slots;
    this.#voices = voices;
    this.#prefixes = voices.map(({ index }) => packetPrefix(interactionId(index), undefined, undefined));
    this.#sequenceStep = stepOf(slots);
    this.#timestampSteps = voices.map(({ ticksPerPacket }) => stepOf(slots * ticksPerPacket));
    this.#wrapsAt = new Int32Array(voices.length);
    this.#slots = Array.from({ length: slots }, (_, slot) => this.#emptySlot(slot));
  }

  get packetsPerTick(): number {
    return this.#voices.length;
  }

  /** The bytes of one tick. They are this object's own, and stay as they are for `slots` ticks. */
  at(tick: number): Buffer {
    const slot = this.#slots[tick % this.slots] as Slot;
    if (slot.tick === tick - this.slots) this.#advance(slot, tick);
    else this.#writeAll(slot, tick);
    slot.tick = tick;
    return slot.bytes;
  }

  #emptySlot(slot: number): Slot {
    const count = this.#voices.length;
    const longest = this.#voices.map((_, place) => this.#frame(place, slot, LONGEST_SEQUENCE, LONGEST_TIMESTAMP));
    const memory = Buffer.allocUnsafeSlow(longest.reduce((sum, { length }) => sum + length, 0));
    return {
      memory,
      bytes: memory,
      tick: Number.NaN,
      starts: new Int32Array(count + 1),
      sequenceEnds: new Int32Array(count),
      timestampEnds: new Int32Array(count),
    };
  }

  /** From what the slot held `slots` ticks ago. */
  #advance(slot: Slot, tick: number): void {
    const { memory, sequenceEnds, timestampEnds } = slot;
    const wrapsAt = this.#wrapsAt;
    const steps = this.#timestampSteps;
    const { amount, zeros } = this.#sequenceStep;
    for (let place = 0; place < wrapsAt.length; place++) {
      const step = steps[place] as Step;
      const grows =
        (tick < (wrapsAt[place] as number) || this.#isPastWrap(place, tick)) &&
        addDecimal(memory, (sequenceEnds[place] as number) - zeros, amount) &&
        addDecimal(memory, (timestampEnds[place] as number) - step.zeros, step.amount);
      if (!grows) this.#replace(slot, place, tick);
    }
  }

  /** Whether neither number has wrapped since the slot's last turn; if so, notes when the next one will. */
  #isPastWrap(place: number, tick: number): boolean {
    const { firstSequence, firstTimestamp, ticksPerPacket } = this.#voices[place] as Voice;
    const sequence = sequenceAt(firstSequence, tick);
    const timestamp = timestampAt(firstTimestamp, tick, ticksPerPacket);
    if (sequence < this.slots || timestamp < this.slots * ticksPerPacket) return false;
    const packetsLeft = Math.min(
      LONGEST_SEQUENCE - sequence,
      Math.floor((LONGEST_TIMESTAMP - timestamp) / ticksPerPacket),
    );
    this.#wrapsAt[place] = tick + packetsLeft + 1;
    return true;
  }

  #writeAll(slot: Slot, tick: number): void {
    this.#wrapsAt.fill(0);
    slot.starts.fill(0);
    slot.bytes = slot.memory.subarray(0, 0);
    for (let place = 0; place < this.#voices.length; place++) this.#replace(slot, place, tick);
  }

  /** Writes one frame where the old one was, and moves those behind it when it has another length. */
  #replace(slot: Slot, place: number, tick: number): void {
    const { memory, starts, sequenceEnds, timestampEnds } = slot;
    const { firstSequence, firstTimestamp, ticksPerPacket } = this.#voices[place] as Voice;
    const sequence = sequenceAt(firstSequence, tick);
    const timestamp = timestampAt(firstTimestamp, tick, ticksPerPacket);
    const frame = this.#frame(place, tick % this.slots, sequence, timestamp);
    const start = starts[place] as number;
    const growth = start + frame.length - (starts[place + 1] as number);
    if (growth !== 0) {
      memory.copyWithin(start + frame.length, starts[place + 1] as number, slot.bytes.length);
      for (let behind = place + 1; behind < starts.length; behind++) {
        starts[behind] = (starts[behind] as number) + growth;
        if (behind === sequenceEnds.length) continue;
        sequenceEnds[behind] = (sequenceEnds[behind] as number) + growth;
        timestampEnds[behind] = (timestampEnds[behind] as number) + growth;
      }
      slot.bytes = memory.subarray(0, slot.bytes.length + growth);
    }
    memory.set(frame, start);
    const behindNumbers = PAYLOAD_KEY.length + this.#payload(place, tick % this.slots).length + END.length;
    const timestampEnd = start + frame.length - behindNumbers - 1;
    timestampEnds[place] = timestampEnd;
    sequenceEnds[place] = timestampEnd - String(timestamp).length - TIMESTAMP_KEY.length;
  }

  #frame(place: number, slot: number, sequence: number, timestamp: number): Buffer {
    return textFrame(packetMessage(this.#prefixes[place] as string, sequence, timestamp, this.#payload(place, slot)));
  }

  #payload(place: number, slot: number): string {
    const { payloads, start } = this.#voices[place] as Voice;
    return payloads[(start + slot) % payloads.length] as string;
  }
}

interface Step {
  readonly amount: number;
  readonly zeros: number;
}

function stepOf(value: number): Step {
  let amount = value;
  let zeros = 0;
  for (; amount % 10 === 0; amount /= 10) zeros++;
  return { amount, zeros };
}

/** Adds to the number whose last digit stands at `end`. False, and the digits are spoilt, when it needs one more. */
function addDecimal(bytes: Buffer, end: number, amount: number): boolean {
  let carry = amount;
  for (let at = end; carry !== 0; at--) {
    const digit = bytes[at] as number;
    if (digit < ZERO || digit > NINE) return false;
    const sum = digit - ZERO + carry;
    carry = (sum / 10) | 0;
    bytes[at] = ZERO + sum - carry * 10;
  }
  return true;
}
