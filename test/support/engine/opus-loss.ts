import { Application, Bandwidth, createEncoder } from 'libopus-wasm';
import { CODEC_ID } from '../../../src/core/codec.js';
import { KIND } from '../../../src/ring/layout.js';
import { below, type Random } from '../random.js';
import { ShardRig, type TakenRecord } from './shard-rig.js';

export const OPUS_CLOCK_RATE = 48_000;

/** One packet of a stream, with its place in RTP ticks. */
export interface OpusPacket {
  readonly sequence: number;
  readonly position: number;
  readonly ticks: number;
  readonly payload: Uint8Array;
}

type Rate = 8000 | 16_000 | 24_000 | 48_000;

export interface OpusStreamSetup {
  readonly sampleRate: Rate;
  /** Durations of the packets in ms, one after another, over and over. */
  readonly ms: readonly number[];
  readonly bitrate?: number;
  readonly maxBandwidth?: Bandwidth;
  readonly fec?: boolean;
}

/** A voice of sorts, encoded as a sender on a lossy link does it. */
export async function opusStream(random: Random, count: number, setup: OpusStreamSetup): Promise<OpusPacket[]> {
  const { sampleRate, ms, bitrate = 28_000, maxBandwidth = Bandwidth.Fullband, fec = true } = setup;
  const encoder = await createEncoder({
    ...{ sampleRate, channels: 1, maxBandwidth, fec, packetLossPercent: 20 },
    ...{ application: Application.Voip, bitrate, frameSize: sampleRate / 50 },
  });
  const packets: OpusPacket[] = [];
  let position = 0;
  let phase = 0;
  for (let sequence = 0; sequence < count; sequence++) {
    const duration = ms[sequence % ms.length] as number;
    const frameSize = (sampleRate * duration) / 1000;
    const pcm = Int16Array.from({ length: frameSize }, (_, i) => {
      const t = position / OPUS_CLOCK_RATE + i / sampleRate;
      phase += (2 * Math.PI * (150 + 60 * Math.sin(3 * t))) / sampleRate;
      const envelope = Math.max(0, Math.sin(6 * t));
      return envelope * (6000 * Math.sin(phase) + 2500 * Math.sin(4 * phase) + 1500 * (random() - 0.5));
    });
    const ticks = (OPUS_CLOCK_RATE * duration) / 1000;
    packets.push({ sequence, position, ticks, payload: encoder.encode(pcm, { frameSize }) });
    position += ticks;
  }
  encoder.free();
  return packets;
}

/** What arrives, in its order: packets in time, and late ones, whose places have been passed by then. */
export interface Arrivals {
  readonly order: readonly { readonly packet: OpusPacket; readonly isLate: boolean }[];
  /** All that arrived, in the order of its numbers. */
  readonly known: readonly OpusPacket[];
}

export interface Impairments {
  /** Of all packets, how many are missing at first, and how many of those come late after all. */
  readonly missing: number;
  readonly comeLate: number;
  /** The longest delay of a late packet, in packets. */
  readonly mostLate: number;
}

export function arrivalsOf(random: Random, packets: readonly OpusPacket[], impairments: Impairments): Arrivals {
  const order: { packet: OpusPacket; isLate: boolean }[] = [];
  const waiting: { packet: OpusPacket; at: number }[] = [];
  const last = packets.length - 1;
  let isMissing = false;
  for (const [i, packet] of packets.entries()) {
    // Losses come in bursts.
    isMissing = i > 0 && i < last && random() < (isMissing ? 0.5 : impairments.missing);
    if (!isMissing) order.push({ packet, isLate: false });
    else if (random() < impairments.comeLate) waiting.push({ packet, at: i + 1 + below(random, impairments.mostLate) });
    if (isMissing) continue;
    // In any order among themselves.
    const due = waiting.filter(({ at }) => at <= i || i === last).sort(() => random() - 0.5);
    for (const one of due) {
      waiting.splice(waiting.indexOf(one), 1);
      order.push({ packet: one.packet, isLate: true });
    }
  }
  const known = order.map(({ packet }) => packet).sort((a, b) => a.sequence - b.sequence);
  return { order, known };
}

/** A rig with one recorded Opus stream, which is given packets as the engine gives them. */
export class OpusLossRig {
  readonly rig: ShardRig;
  readonly corrections: TakenRecord[] = [];
  readonly frames: TakenRecord[] = [];
  readonly #sampleRate: number;
  #pcm = new Int16Array(0);
  #last: OpusPacket | undefined;

  constructor(
    backend: 'js' | 'native',
    sampleRate: number,
    options: { recorderRingBytes?: number; wants?: number } = {},
  ) {
    const { recorderRingBytes = 1 << 20, wants } = options;
    this.#sampleRate = sampleRate;
    this.rig = new ShardRig(backend, { inputRingBytes: 1 << 20, outputRingBytes: 1 << 19, recorderRingBytes });
    const setup = { codec: CODEC_ID.OPUS, sampleRate, clockRate: OPUS_CLOCK_RATE };
    this.rig.open(0, wants === undefined ? setup : { ...setup, wants });
  }

  /** The packet that is next in time; what is missing before it is lost. */
  packet(packet: OpusPacket): void {
    const { sequence, position, payload } = packet;
    const last = this.#last;
    const missing = last === undefined ? 0 : sequence - last.sequence - 1;
    const from = last === undefined ? 0 : last.position + last.ticks;
    const startOf = (i: number) => from + Math.round(((position - from) * i) / missing);
    for (let i = 0; i < missing; i++) {
      const next = i === missing - 1 ? Uint8Array.from(payload) : new Uint8Array(0);
      this.rig.lost(0, sequence - missing + i, startOf(i), startOf(i + 1) - startOf(i), 0, next);
    }
    this.rig.packet(0, sequence, position, payload);
    this.#last = packet;
  }

  late({ sequence, position, payload }: OpusPacket): void {
    this.rig.late(0, sequence, position, payload);
  }

  /** Works, and takes what is recorded. */
  drain(): void {
    this.rig.drain();
    for (const record of this.rig.take(this.rig.recorder)) {
      if (record.kind !== KIND.FRAME && record.kind !== KIND.CORRECTION) continue;
      (record.kind === KIND.FRAME ? this.frames : this.corrections).push(record);
      const samples = new Int16Array(record.payload.buffer, 0, record.payload.length >> 1);
      const end = record.position + samples.length;
      if (end > this.#pcm.length) {
        const longer = new Int16Array(Math.max(end, 2 * this.#pcm.length, this.#sampleRate));
        longer.set(this.#pcm);
        this.#pcm = longer;
      }
      this.#pcm.set(samples, record.position);
    }
  }

  /** The stream's samples, each the last that the recorder was given. */
  get recording(): Int16Array {
    const ends = this.frames.map(({ position, payload }) => position + (payload.length >> 1));
    return this.#pcm.slice(0, Math.max(0, ...ends));
  }

  play({ order }: Arrivals): this {
    for (const { packet, isLate } of order) {
      if (isLate) this.late(packet);
      else this.packet(packet);
      this.drain();
    }
    return this.end();
  }

  end(): this {
    this.rig.close(0);
    this.drain();
    this.rig.end();
    return this;
  }
}
