import { Bandwidth } from 'libopus-wasm';
import { describe, expect, it } from 'vitest';
import { CODEC_ID } from '../../src/core/codec.js';
import { BLOCKED } from '../../src/ring/agent.js';
import { FLAG, MARK } from '../../src/ring/layout.js';
import { WANT } from '../../src/ring/stream-table.js';
import { SHARD_COUNTERS } from '../../src/shard/shard-data.js';
import {
  type Arrivals,
  arrivalsOf,
  OpusLossRig,
  type OpusPacket,
  type OpusStreamSetup,
  opusStream,
} from '../support/engine/opus-loss.js';
import { nativeMissing } from '../support/engine/shard-rig.js';
import { mulberry32 } from '../support/random.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);
type Backend = 'js' | 'native';
/** Of the two backends' samples: native code adds up in another order. */
const MAX_DIFFERENCE = 1;
const BACKENDS = missing === undefined ? (['js', 'native'] as const) : (['js'] as const);

const SEEDS = process.env['TRUNKLINE_E2E'] === 'full' ? 100 : 2;

const random = mulberry32(12);
type Rate = 8000 | 16_000 | 24_000 | 48_000;
const SILK = await opusStream(random, 260, { sampleRate: 16_000, ms: [20] });
const CELT = await opusStream(random, 240, { sampleRate: 24_000, ms: [10], bitrate: 96_000, fec: false });
const NARROW: OpusStreamSetup = { sampleRate: 8000, ms: [20], maxBandwidth: Bandwidth.Narrowband, fec: false };
const STREAMS: [string, Rate, OpusPacket[]][] = [
  ['SILK with FEC', 16_000, SILK],
  ['hybrid with FEC', 48_000, await opusStream(random, 100, { sampleRate: 48_000, ms: [20] })],
  ['SILK of mixed durations', 16_000, await opusStream(random, 100, { sampleRate: 16_000, ms: [20, 40, 10, 60] })],
  ['CELT', 24_000, CELT],
  ['narrowband, without FEC', 8000, await opusStream(random, 120, NARROW)],
];

function inOrder(backend: Backend, sampleRate: number, known: readonly OpusPacket[]): OpusLossRig {
  return new OpusLossRig(backend, sampleRate).play({
    order: known.map((packet) => ({ packet, isLate: false })),
    known,
  });
}

function lateOf({ order }: Arrivals): number[] {
  return order.flatMap(({ packet, isLate }) => (isLate ? [packet.sequence] : [])).sort((a, b) => a - b);
}

function repairedBy({ corrections }: OpusLossRig): number[] {
  const repaired = corrections.filter(({ flags }) => (flags & FLAG.REPAIRED) !== 0);
  return repaired.map(({ fields }) => fields?.[4] as number).sort((a, b) => a - b);
}

function firstDifference(a: Int16Array, b: Int16Array): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  return a.findIndex((sample, i) => sample !== b[i]);
}

/** Packets from `first` on are in time but for one of number `lost`, which comes behind number `until`. */
function oneLate(packets: readonly OpusPacket[], lost: number, until: number): Arrivals {
  const order = packets.flatMap((packet) => {
    if (packet.sequence === lost) return [];
    const late = packet.sequence === until ? [{ packet: packets[lost] as OpusPacket, isLate: true }] : [];
    return [{ packet, isLate: false }, ...late];
  });
  return { order, known: packets };
}

describe.each(BACKENDS)('late packets of Opus, by the %s backend', (backend) => {
  it.each(STREAMS)('are recorded as if all had come in order: %s', (_, sampleRate, packets) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const draw = mulberry32(seed * 7919);
      const impairments = {
        missing: 0.02 + draw() * 0.15,
        comeLate: 0.3 + draw() * 0.7,
        mostLate: 1 + Math.floor(draw() * 90),
      };
      const arrivals = arrivalsOf(draw, packets, impairments);
      const played = new OpusLossRig(backend, sampleRate).play(arrivals);
      const expected = inOrder(backend, sampleRate, arrivals.known);
      expect(firstDifference(played.recording, expected.recording), `seed ${seed}`).toBe(-1);
      expect(repairedBy(played), `seed ${seed}`).toEqual(lateOf(arrivals));
      expect(played.rig.counter(SHARD_COUNTERS.LATE_UNREPAIRED)).toBe(0);
      expect(lateOf(arrivals).length).toBeGreaterThan(0);
    }
  });

  it('go on where the recorder has space again, when its ring is full', () => {
    const arrivals = oneLate(SILK, 20, 200);
    // Some 20 frames.
    const played = new OpusLossRig(backend, 16_000, { recorderRingBytes: 1 << 14 }).play(arrivals);
    expect(firstDifference(played.recording, inOrder(backend, 16_000, SILK).recording)).toBe(-1);
    expect(repairedBy(played)).toEqual([20]);
    expect(played.rig.counter(SHARD_COUNTERS.RECORDER_REFUSED)).toBe(0);
  });

  it('wait with the end of their stream while the output ring is full, and are then recorded', () => {
    const rig = new OpusLossRig(backend, 16_000);
    for (const { packet } of oneLate(SILK.slice(0, 60), 20, -1).order) rig.packet(packet);
    rig.drain();
    const { rig: shard } = rig;
    shard.open(1, { codec: CODEC_ID.PCMU, sampleRate: 8000 });
    // Marks, which are the smallest records, up to the last one for which there is space, and one that is taken out.
    for (let i = 0; shard.work() >= 0; i++) shard.mark(1, 160 * i, 160, MARK.DISCARDED);
    shard.take(shard.output, 1);
    while (shard.work() > 0) shard.take(shard.recorder);
    rig.late(SILK[20] as OpusPacket);
    shard.close(0);
    for (let i = 0; i < 5; i++) shard.work();
    expect(shard.work()).toBe(BLOCKED);
    rig.drain();
    expect(repairedBy(rig)).toEqual([20]);
    expect(shard.counter(SHARD_COUNTERS.LATE_UNREPAIRED)).toBe(0);
    shard.end();
  });

  it('put the live line where it would have been: what follows needs no correction', () => {
    const played = new OpusLossRig(backend, 16_000).play(oneLate(SILK, 60, 70));
    const expected = inOrder(backend, 16_000, SILK);
    expect(played.frames.slice(71).map(({ payload }) => payload)).toEqual(
      expected.frames.slice(71).map(({ payload }) => payload),
    );
    // The packet, and those from the gap up to its arrival that sound other.
    expect(played.corrections.length).toBeGreaterThan(1);
    expect(played.corrections.length).toBeLessThanOrEqual(11);
  });

  it('are not in the recording when they come 10 s after their gap, and are counted', () => {
    const rig = new OpusLossRig(backend, 16_000);
    const long = SILK.concat(
      SILK.map((packet) => ({ ...packet, sequence: packet.sequence + 260, position: packet.position + 249_600 })),
    );
    const played = rig.play(oneLate(long, 5, 515));
    expect(played.corrections).toEqual([]);
    expect(played.rig.counter(SHARD_COUNTERS.LATE_UNREPAIRED)).toBe(1);
  });

  it('cost streams that are not recorded nothing: no record is kept', () => {
    const wants = WANT.SPEECH_PCM | WANT.SILENT_PCM;
    const played = new OpusLossRig(backend, 16_000, { wants }).play(oneLate(SILK, 20, 30));
    expect(played.corrections).toEqual([]);
    expect(played.rig.counter(SHARD_COUNTERS.LATE_UNREPAIRED)).toBe(1);
  });

  it('come to nothing when the thread has been replaced since their gap, and the next gap is repaired', () => {
    const rig = new OpusLossRig(backend, 16_000);
    for (const { packet } of oneLate(SILK.slice(0, 60), 20, -1).order) rig.packet(packet);
    rig.drain();
    rig.rig.restart();
    rig.late(SILK[20] as OpusPacket);
    for (const packet of SILK.slice(61, 100)) rig.packet(packet);
    rig.late(SILK[60] as OpusPacket);
    rig.end();
    expect(repairedBy(rig)).toEqual([60]);
    expect(rig.rig.counter(SHARD_COUNTERS.LATE_UNREPAIRED)).toBe(1);
  });

  it('are decoded again a bounded number of times, however many there are', () => {
    const rig = new OpusLossRig(backend, 16_000);
    const isLate = ({ sequence }: OpusPacket) => sequence > 0 && sequence < 200 && sequence % 2 === 1;
    const late = SILK.filter(isLate).reverse();
    for (const packet of SILK.slice(0, 201)) if (!isLate(packet)) rig.packet(packet);
    // One between any two others, the last first: each changes all that follows.
    for (const packet of SILK.slice(201)) {
      for (const one of late.splice(0, 2)) rig.late(one);
      rig.packet(packet);
      rig.drain();
    }
    for (const one of late) rig.late(one);
    rig.end();
    expect(firstDifference(rig.recording, inOrder(backend, 16_000, SILK).recording)).toBe(-1);
    // Without a limit it would be 50 × 200 on average.
    expect(rig.corrections.length).toBeLessThan(4_000);
  });

  it('are given up where a channel takes too much memory, and are counted', () => {
    const rig = new OpusLossRig(backend, 24_000);
    // Padded to the size of the largest packet (RFC 6716 §3.2.5).
    const padded = CELT.map(({ payload, ...rest }) => {
      const [toc = 0, ...frame] = payload;
      const padding = [...Array(10).fill(255), 100];
      return {
        ...rest,
        payload: Uint8Array.of(toc | 3, 0x41, ...padding, ...frame, ...new Uint8Array(10 * 254 + 100)),
      };
    });
    const long = [0, 1].flatMap((k) =>
      padded.map((one) => ({ ...one, sequence: one.sequence + 240 * k, position: one.position + 115_200 * k })),
    );
    const played = rig.play(oneLate(long, 10, 420));
    expect(played.rig.counter(SHARD_COUNTERS.GAPS_GIVEN_UP)).toBe(1);
    expect(played.rig.counter(SHARD_COUNTERS.LATE_UNREPAIRED)).toBe(1);
    expect(played.corrections).toEqual([]);
    expect(played.frames.every(({ flags }) => (flags & FLAG.DECODE_ERROR) === 0)).toBe(true);
  });
});

describe.skipIf(missing !== undefined)('both backends', () => {
  it('send the same corrections for SILK, which adds up whole numbers, and the same but one step for all else', () => {
    for (const [name, sampleRate, packets] of STREAMS) {
      const arrivals = arrivalsOf(mulberry32(4), packets, { missing: 0.06, comeLate: 0.7, mostLate: 40 });
      const [js, native] = (['js', 'native'] as const).map((backend) =>
        new OpusLossRig(backend, sampleRate).play(arrivals),
      ) as [OpusLossRig, OpusLossRig];
      const flagsOf = ({ frames }: OpusLossRig) =>
        frames.map(({ flags, position }) => [position, flags & ~FLAG.SILENT]);
      expect(flagsOf(native), name).toEqual(flagsOf(js));
      expect(repairedBy(native), name).toEqual(repairedBy(js));
      const [ours, theirs] = [native.recording, js.recording];
      const differences = ours.map((sample, i) => Math.abs(sample - (theirs[i] as number)));
      const worst = differences.reduce((most, difference) => Math.max(most, difference), 0);
      expect(worst, name).toBeLessThanOrEqual(MAX_DIFFERENCE);
      expect(native.rig.counters(), name).toEqual(js.rig.counters());
    }
  });
});
