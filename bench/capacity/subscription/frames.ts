import { Buffer } from 'node:buffer';
import { packetPrefix } from '../../../src/simulator/genesys/wire.js';
import type { Speech } from '../load/payloads.js';
import { interactionId } from '../load/plan.js';
import { textHeader } from '../load/websocket.js';
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
  /** The tick that it holds. */
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
/** By which a frame may become longer: by the digits of both numbers, and by the longer form of a frame's header. */
const MOST_GROWTH = String(LONGEST_SEQUENCE).length + String(LONGEST_TIMESTAMP).length + 2;
/** What packetMessage() of the simulator puts between and behind the two numbers. */
const TIMESTAMP_KEY = ',"timestamp":';
const PAYLOAD_KEY = ',"payload":"';
const END = '"}';

/**
 * All that one connection ever sends, prepared: a buffer for each of `slots` ticks with one frame of each interaction. A
 * tick takes the next slot, and there only the digits of its numbers change, most of them by adding to the last ones; when
 * numbers wrap or get another digit they are written again, and what lies behind them moves. The payloads come round when
 * the slots do. The slots are also how far a client may fall behind before the buffers would be changed while the socket
 * reads them.
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
    this.#slots = Array.from({ length: slots }, (_, tick) => this.#prepare(tick));
  }

  get packetsPerTick(): number {
    return this.#voices.length;
  }

  /** The bytes of one tick. They are this object's own, and stay as they are for `slots` ticks. */
  at(tick: number): Buffer {
    const slot = this.#slots[tick % this.slots] as Slot;
    if (slot.tick === tick - this.slots) this.#advance(slot, tick);
    else if (slot.tick !== tick) this.#renumberAll(slot, tick);
    slot.tick = tick;
    return slot.bytes;
  }

  /** The slot of one of the first ticks, as it is sent then. */
  #prepare(tick: number): Slot {
    const count = this.#voices.length;
    const starts = new Int32Array(count + 1);
    const sequenceEnds = new Int32Array(count);
    const timestampEnds = new Int32Array(count);
    const frames = this.#voices.map((_, place) => {
      const { text, sequenceEnd, timestampEnd } = this.#beginning(place, tick);
      const start = starts[place] as number;
      sequenceEnds[place] = start + sequenceEnd;
      timestampEnds[place] = start + timestampEnd;
      const frame = `${text}${PAYLOAD_KEY}${this.#payload(place, tick)}${END}`;
      starts[place + 1] = start + frame.length;
      return frame;
    });
    const length = starts[count] as number;
    const memory = Buffer.allocUnsafeSlow(length + count * MOST_GROWTH);
    memory.write(frames.join(''), 'latin1');
    return { memory, bytes: memory.subarray(0, length), tick, starts, sequenceEnds, timestampEnds };
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
      if (!grows) this.#renumber(slot, place, tick);
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

  #renumberAll(slot: Slot, tick: number): void {
    this.#wrapsAt.fill(0);
    for (let place = 0; place < this.#voices.length; place++) this.#renumber(slot, place, tick);
  }

  /** Writes a frame's numbers where the last ones were, and moves what lies behind them when they have another length. */
  #renumber(slot: Slot, place: number, tick: number): void {
    const { memory, starts, sequenceEnds, timestampEnds } = slot;
    const { text, sequenceEnd, timestampEnd } = this.#beginning(place, tick);
    const start = starts[place] as number;
    const from = (timestampEnds[place] as number) + 1;
    const growth = start + text.length - from;
    if (growth !== 0) {
      memory.copyWithin(from + growth, from, slot.bytes.length);
      for (let behind = place + 1; behind < starts.length; behind++) {
        starts[behind] = (starts[behind] as number) + growth;
        if (behind === sequenceEnds.length) continue;
        sequenceEnds[behind] = (sequenceEnds[behind] as number) + growth;
        timestampEnds[behind] = (timestampEnds[behind] as number) + growth;
      }
      slot.bytes = memory.subarray(0, slot.bytes.length + growth);
    }
    memory.write(text, start, 'latin1');
    sequenceEnds[place] = start + sequenceEnd;
    timestampEnds[place] = start + timestampEnd;
  }

  /** A frame up to its timestamp, and where in it the last digits of its numbers stand. */
  #beginning(place: number, tick: number): { text: string; sequenceEnd: number; timestampEnd: number } {
    const { firstSequence, firstTimestamp, ticksPerPacket } = this.#voices[place] as Voice;
    const sequence = `${this.#prefixes[place]}${sequenceAt(firstSequence, tick)}`;
    const message = `${sequence}${TIMESTAMP_KEY}${timestampAt(firstTimestamp, tick, ticksPerPacket)}`;
    const behind = PAYLOAD_KEY.length + this.#payload(place, tick % this.slots).length + END.length;
    const header = textHeader(message.length + behind).toString('latin1');
    const text = header + message;
    return { text, sequenceEnd: header.length + sequence.length - 1, timestampEnd: text.length - 1 };
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
