import { Bandwidth } from 'libopus-wasm';
import { describe, expect, it } from 'vitest';
import { FLAG } from '../../src/ring/layout.js';
import { type Arrivals, arrivalsOf, OpusLossRig, type OpusPacket, opusStream } from '../support/engine/opus-loss.js';
import { nativeMissing } from '../support/engine/shard-rig.js';
import { mulberry32 } from '../support/random.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);
const BACKENDS = missing === undefined ? (['js', 'native'] as const).slice(0, 1) : (['js'] as const);

const random = mulberry32(12);
const STREAMS: [string, 8000 | 16_000 | 24_000 | 48_000, OpusPacket[]][] = [
  ['SILK with FEC', 16_000, await opusStream(random, 260, { sampleRate: 16_000, ms: [20] })],
  ['hybrid with FEC', 48_000, await opusStream(random, 200, { sampleRate: 48_000, ms: [20] })],
  ['SILK of mixed durations', 16_000, await opusStream(random, 160, { sampleRate: 16_000, ms: [20, 40, 10, 60] })],
  ['CELT', 24_000, await opusStream(random, 240, { sampleRate: 24_000, ms: [10], bitrate: 96_000, fec: false })],
  [
    'narrowband, without FEC',
    8000,
    await opusStream(random, 200, { sampleRate: 8000, ms: [20], maxBandwidth: Bandwidth.Narrowband, fec: false }),
  ],
];

function inOrder(backend: 'js' | 'native', sampleRate: number, known: readonly OpusPacket[]): OpusLossRig {
  return new OpusLossRig(backend, sampleRate).play({
    order: known.map((packet) => ({ packet, isLate: false })),
    known,
  });
}

function lateOf({ order }: Arrivals): number[] {
  return order.flatMap(({ packet, isLate }) => (isLate ? [packet.sequence] : [])).sort((a, b) => a - b);
}

describe.each(BACKENDS)('late packets of Opus, by the %s backend', (backend) => {
  it.each(STREAMS)('are recorded as if all had come in order: %s', (_, sampleRate, packets) => {
    for (let seed = 1; seed <= 12; seed++) {
      const draw = mulberry32(seed * 7919);
      const fates = {
        missing: 0.02 + draw() * 0.15,
        comeLate: 0.3 + draw() * 0.7,
        mostLate: 1 + Math.floor(draw() * 90),
      };
      const arrivals = arrivalsOf(draw, packets, fates);
      const played = new OpusLossRig(backend, sampleRate).play(arrivals);
      const expected = inOrder(backend, sampleRate, arrivals.known);
      expect(played.recording.length, `seed ${seed}`).toBe(expected.recording.length);
      expect(firstDifference(played.recording, expected.recording), `seed ${seed}`).toBe(-1);
      const repaired = played.corrections.filter(({ flags }) => (flags & FLAG.REPAIRED) !== 0);
      const sequences = repaired.map(({ fields }) => fields?.[4] as number).sort((a, b) => a - b);
      expect(sequences, `seed ${seed}`).toEqual(lateOf(arrivals));
    }
  });
});

function firstDifference(a: Int16Array, b: Int16Array): number {
  return a.findIndex((sample, i) => sample !== b[i]);
}
