import { below, mulberry32, type Random } from '../random.js';

/** One thing that happens to an engine's input. */
export type TrafficEvent =
  | {
      readonly kind: 'packet';
      readonly atUs: number;
      readonly channel: number;
      readonly sequence: number;
      readonly timestamp: number;
      readonly payload: Uint8Array;
    }
  | { readonly kind: 'pause' | 'resume' | 'interrupted' | 'reopen'; readonly atUs: number };

export interface TrafficOptions {
  readonly channels: 1 | 2;
  readonly codec: 'pcmu' | 'l16' | 'opus';
  readonly seconds: number;
  /** How much goes wrong; 0 is a line in order, with nothing but a little jitter. */
  readonly severity: number;
}

const PACKET_US = 20_000;
const TICKS = { pcmu: 160, l16: 160, opus: 960 } as const;
const MODULUS_16 = 2 ** 16;
const MODULUS_32 = 2 ** 32;

/** What a sender and a network can make of one channel: loss, order, copies, restarts, wraps, stalls, jumps, silence. */
class Sender {
  readonly #random: Random;
  readonly #options: TrafficOptions;
  readonly #channel: number;
  #sequence: number;
  #timestamp: number;
  /** What the network adds to the delay at present, and until when nothing gets through. */
  #extraUs = 0;
  #stalledUntilUs = 0;
  #silentUntilUs = 0;
  readonly #ppm: number;

  constructor(random: Random, options: TrafficOptions, channel: number) {
    this.#random = random;
    this.#options = options;
    this.#channel = channel;
    // Often just before a wrap.
    this.#sequence = below(random, 2) === 0 ? MODULUS_16 - below(random, 200) : below(random, MODULUS_16);
    this.#timestamp = below(random, 2) === 0 ? MODULUS_32 - below(random, 100_000) : below(random, MODULUS_32);
    this.#ppm = below(random, 3) === 0 ? below(random, 800) - 400 : 0;
  }

  /** The packets that it sends at a time, with their arrival. */
  *send(nowUs: number): Generator<TrafficEvent> {
    const random = this.#random;
    const ticks = TICKS[this.#options.codec];
    this.#mishaps(nowUs, ticks);
    if (nowUs < this.#silentUntilUs) return;
    this.#sequence = (this.#sequence + 1) % MODULUS_16;
    this.#timestamp = (this.#timestamp + ticks) % MODULUS_32;
    if (this.#happens(40)) return;
    const jitterUs = below(random, this.#options.severity > 1 ? 15_000 : 3_000);
    let atUs = nowUs * (1 + this.#ppm * 1e-6) + 30_000 + this.#extraUs + jitterUs;
    if (this.#happens(40)) atUs += below(random, 200_000);
    if (this.#happens(300)) atUs += below(random, 4_000_000);
    atUs = Math.max(Math.round(atUs), this.#stalledUntilUs);
    const packet = { kind: 'packet', channel: this.#channel, sequence: this.#sequence } as const;
    const sent = { ...packet, timestamp: this.#timestamp, payload: this.#payload() };
    yield { ...sent, atUs };
    if (this.#happens(60)) yield { ...sent, atUs: atUs + below(random, 300_000) };
  }

  #mishaps(nowUs: number, ticks: number): void {
    const random = this.#random;
    // Loss in a row; numbers that were never sent; a sender that begins again, or sets its clock; silence, with the
    // clock going on or standing still; a stall of the network; a longer way.
    if (this.#happens(300)) this.#go(1 + below(random, 60), ticks);
    if (this.#happens(500)) this.#sequence = (this.#sequence + below(random, 50)) % MODULUS_16;
    if (this.#happens(1_000)) {
      this.#sequence = below(random, MODULUS_16);
      if (below(random, 2) === 0) this.#timestamp = below(random, MODULUS_32);
    }
    if (this.#happens(1_000)) this.#timestamp = (this.#timestamp + below(random, 400_000)) % MODULUS_32;
    if (this.#happens(500)) {
      const packets = 1 + below(random, 150);
      this.#silentUntilUs = nowUs + packets * PACKET_US;
      if (below(random, 2) === 0) this.#timestamp = (this.#timestamp + packets * ticks) % MODULUS_32;
    }
    if (this.#happens(500)) this.#stalledUntilUs = nowUs + below(random, 2_500_000);
    if (this.#happens(700)) this.#extraUs = below(random, 100_000);
  }

  #go(packets: number, ticks: number): void {
    this.#sequence = (this.#sequence + packets) % MODULUS_16;
    this.#timestamp = (this.#timestamp + packets * ticks) % MODULUS_32;
  }

  /** One packet in so many, as the severity has it. */
  #happens(packets: number): boolean {
    return this.#random() * packets < this.#options.severity;
  }

  #payload(): Uint8Array {
    const random = this.#random;
    const { codec } = this.#options;
    if (codec === 'opus') return Uint8Array.from({ length: 3 + below(random, 40) }, (_, i) => (i === 0 ? 8 : i));
    const samples = this.#happens(200) ? below(random, 300) : 160;
    return new Uint8Array(codec === 'l16' ? samples * 2 : samples).fill(below(random, 256));
  }
}

/** All that happens to a stream, in order. */
export function traffic(seed: number, options: TrafficOptions): TrafficEvent[] {
  const random = mulberry32(seed);
  const senders = Array.from({ length: options.channels }, (_, channel) => new Sender(random, options, channel));
  const events: TrafficEvent[] = [];
  for (let nowUs = 0; nowUs < options.seconds * 1e6; nowUs += PACKET_US) {
    for (const sender of senders) events.push(...sender.send(nowUs));
    if (random() * 1_500 < options.severity) {
      events.push({ kind: 'pause', atUs: nowUs }, { kind: 'resume', atUs: nowUs + below(random, 3_000_000) });
    }
    if (random() * 1_500 < options.severity) events.push({ kind: 'interrupted', atUs: nowUs });
    if (random() * 3_000 < options.severity) events.push({ kind: 'reopen', atUs: nowUs });
  }
  return events.sort((a, b) => a.atUs - b.atUs);
}
