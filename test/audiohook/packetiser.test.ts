import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationSamples, formatDuration } from '../../src/audiohook/duration.js';
import { type SelectedMedia, selectMedia } from '../../src/audiohook/media.js';
import { Packetiser } from '../../src/audiohook/packetiser.js';
import { TokenBucket } from '../../src/audiohook/token-bucket.js';
import { PacketBatch } from '../../src/engine/packet-batch.js';
import { PayloadArena } from '../../src/engine/payload-arena.js';

interface Packet {
  channel: number;
  sequence: number;
  timestamp: number;
  bytes: number[];
}

function bench(media: SelectedMedia, arenaBytes = 1 << 20): { packetiser: Packetiser; packets: () => Packet[] } {
  const taken: Packet[] = [];
  const arena = new PayloadArena(new SharedArrayBuffer(arenaBytes), 0, arenaBytes);
  const take = (): void => {
    for (let i = 0; i < batch.count; i++) {
      const from = batch.payloadOffset[i] as number;
      taken.push({
        channel: batch.channel[i] as number,
        sequence: batch.sequence[i] as number,
        timestamp: batch.timestamp[i] as number,
        bytes: [...batch.bytes.subarray(from, from + (batch.payloadLength[i] as number))],
      });
    }
    batch.count = 0;
    arena.releaseTo(-1);
  };
  const batch: PacketBatch = new PacketBatch(arena, take);
  const packets = (): Packet[] => {
    take();
    return taken;
  };
  return { packetiser: new Packetiser(batch, 7, media, 0), packets };
}

function media(format: string, channels: string[]): SelectedMedia {
  const selected = selectMedia([{ type: 'audio', format, channels, rate: 8000 }]);
  if (selected === undefined) throw new Error('not acceptable');
  return selected;
}

const MEDIA = ['PCMU', 'L16'].flatMap((format) =>
  [['external'], ['internal'], ['external', 'internal'], ['internal', 'external']].map((channels) =>
    media(format, channels),
  ),
);

describe('packetiser', () => {
  it('takes every stream apart exactly, whatever the frames are cut to', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...MEDIA),
        fc.array(
          fc.oneof(
            fc.integer({ min: 0, max: 8 }),
            fc.integer({ min: 0, max: 700 }),
            fc.constantFrom(320, 3200, 20_000),
          ),
          { maxLength: 30 },
        ),
        fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
        (m, sizes, releases) => {
          const sampleBytes = m.format === 'PCMU' ? 1 : 2;
          const pairBytes = sampleBytes * m.channels.length;
          const { packetiser, packets } = bench(m);
          const expected: number[][] = [[], []];
          let sent = 0;
          sizes.forEach((size, i) => {
            const frame = Uint8Array.from(
              { length: size * sampleBytes },
              (_, k) => ((sent + k) * 31 + ((sent + k) >> 8)) & 0xff,
            );
            for (let k = 0; k < frame.length; k++) {
              const place = Math.floor(((sent + k) % pairBytes) / sampleBytes);
              const channel = m.channels.length === 1 ? 0 : m.channels[place] === 'external' ? 0 : 1;
              expected[channel]?.push(frame[k] as number);
            }
            packetiser.write(frame, Math.floor(sent / pairBytes), 1);
            sent += frame.length;
            if (releases[i] === true) packetiser.release(1);
          });
          packetiser.flush(1);
          const whole = Math.floor(sent / pairBytes) * sampleBytes;
          for (let channel = 0; channel < m.channels.length; channel++) {
            const mine = packets().filter((packet) => packet.channel === channel);
            expect(mine.flatMap((packet) => packet.bytes)).toEqual(expected[channel]?.slice(0, whole));
            expect(mine.map((packet) => packet.sequence)).toEqual(mine.map((_, i) => i));
            let at = 0;
            for (const packet of mine) {
              expect(packet.timestamp).toBe(at);
              at += packet.bytes.length / sampleBytes;
              expect(packet.bytes.length / sampleBytes).toBeLessThanOrEqual(1600);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('puts tiny frames together to 20 ms, and passes usual ones on as they are', () => {
    const stereo = media('PCMU', ['external', 'internal']);
    const tiny = bench(stereo);
    for (let i = 0; i < 640; i++) tiny.packetiser.write(new Uint8Array(1), i >> 1, 1);
    expect(tiny.packets().map((packet) => packet.bytes.length)).toEqual([160, 160, 160, 160]);
    for (const pairs of [160, 1600]) {
      const usual = bench(stereo);
      usual.packetiser.write(new Uint8Array(pairs * 2), 0, 1);
      expect(usual.packets().map((packet) => packet.bytes.length)).toEqual([pairs, pairs]);
    }
  });

  it('begins anew at the place that it is told, half a pair forgotten', () => {
    const { packetiser, packets } = bench(media('PCMU', ['internal', 'external']));
    packetiser.write(Uint8Array.of(1, 2, 3), 0, 1);
    packetiser.flush(1);
    packetiser.write(Uint8Array.of(4, 5), 9000, 1);
    packetiser.flush(1);
    expect(packets()).toEqual([
      { channel: 1, sequence: 0, timestamp: 0, bytes: [1] },
      { channel: 0, sequence: 0, timestamp: 0, bytes: [2] },
      { channel: 1, sequence: 1, timestamp: 9000, bytes: [4] },
      { channel: 0, sequence: 1, timestamp: 9000, bytes: [5] },
    ]);
  });

  it('counts what finds no room, and the time line goes on', () => {
    const { packetiser, packets } = bench(media('PCMU', ['external']), 4096);
    packetiser.write(new Uint8Array(8000), 0, 1);
    expect(packetiser.droppedSamples).toBe(8000 - 3200);
    packets();
    packetiser.write(new Uint8Array(160), 8000, 1);
    expect(packets().at(-1)).toMatchObject({ timestamp: 8000, sequence: 5 });
  });
});

describe('durations', () => {
  it.each([
    ['PT0S', 0],
    ['PT12.34S', 98_720],
    ['PT0.000125S', 1],
    ['PT.5S', 4000],
    ['PT7.S', 56_000],
    ['PT86399.999875S', 691_199_999],
  ])('%s is %i samples', (text, samples) => {
    expect(durationSamples(text, 8000)).toBe(samples);
  });

  it.each(['', 'P1D', 'PT1M', 'PT-1S', 'PT1e3S', 'PTS', 'PT1S ', 'PT1,5S', `PT${'9'.repeat(40)}S`, 'PT.S'])(
    '%j is none',
    (text) => {
      expect(durationSamples(text, 8000)).toBe(-1);
    },
  );

  it('go there and back exactly', () => {
    const rate = fc.constantFrom(8000, 16_000, 24_000, 48_000);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8000 * 86_400 * 30 }), rate, (samples, hz) => {
        const text = formatDuration(samples, hz);
        expect(text).toMatch(/^PT\d+(\.\d*[1-9])?S$/);
        expect(durationSamples(text, hz)).toBe(samples);
      }),
    );
  });
});

describe('token bucket', () => {
  it('allows a burst and then the rate, and lends', () => {
    const bucket = new TokenBucket(10, 2, 0);
    expect([1, 1, 1].map((count) => bucket.tryTake(count, 0))).toEqual([true, true, false]);
    expect(bucket.tryTake(1, 99_000)).toBe(false);
    expect(bucket.tryTake(1, 100_000)).toBe(true);
    expect(bucket.spend(3, 100_000)).toBeCloseTo(300_000, 3);
    expect(bucket.tryTake(1, 300_000)).toBe(false);
    expect(bucket.tryTake(2, 10_000_000)).toBe(true);
    expect(bucket.tryTake(1, 10_000_000)).toBe(false);
  });
});
