import { describe, expect, it } from 'vitest';
import { OpusEncoder } from '../../src/audio/codecs/opus.js';
import { CODEC_ID } from '../../src/core/codec.js';
import { FLAG, KIND } from '../../src/ring/layout.js';
import { WANT } from '../../src/ring/stream-table.js';
import { bothPaths, nativeMissing, type TakenRecord } from '../support/engine/shard-rig.js';
import { below, mulberry32 } from '../support/random.js';
import { stretches } from '../support/speech.js';
import { readTrace, TRACES, titleOf } from '../support/traces.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

const OPUS_TRACES = TRACES.filter(({ codec }) => codec === 'opus');
const CLOCK_RATE = 48_000;
/** Of the two paths' samples: they have different versions of libopus. */
const MAX_DIFFERENCE = 1;

function samplesOf(record: TakenRecord): Int16Array {
  return new Int16Array(record.payload.buffer, 0, record.payload.length >> 1);
}

/** All but the samples, and what is measured of them. */
function shapeOf({ fields = [], payload, ...rest }: TakenRecord) {
  return { ...rest, bytes: payload.length, samples: fields[2] };
}

function expectNear(native: readonly TakenRecord[], js: readonly TakenRecord[]): void {
  expect(native.map(shapeOf)).toEqual(js.map(shapeOf));
  let worst = 0;
  for (const [i, record] of native.entries()) {
    if (record.kind !== KIND.FRAME) continue;
    const theirs = samplesOf(js[i] as TakenRecord);
    samplesOf(record).forEach((sample, k) => {
      worst = Math.max(worst, Math.abs(sample - (theirs[k] as number)));
    });
  }
  expect(worst).toBeLessThanOrEqual(MAX_DIFFERENCE);
}

function speechLike(sampleRate: number): Int16Array {
  const pcm = stretches(sampleRate, [0.0005, 300], [0.2, 900], [0.0005, 800], [0.3, 400]);
  // A voice rather than noise: a pitch with harmonics, under the envelope of the noise.
  return pcm.map((sample, i) => {
    const t = i / sampleRate;
    const voice = [1, 2, 3, 5, 8].reduce((sum, n) => sum + Math.sin(2 * Math.PI * 140 * n * t) / n, 0);
    return Math.round(sample * 0.2 + Math.abs(sample) * 0.4 * voice);
  });
}

function encoded(sampleRate: number, frameMs: number, bitrate: number): Uint8Array[] {
  const encoder = new OpusEncoder({ sampleRate, bitrate });
  const pcm = speechLike(sampleRate);
  const size = (sampleRate * frameMs) / 1000;
  const packets = Array.from({ length: Math.floor(pcm.length / size) }, (_, k) =>
    encoder.encode(pcm.subarray(k * size, (k + 1) * size)),
  );
  encoder.free();
  return packets;
}

describe.skipIf(missing !== undefined)('the native path, over Opus', () => {
  it.each([
    [8000, 20, 12_000],
    [12_000, 20, 16_000],
    [16_000, 20, 24_000],
    [16_000, 40, 16_000],
    [16_000, 60, 20_000],
    [24_000, 10, 32_000],
    [48_000, 20, 24_000],
    [48_000, 20, 96_000],
    [48_000, 2.5, 64_000],
  ])('decodes within one step at %i Hz, %d ms, %i bit/s', (sampleRate, frameMs, bitrate) => {
    const { js, native, each } = bothPaths();
    each((rig) => rig.open(0, { codec: CODEC_ID.OPUS, sampleRate, clockRate: CLOCK_RATE }));
    encoded(sampleRate, frameMs, bitrate).forEach((packet, k) => {
      each((rig) => rig.packet(0, k, k * frameMs * 48, packet));
    });
    const records = native.drain();
    expectNear(records, js.drain());
    expect(records.filter(({ kind }) => kind === KIND.EDGE).length).toBeGreaterThan(1);
  });

  it('keeps count and length of frames through loss, damage and any bytes', () => {
    const packets = encoded(16_000, 20, 24_000);
    for (let seed = 1; seed <= 4; seed++) {
      const { js, native, each } = bothPaths({ inputRingBytes: 1 << 22, outputRingBytes: 1 << 23 });
      const random = mulberry32(seed);
      each((rig) => rig.open(0, { codec: CODEC_ID.OPUS, sampleRate: 16_000, clockRate: CLOCK_RATE, channels: 2 }));
      for (let k = 0; k < 1_500; k++) {
        const channel = below(random, 2);
        const draw = random();
        const packet = (packets[k % packets.length] as Uint8Array).slice();
        const ticks = 1 + below(random, 6_000);
        if (draw < 0.1) each((rig) => rig.lost(0, k, k * 960, draw < 0.05 ? 960 : ticks, channel));
        else {
          if (draw < 0.4) packet[below(random, packet.length)] = below(random, 256);
          const cut = draw < 0.2 ? packet.subarray(0, below(random, packet.length)) : packet;
          each((rig) => rig.packet(0, k, k * 960, cut, channel));
        }
      }
      // Level, and so silence, may be another in what is made up; which records there are, and how long, may not.
      const framesOf = (records: readonly TakenRecord[]) =>
        records
          .filter(({ kind }) => kind === KIND.FRAME)
          .map((record) => ({ ...shapeOf(record), flags: record.flags & ~FLAG.SILENT }));
      const records = framesOf(native.drain());
      expect(records, `seed ${seed}`).toEqual(framesOf(js.drain()));
      expect(records.some(({ flags }) => (flags & FLAG.DECODE_ERROR) !== 0)).toBe(true);
      expect(native.counters(), `seed ${seed}`).toEqual(js.counters());
    }
  });

  for (const file of OPUS_TRACES) {
    it.skipIf(!file.present)(`decodes the trace ${titleOf(file)} within one step`, () => {
      const packets = readTrace(file).packets.slice(0, 600);
      const type = packets[0]?.pt;
      const { js, native, each } = bothPaths({ inputRingBytes: 1 << 22, outputRingBytes: 1 << 23 });
      each((rig) => rig.open(0, { codec: CODEC_ID.OPUS, sampleRate: 48_000, clockRate: CLOCK_RATE }));
      for (const [k, { pt, ts, payload }] of packets.entries()) {
        if (pt === type) each((rig) => rig.packet(0, k, ts, Buffer.from(payload, 'base64')));
      }
      const records = native.drain();
      expectNear(records, js.drain());
      expect(native.counters()['DECODE_ERRORS']).toBe(0);
    });
  }

  it('holds 2,000 decoders in one thread', () => {
    const streams = 2_000;
    const { js, native, each } = bothPaths({ streams, inputRingBytes: 1 << 22, outputRingBytes: 1 << 23 });
    const packets = encoded(16_000, 20, 24_000);
    each((rig) => {
      for (let stream = 0; stream < streams; stream++) {
        const wants = WANT.SPEECH_PCM | WANT.SILENT_PCM;
        rig.open(stream, { codec: CODEC_ID.OPUS, sampleRate: 16_000, clockRate: CLOCK_RATE, wants });
      }
    });
    for (let k = 0; k < 3; k++) {
      each((rig) => {
        for (let stream = 0; stream < streams; stream++) {
          rig.packet(stream, k, k * 960, packets[20 + ((stream * 7 + k) % 60)] as Uint8Array);
        }
      });
      expectNear(native.drain(), js.drain());
    }
    expect(native.counters()['FRAMES']).toBe(streams * 3);
  }, 30_000);
});
