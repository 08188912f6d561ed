import { Buffer } from 'node:buffer';
import { packetMessage, packetPrefix } from '../../../src/simulator/genesys/wire.js';
import type { Speech } from '../load/payloads.js';
import { interactionId } from '../load/plan.js';
import { textFrame } from '../load/websocket.js';
import { SEQUENCE_DIGITS, sequenceBase, TIMESTAMP_DIGITS, timestampBase } from './plan.js';

/** One interaction as the generator sends it. */
export interface Voice extends Speech {
  readonly index: number;
  /** Timestamp units from packet to packet. */
  readonly ticksPerPacket: number;
}

const ZERO = 0x30;

/**
 * All that one connection ever sends, laid out in advance: a buffer for each of `slots` ticks with one frame of each
 * interaction. A tick takes the next slot, and only the digits of its numbers change; the payloads come round again
 * when the slots do. The slots are also how far a client may fall behind before the buffers would be patched under
 * the socket's hands.
 */
export class ConnectionFrames {
  readonly slots: number;
  readonly #voices: readonly Voice[];
  readonly #buffers: Buffer[] = [];
  // Of every frame of every slot: where the sequence number begins. The timestamp stands at a fixed distance.
  readonly #sequenceAt: Int32Array;

  constructor(voices: readonly Voice[], slots: number) {
    this.slots = slots;
    this.#voices = voices;
    this.#sequenceAt = new Int32Array(slots * voices.length);
    const prefixes = voices.map((voice) => packetPrefix(interactionId(voice.index), undefined, undefined));
    for (let slot = 0; slot < slots; slot++) {
      let at = 0;
      const frames = voices.map((voice, place) => {
        const prefix = prefixes[place] as string;
        const payload = voice.payloads[(voice.start + slot) % voice.payloads.length] as string;
        const text = packetMessage(prefix, sequenceBase(voice.index), timestampBase(voice.index), payload);
        const frame = textFrame(text);
        this.#sequenceAt[slot * voices.length + place] = at + frame.length - text.length + prefix.length;
        at += frame.length;
        return frame;
      });
      this.#buffers.push(Buffer.concat(frames));
    }
  }

  /** The bytes of one tick. They are this object's own, and stay as they are for `slots` ticks. */
  at(tick: number): Buffer {
    const slot = tick % this.slots;
    const buffer = this.#buffers[slot] as Buffer;
    const voices = this.#voices;
    for (let place = 0; place < voices.length; place++) {
      const voice = voices[place] as Voice;
      const at = this.#sequenceAt[slot * voices.length + place] as number;
      writeDigits(buffer, at, SEQUENCE_DIGITS, sequenceBase(voice.index) + tick);
      const timestamp = timestampBase(voice.index) + tick * voice.ticksPerPacket;
      writeDigits(buffer, at + SEQUENCE_DIGITS + TIMESTAMP_KEY.length, TIMESTAMP_DIGITS, timestamp);
    }
    return buffer;
  }

  get packetsPerTick(): number {
    return this.#voices.length;
  }
}

/** What packetMessage() puts between the two numbers. */
const TIMESTAMP_KEY = ',"timestamp":';

function writeDigits(buffer: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const tenth = Math.floor(rest / 10);
    buffer[i] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
}
