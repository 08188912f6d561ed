import { afterAll, describe, expect, it } from 'vitest';
import type { Codec, StreamFormat } from '../../../src/core/codec.js';
import type { StreamSummary } from '../../../src/core/events.js';
import type { Manifest } from '../../../src/sinks/recorder/files/manifest.js';
import { CaptureRig, type SentPacket } from '../../support/engine/capture-rig.js';
import { decodeG711 } from '../../support/engine/late-calls.js';
import { nativeMissing } from '../../support/engine/shard-rig.js';
import { delayed, readTrace, TRACES, type TraceFile, titleOf } from '../../support/traces.js';

/**
 * Recordings of real packets, as they arrived and with a twelfth of them up to 9 s later: each is, sample by sample, the
 * recording of the same packets in order, and G.711 is where its timestamp says.
 */

const BACKENDS = nativeMissing() === undefined ? (['js', 'native'] as const) : (['js'] as const);
const START_US = 2_000_000;
const SEEDS = process.env['TRUNKLINE_E2E'] === 'full' ? [1, 2, 3, 4] : [1];

const rigs: CaptureRig[] = [];
afterAll(() => {
  for (const rig of rigs) rig.remove();
});

interface Recorded {
  readonly summary: StreamSummary;
  readonly manifest: Manifest;
  readonly samples: Int16Array;
}

function packetsOf(trace: TraceFile): SentPacket[] {
  return readTrace(trace).packets.map(({ arrivalUs, seq, ts, payload }) => ({
    ...{ sequence: seq, timestamp: ts, arrivalUs: START_US + arrivalUs },
    payload: Buffer.from(payload, 'base64'),
  }));
}

/** Without copies. */
function uniqueOf(packets: readonly SentPacket[]): SentPacket[] {
  const seen = new Set<number>();
  return packets.filter(({ sequence }) => !seen.has(sequence) && seen.add(sequence));
}

/** In the order of their numbers, which may wrap around once: each comes no later than those that overtook it. */
function inOrder(packets: readonly SentPacket[]): SentPacket[] {
  const first = packets[0]?.sequence ?? 0;
  const ahead = ({ sequence }: SentPacket) => ((sequence - first + 0x18000) % 0x10000) - 0x8000;
  let arrivalUs = Number.POSITIVE_INFINITY;
  return uniqueOf(packets)
    .sort((a, b) => ahead(b) - ahead(a))
    .map((packet) => {
      arrivalUs = Math.min(arrivalUs, packet.arrivalUs);
      return { ...packet, arrivalUs };
    })
    .reverse();
}

function record(rig: CaptureRig, name: string, format: StreamFormat, packets: readonly SentPacket[]): Recorded {
  const fromUs = Math.max(0, rig.clock.nowUs() - START_US);
  const stream = rig.open(name, format);
  for (const packet of packets) rig.take(stream, { ...packet, arrivalUs: packet.arrivalUs + fromUs });
  rig.advanceTo(rig.clock.nowUs() + 3_000_000);
  const summary = rig.end(stream);
  return { summary, manifest: rig.manifest(name), samples: rig.wav(name).samples };
}

function expectWhole({ summary, manifest, samples }: Recorded, reference: Recorded, about: string): void {
  expect(summary.packetsReceived, about).toBe(reference.summary.packetsReceived);
  expect(summary.packetsLost, about).toBe(reference.summary.packetsLost);
  expect(summary.packetsRepaired, about).toBe(summary.packetsLate);
  expect(manifest.packetsRepaired, about).toBe(summary.packetsLate);
  expect(samples.length, about).toBe(reference.samples.length);
  const lost = ({ spans }: Manifest) => spans.filter(({ state }) => state === 'lost');
  expect(lost(manifest), about).toEqual(lost(reference.manifest));
  // What is made up for lost G.711 is fitted to the packets that were there at the time.
  const isMadeUp = manifest.codec === 'opus' ? () => false : lostAt(manifest);
  expect(
    samples.findIndex((sample, i) => sample !== reference.samples[i] && !isMadeUp(i)),
    about,
  ).toBe(-1);
}

function lostAt({ spans, sampleRate }: Manifest): (sample: number) => boolean {
  const lost = spans.filter(({ state }) => state === 'lost');
  return (sample) => {
    const ms = (sample * 1000) / sampleRate;
    return lost.some(({ startMs, endMs }) => startMs <= ms && ms < endMs);
  };
}

function expectByTimestamp({ samples }: Recorded, codec: Codec, packets: readonly SentPacket[]): void {
  const [first] = packets;
  for (const { sequence, timestamp, payload } of packets) {
    const position = (timestamp - (first?.timestamp ?? 0) + 2 ** 32) % 2 ** 32;
    const pcm = decodeG711(codec === 'pcma' ? 'pcma' : 'pcmu', payload);
    const isThere = pcm.every((sample, i) => samples[position + i] === sample);
    if (!isThere) expect.fail(`Packet ${sequence} is not where its timestamp says, at ${position}.`);
  }
}

describe.each(BACKENDS)('the recording of real packets, %s', (backend) => {
  for (const trace of TRACES) {
    it.skipIf(!trace.present)(`has every packet in its place: ${titleOf(trace)}`, () => {
      const rig = new CaptureRig(backend);
      rigs.push(rig);
      const rate = trace.codec === 'opus' ? 48_000 : 8000;
      const sampleRate = trace.codec === 'opus' ? 16_000 : 8000;
      const format: StreamFormat = { codec: trace.codec, clockRate: rate, sampleRate, channels: 1 };
      const packets = packetsOf(trace);
      const ordered = inOrder(packets);
      const reference = record(rig, 'in-order', format, ordered);
      expect(reference.summary).toMatchObject({
        packetsReceived: ordered.length,
        packetsLost: trace.lost,
        packetsLate: 0,
      });
      if (trace.codec !== 'opus') expectByTimestamp(reference, trace.codec, ordered);
      expectWhole(record(rig, 'as-it-was', format, packets), reference, 'as it was');
      for (const seed of SEEDS) {
        const late = record(rig, `late-${seed}`, format, delayed(packets, seed));
        expect(late.summary.packetsLate).toBeGreaterThan(0);
        expectWhole(late, reference, `late, seed ${seed}`);
      }
    });
  }
});
