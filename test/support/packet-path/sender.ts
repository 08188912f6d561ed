import { Buffer } from 'node:buffer';
import type { Codec } from '../../../src/core/codec.js';
import { textFrame } from '../genesys/frames.js';
import { below, type Random } from '../random.js';
import { damaged } from './hostile.js';
import type { ScriptCall, Step } from './steps.js';

/** What may go wrong on a line, each with how often per packet. A script has some of them. */
export const IMPAIRMENTS = [
  'loss',
  'burstLoss',
  'jitter',
  'reordering',
  'duplicates',
  'late',
  'restart',
  'jump',
  'skippedNumbers',
  'clockStep',
  'standstill',
  'silenceSuppression',
  'comfortNoise',
  'stall',
  'secondNumbering',
  'codecChange',
  'packetLength',
  'wideNumbers',
  'oddNumbers',
  'hostileBytes',
  'otherForms',
  'drift',
] as const;
export type Impairment = (typeof IMPAIRMENTS)[number];
export type Impairments = ReadonlyMap<Impairment, number>;

export interface TimedStep {
  readonly atUs: number;
  readonly step: Step;
}

const RATE: Record<Codec, number> = { pcmu: 8000, pcma: 8000, l16: 16_000, opus: 48_000 };
const CODECS: readonly Codec[] = ['pcmu', 'pcma', 'l16', 'opus'];
/** Opus of one frame, by their length (RFC 6716 section 3.1): 10, 20, 40 and 60 ms of SILK, 20 ms of CELT. */
const OPUS_TOC = [0x40, 0x48, 0x50, 0x58, 0xf8] as const;
const noise = Buffer.from(Array.from({ length: 8192 }, (_, i) => (Math.imul(i, 2_654_435_761) >>> 13) & 0xff));

/** One numbering of a sender. */
interface Numbers {
  sequence: number;
  timestamp: number;
}

/** What one channel of a call sends, and when it arrives. */
export class Sender {
  readonly #random: Random;
  readonly #call: ScriptCall;
  readonly #channel: 0 | 1;
  readonly #impairments: Impairments;
  readonly #steps: TimedStep[] = [];
  readonly #numbers: Numbers;
  #second: Numbers | undefined;
  #codec: Codec;
  #packetMs: number;
  #stalledUntilUs = 0;
  #losing = 0;
  #names: boolean;

  constructor(random: Random, call: ScriptCall, channel: 0 | 1, impairments: Impairments) {
    this.#random = random;
    this.#call = call;
    this.#channel = channel;
    this.#impairments = impairments;
    this.#codec = call.codec;
    this.#packetMs = this.#oneOf([10, 20, 20, 20, 30, 60]);
    this.#names = random() < 0.3;
    this.#numbers = this.#anyNumbers();
  }

  send(fromUs: number, packets: number): readonly TimedStep[] {
    const pace = this.#has('drift') ? 1 + (below(this.#random, 2001) - 1000) / 1e6 : 1;
    let atUs = fromUs;
    for (let sent = 0; sent < packets; sent++) {
      atUs = this.#before(atUs);
      this.#sendOne(atUs, this.#numbers);
      if (this.#second !== undefined) this.#sendOne(atUs + below(this.#random, 3000), this.#second);
      atUs += this.#packetMs * 1000 * pace;
    }
    return this.#steps;
  }

  /** What happens before the next packet; returns when that is sent. */
  #before(atUs: number): number {
    const random = this.#random;
    const numbers = this.#numbers;
    const rate = RATE[this.#codec];
    if (this.#happens('restart')) {
      const fresh = this.#anyNumbers();
      numbers.sequence = fresh.sequence;
      if (random() < 0.6) numbers.timestamp = fresh.timestamp;
    }
    if (this.#happens('jump')) numbers.sequence += this.#oneOf([-1, 1]) * below(random, 4000);
    if (this.#happens('skippedNumbers')) numbers.sequence += 1 + below(random, 40);
    if (this.#happens('clockStep')) numbers.timestamp += Math.floor((random() - 0.3) * 20 * rate);
    if (this.#happens('packetLength')) this.#packetMs = this.#oneOf([10, 20, 30, 40, 60]);
    if (this.#happens('stall')) this.#stalledUntilUs = atUs + this.#oneOf([200_000, 1_000_000, 4_000_000]) * random();
    if (this.#happens('codecChange')) this.#codec = this.#oneOf(CODECS);
    if (this.#happens('secondNumbering')) this.#second = this.#second === undefined ? this.#anyNumbers() : undefined;
    if (this.#happens('burstLoss')) this.#losing = 1 + below(random, 60);
    if (this.#happens('hostileBytes')) this.#hostile(atUs);
    const pauseUs = this.#oneOf([40_000, 500_000, 3_000_000]) * random();
    if (this.#happens('standstill')) return atUs + pauseUs;
    if (!this.#happens('silenceSuppression')) return atUs;
    numbers.timestamp += Math.round((pauseUs / 1e6) * rate);
    return atUs + pauseUs;
  }

  #sendOne(atUs: number, numbers: Numbers): void {
    const random = this.#random;
    const payload = this.#payload();
    const { sequence, timestamp } = numbers;
    numbers.sequence++;
    numbers.timestamp += (RATE[this.#codec] * this.#packetMs) / 1000;
    if (this.#losing > 0 && this.#losing-- > 0) return;
    if (this.#happens('loss')) return;
    const bytes = this.#message(sequence, timestamp, payload);
    let delayUs = this.#has('jitter') ? random() * random() * 80_000 : 0;
    if (this.#happens('reordering')) delayUs += random() * this.#packetMs * 8000;
    if (this.#happens('late')) delayUs += random() * 11_000_000;
    const arrivesUs = Math.max(atUs + delayUs, this.#stalledUntilUs);
    const what = `${this.#call.id}.${this.#channel} ${this.#codec} sequence ${sequence} timestamp ${timestamp}, ${payload.length} bytes`;
    this.#arrive(arrivesUs, bytes, what);
    if (this.#happens('duplicates')) this.#arrive(arrivesUs + random() * 400_000, bytes, `${what}, again`);
  }

  #message(sequence: number, timestamp: number, payload: Buffer): Buffer {
    const [wireSequence, wireTimestamp] = this.#onWire(sequence, timestamp);
    const fields = {
      interactionId: this.#call.id,
      sequenceNumber: wireSequence,
      timestamp: wireTimestamp,
      ...(this.#names || this.#codec !== this.#call.codec ? { codec: this.#codec } : {}),
      ...(this.#channel === 1 || this.#names ? { channel: this.#channel } : {}),
      payload: payload.toString('base64'),
    };
    if (!this.#happens('otherForms')) return Buffer.from(JSON.stringify(fields));
    const form = below(this.#random, 4);
    if (form === 0) return Buffer.from(JSON.stringify(fields, null, 1));
    if (form === 1) return Buffer.from(JSON.stringify({ ...fields, note: { of: [1, null] } }));
    if (form === 2) return Buffer.from(JSON.stringify(fields).replace('"payload"', '"\\u0070ayload"'));
    return Buffer.from(JSON.stringify(Object.fromEntries(Object.entries(fields).reverse())));
  }

  /** 16 and 32 bits as RTP has them; platforms also send them unwrapped, and anything may come. */
  #onWire(sequence: number, timestamp: number): [number, number] {
    if (this.#happens('oddNumbers')) {
      const odd = [0, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 48, 2 ** 53 - 1, 2 ** 53, 0.5, -1];
      return this.#random() < 0.5
        ? [this.#oneOf(odd), wrapped(timestamp, 32)]
        : [wrapped(sequence, 16), this.#oneOf(odd)];
    }
    if (this.#has('wideNumbers')) return [wrapped(sequence, 40), wrapped(timestamp, 44)];
    return [wrapped(sequence, 16), wrapped(timestamp, 32)];
  }

  #payload(): Buffer {
    const random = this.#random;
    const from = below(random, 4096);
    if (this.#happens('comfortNoise')) return noise.subarray(from, from + 1 + below(random, 11));
    if (this.#codec === 'opus') {
      const payload = Buffer.from(noise.subarray(from, from + 20 + below(random, 80)));
      payload[0] = this.#packetMs === 20 ? 0x48 : this.#oneOf(OPUS_TOC);
      return payload;
    }
    const bytes = (RATE[this.#codec] * this.#packetMs * (this.#codec === 'l16' ? 2 : 1)) / 1000;
    return noise.subarray(from, from + bytes);
  }

  #hostile(atUs: number): void {
    const [sequence, timestamp] = this.#onWire(this.#numbers.sequence, this.#numbers.timestamp);
    const { bytes, what } = damaged(this.#random, this.#message(sequence, timestamp, this.#payload()));
    this.#arrive(atUs, bytes, what);
  }

  #arrive(atUs: number, message: Uint8Array, what: string): void {
    const { connection } = this.#call;
    this.#steps.push({ atUs, step: { does: 'arrive', connection, bytes: textFrame(message), what } });
  }

  #anyNumbers(): Numbers {
    const random = this.#random;
    // Near the wrap as often as not.
    const sequence = random() < 0.5 ? 2 ** 16 - below(random, 300) : below(random, 2 ** 16);
    const timestamp = random() < 0.5 ? 2 ** 32 - below(random, 200_000) : below(random, 2 ** 32);
    return { sequence, timestamp };
  }

  #has(impairment: Impairment): boolean {
    return this.#impairments.has(impairment);
  }

  #happens(impairment: Impairment): boolean {
    const share = this.#impairments.get(impairment);
    return share !== undefined && this.#random() < share;
  }

  #oneOf<T>(values: readonly T[]): T {
    return values[below(this.#random, values.length)] as T;
  }
}

function wrapped(number: number, bits: number): number {
  const modulus = 2 ** bits;
  return ((number % modulus) + modulus) % modulus;
}
