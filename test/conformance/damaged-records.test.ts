import { afterEach, describe, expect, it } from 'vitest';
import { CODEC_ID } from '../../src/core/codec.js';
import { KIND, RECORD } from '../../src/ring/layout.js';
import { SHARD_COUNTERS } from '../../src/shard/shard-data.js';
import { nativeMissing, ShardRig } from '../support/engine/shard-rig.js';
import { below, mulberry32 } from '../support/random.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);
const BACKENDS = missing === undefined ? (['js', 'native'] as const) : (['js'] as const);

let rigs: ShardRig[] = [];
afterEach(() => {
  for (const rig of rigs) rig.end();
  rigs = [];
});

function rigOf(backend: 'js' | 'native'): ShardRig {
  const rig = new ShardRig(backend, { streams: 4 });
  rigs.push(rig);
  for (const stream of [0, 1]) rig.open(stream, { codec: CODEC_ID.PCMU, sampleRate: 8000, channels: 2 });
  return rig;
}

const packet = (rig: ShardRig, sequence: number): boolean =>
  rig.packet(1, sequence, sequence * 160, new Uint8Array(160).fill(sequence));

type Damage = (view: DataView, at: number) => void;
const i32 = (field: number, value: number): Damage => {
  return (view, at) => view.setInt32(at + field, value, true);
};
const u8 = (field: number, value: number): Damage => {
  return (view, at) => view.setUint8(at + field, value);
};
const f64 = (field: number, value: number): Damage => {
  return (view, at) => view.setFloat64(at + field, value, true);
};

const OF_A_PACKET: readonly [string, Damage][] = [
  ['a negative payload length', i32(RECORD.PAYLOAD_LENGTH, -5)],
  ['the least payload length', i32(RECORD.PAYLOAD_LENGTH, -(2 ** 31))],
  ['a payload beyond the record', i32(RECORD.PAYLOAD_LENGTH, 161)],
  ['the largest payload length', i32(RECORD.PAYLOAD_LENGTH, 2 ** 31 - 1)],
  ['a negative stream', i32(RECORD.STREAM, -1)],
  ['a stream beyond the table', i32(RECORD.STREAM, 4)],
  ['a third channel', u8(RECORD.CHANNEL, 2)],
  ['an unknown kind', u8(RECORD.KIND, 200)],
  ['the kind of an output record', u8(RECORD.KIND, KIND.FRAME)],
  ['the kind of padding', u8(RECORD.KIND, KIND.PAD)],
  ['a position that is no number', f64(RECORD.POSITION, Number.NaN)],
  ['an infinite position', f64(RECORD.POSITION, Number.POSITIVE_INFINITY)],
  ['a negative position', f64(RECORD.POSITION, -1)],
  ['a position that is not exact', f64(RECORD.POSITION, 2 ** 60)],
];

const OF_A_LENGTH: readonly [string, Damage][] = [0, -8, 8, 2 ** 31 - 1, -(2 ** 31), 1 << 19].map((length) => [
  `${length} bytes`,
  i32(RECORD.LENGTH, length),
]);

describe.each(BACKENDS)('a shard on the %s backend', (backend) => {
  it.each(OF_A_PACKET)('skips and counts a record with %s, and goes on with the next one', (_what, damage) => {
    const rig = rigOf(backend);
    packet(rig, 0);
    packet(rig, 1);
    damage(rig.input.view, rig.lastRecordAt);
    packet(rig, 2);
    const frames = rig.drain().filter(({ kind }) => kind === KIND.FRAME);
    expect(frames.map(({ position }) => position)).toEqual([0, 320]);
    expect(rig.counter(SHARD_COUNTERS.REJECTED)).toBe(1);
    expect(rig.counter(SHARD_COUNTERS.POISONED)).toBe(0);
  });

  it.each(OF_A_LENGTH)('gives up what is in the ring behind a record of %s, and goes on', (_what, damage) => {
    const rig = rigOf(backend);
    packet(rig, 0);
    packet(rig, 1);
    damage(rig.input.view, rig.lastRecordAt);
    packet(rig, 2);
    rig.drain();
    expect(rig.counter(SHARD_COUNTERS.REJECTED)).toBe(1);
    packet(rig, 3);
    const frames = rig.drain().filter(({ kind }) => kind === KIND.FRAME);
    expect(frames.map(({ position }) => position)).toEqual([480]);
  });

  it.each([
    ['lost', (rig: ShardRig) => rig.lost(1, 1, 160, 160)],
    ['mark', (rig: ShardRig) => rig.mark(1, 160, 160, 1)],
  ])('rejects a negative duration: %s', (_kind, put) => {
    const rig = rigOf(backend);
    put(rig);
    i32(RECORD.DURATION, -160)(rig.input.view, rig.lastRecordAt);
    expect(rig.drain().map(({ kind }) => kind)).toEqual([KIND.OPEN, KIND.OPEN]);
    expect(rig.counter(SHARD_COUNTERS.REJECTED)).toBe(1);
  });

  it('rejects what no output ring can take, instead of waiting for ever', () => {
    const rig = rigOf(backend);
    rig.lost(1, 1, 160, 2 ** 31 - 1);
    rig.packet(1, 2, 320, new Uint8Array(400_000));
    packet(rig, 3);
    const frames = rig.drain().filter(({ kind }) => kind === KIND.FRAME);
    expect(frames.map(({ position }) => position)).toEqual([480]);
    expect(rig.counter(SHARD_COUNTERS.REJECTED)).toBe(2);
    expect(rig.counter(SHARD_COUNTERS.CONCEALED)).toBe(0);
  });
});

it.skipIf(missing !== undefined)('both backends make the same of 3,000 damaged records', () => {
  const seed = 11;
  const random = mulberry32(seed);
  const values = [0, 1, -1, 7, 8, 55, 56, 57, 200, 255, 2 ** 16, 2 ** 31 - 1, -(2 ** 31)];
  const [js, native] = [rigOf('js'), rigOf('native')];
  for (let sequence = 0; sequence < 3_000; sequence++) {
    const stream = below(random, 2);
    const draw = below(random, 6);
    const field = below(random, 14) * 4;
    const value = values[below(random, values.length)] as number;
    const isDamaged = random() < 0.5;
    const outputs = [js, native].map((rig) => {
      if (draw === 0) rig.lost(stream, sequence, sequence * 160, 160);
      else if (draw === 1) rig.mark(stream, sequence * 160, 160, 1);
      else rig.packet(stream, sequence, sequence * 160, new Uint8Array(80).fill(sequence));
      if (isDamaged) i32(field, value)(rig.input.view, rig.lastRecordAt);
      const out = rig.drain();
      // Closing by a damaged record is right; the streams are there for the next one again.
      if (sequence % 50 === 0) {
        for (const again of [0, 1]) rig.open(again, { codec: CODEC_ID.PCMU, sampleRate: 8000, channels: 2 });
      }
      rig.take(rig.recorder);
      return out;
    });
    expect(outputs[1], `record ${sequence}, seed ${seed}`).toEqual(outputs[0]);
  }
  expect(native.counters()).toEqual(js.counters());
  expect(js.counter(SHARD_COUNTERS.REJECTED)).toBeGreaterThan(300);
});
