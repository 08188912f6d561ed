import { afterAll, describe, expect, it } from 'vitest';
import type { StreamFormat } from '../../../src/core/codec.js';
import { CaptureRig, type SentPacket } from '../../support/engine/capture-rig.js';
import { noise } from '../../support/engine/late-calls.js';
import { OPUS_CLOCK_RATE, opusStream } from '../../support/engine/opus-loss.js';
import { nativeMissing } from '../../support/engine/shard-rig.js';
import { below, mulberry32, type Random } from '../../support/random.js';

/** A sender with discontinuous transmission (DTX) sends nothing in its pauses: its numbers go on, its timestamps jump. */

const START_US = 2_000_000;
const CALM = 10;
const PACKETS = 240;
const STREAMS = process.env['TRUNKLINE_E2E'] === 'full' ? 500 : 6;

const opusPackets = await opusStream(mulberry32(7), PACKETS, { sampleRate: 16_000, ms: [20] });

interface Codec {
  readonly format: StreamFormat;
  payloadOf(random: Random, index: number): Uint8Array;
}

const noiseOf = (bytes: number) => (random: Random) => noise(below(random, 2 ** 32), bytes);
const CODECS: Readonly<Record<string, Codec>> = {
  pcmu: {
    format: { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 2 },
    payloadOf: noiseOf(160),
  },
  l16: {
    format: { codec: 'l16', clockRate: 16_000, sampleRate: 16_000, channels: 1 },
    payloadOf: noiseOf(640),
  },
  opus: {
    format: { codec: 'opus', clockRate: OPUS_CLOCK_RATE, sampleRate: 16_000, channels: 1 },
    payloadOf: (_, index) => opusPackets[index]?.payload ?? new Uint8Array(0),
  },
};

interface Call {
  readonly format: StreamFormat;
  readonly inTime: readonly SentPacket[];
  readonly arrived: readonly SentPacket[];
  readonly endUs: number;
}

/** What a channel sent, with pauses before some packets, and what became of it: most of the damage is beside the pauses. */
function channelOf(random: Random, channel: 0 | 1, { format, payloadOf }: Codec) {
  const ticks = format.clockRate / 50;
  const pauses = new Map<number, number>();
  for (let index = CALM + 5; index < PACKETS - CALM - 5; index += 12 + below(random, 25)) {
    // Timestamps of Opus are multiples of 2.5 ms (RFC 6716), those of the others are samples.
    const unit = format.codec === 'opus' ? format.clockRate / 400 : 1;
    // A shorter step of Opus could be that of longer packets.
    const leastTicks = format.codec === 'opus' ? format.clockRate / 8 : 0;
    pauses.set(index, leastTicks + unit * below(random, (format.clockRate * (random() < 0.2 ? 0.1 : 2.5)) / unit));
  }
  const packets: (SentPacket & { readonly delayUs: number | undefined })[] = [];
  let pausedTicks = 0;
  for (let index = 0; index < PACKETS; index++) {
    pausedTicks += pauses.get(index) ?? 0;
    const timestamp = index * ticks + pausedTicks;
    const isCalm = index < CALM || index >= PACKETS - CALM;
    const isBeside = [-2, -1, 0, 1, 2, 3].some((away) => pauses.has(index + away));
    const [loss, late] = isCalm ? [0, 0] : isBeside ? [0.2, 0.35] : [0.03, 0.05];
    const isLost = random() < loss;
    const isLate = random() < late;
    packets.push({
      ...{ channel, sequence: index, timestamp, payload: payloadOf(random, index) },
      arrivalUs: START_US + Math.round((timestamp / format.clockRate) * 1e6),
      delayUs: isLost ? undefined : isLate ? 150_000 + below(random, 9_000_000) : 0,
    });
  }
  return packets;
}

function callOf(seed: number, codec: Codec): Call {
  const random = mulberry32(seed);
  const sent = channelOf(random, 0, codec);
  if (codec.format.channels === 2) sent.push(...channelOf(random, 1, codec));
  const inTime = sent.filter(({ delayUs }) => delayUs !== undefined);
  const arrived = inTime.map((packet) => ({ ...packet, arrivalUs: packet.arrivalUs + (packet.delayUs ?? 0) }));
  const endUs = Math.max(...arrived.map(({ arrivalUs }) => arrivalUs)) + 500_000;
  const inOrder = (a: SentPacket, b: SentPacket) => a.arrivalUs - b.arrivalUs;
  return { format: codec.format, inTime: inTime.sort(inOrder), arrived: arrived.sort(inOrder), endUs };
}

const rigs: CaptureRig[] = [];
afterAll(() => {
  for (const rig of rigs) rig.remove();
});

function record(rig: CaptureRig, interactionId: string, arrivals: readonly SentPacket[], { format, endUs }: Call) {
  const fromUs = Math.max(0, rig.clock.nowUs() - START_US);
  const stream = rig.open(interactionId, format);
  for (const packet of arrivals) rig.take(stream, { ...packet, arrivalUs: packet.arrivalUs + fromUs });
  rig.advanceTo(fromUs + endUs);
  const summary = rig.end(stream);
  const manifest = rig.manifest(interactionId);
  const lost = manifest.spans.filter(({ state }) => state === 'lost');
  return { summary, manifest, lost, samples: rig.wav(interactionId).samples };
}

/** The samples, with zeros where they are lost. */
function received({ samples, lost }: ReturnType<typeof record>, { sampleRate, channels }: StreamFormat): Int16Array {
  const known = samples.slice();
  for (const { channel, startMs, endMs } of lost) {
    const from = Math.round((startMs * sampleRate) / 1000);
    const to = Math.round((endMs * sampleRate) / 1000);
    for (let i = from; i < to; i++) known[i * channels + channel] = 0;
  }
  return known;
}

const backends = nativeMissing() === undefined ? (['js', 'native'] as const) : (['js'] as const);

describe.each(backends)('a packet that is late beside a pause of its sender, %s', (backend) => {
  it.each(Object.entries(CODECS))('is recorded, and only what never came is lost: %s', (_, codec) => {
    const rig = new CaptureRig(backend);
    rigs.push(rig);
    for (let seed = 1; seed <= STREAMS; seed++) {
      const call = callOf(seed, codec);
      const bad = record(rig, `bad-${seed}`, call.arrived, call);
      const good = record(rig, `good-${seed}`, call.inTime, call);
      const about = `seed ${seed}`;
      expect(bad.summary.packetsLate, about).toBeGreaterThan(0);
      expect(bad.manifest.packetsRepaired, about).toBe(bad.summary.packetsLate);
      expect(bad.manifest.packetsLost, about).toBe(good.manifest.packetsLost);
      expect(bad.lost, about).toEqual(good.lost);
      const [is, ought] = [received(bad, call.format), received(good, call.format)];
      expect(is.length, about).toBe(ought.length);
      expect(
        is.findIndex((sample, i) => sample !== ought[i]),
        about,
      ).toBe(-1);
    }
  });

  it.each([19, 20])('of one second, with packet %i coming 1.5 s late', (late) => {
    const rig = new CaptureRig(backend);
    rigs.push(rig);
    const { format } = CODECS['pcmu'] as Codec;
    const stream = rig.open('call', { ...format, channels: 1 });
    const timestampOf = (n: number) => n * 160 + (n >= 20 ? 8000 : 0);
    const arrivalOf = (n: number) => START_US + timestampOf(n) * 125 + (n === late ? 1_500_000 : 0);
    const order = Array.from({ length: 120 }, (_, n) => n).sort((a, b) => arrivalOf(a) - arrivalOf(b));
    for (const n of order) {
      rig.take(stream, {
        ...{ sequence: n, timestamp: timestampOf(n), arrivalUs: arrivalOf(n) },
        payload: new Uint8Array(160).fill(0x80 + n),
      });
    }
    rig.advanceTo(START_US + 5_000_000);
    expect(rig.end(stream)).toMatchObject({ packetsLate: 1, packetsLost: 0 });
    const { spans, packetsRepaired } = rig.manifest('call');
    expect(packetsRepaired).toBe(1);
    expect(spans.filter(({ state }) => state === 'lost')).toEqual([]);
    // Nothing is made up for the pause.
    expect(
      rig
        .wav('call')
        .samples.subarray(20 * 160, 20 * 160 + 8000)
        .every((sample) => sample === 0),
    ).toBe(true);
  });
});
