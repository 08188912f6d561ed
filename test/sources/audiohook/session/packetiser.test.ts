import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../../../../src/core/network/token-bucket.js';
import { JsDeinterleaver } from '../../../../src/sources/audiohook/protocol/deinterleave.js';
import { durationSamples, formatDuration } from '../../../../src/sources/audiohook/protocol/duration.js';
import { type SelectedMedia, selectMedia } from '../../../../src/sources/audiohook/protocol/media.js';
import { Packetiser } from '../../../../src/sources/audiohook/session/packetiser.js';
import { DirectIngest } from '../../../support/audiohook/recording-ingest.js';

interface Packet {
  channel: number;
  sequence: number;
  position: number;
  bytes: number[];
}

function bench(media: SelectedMedia): { packetiser: Packetiser; packets: Packet[]; ingest: DirectIngest } {
  const packets: Packet[] = [];
  const ingest = new DirectIngest(
    (stream) => (stream === 7 ? media.channels.length : 0),
    ({ channel, sequence, position, bytes }) => packets.push({ channel, sequence, position, bytes: [...bytes] }),
  );
  return { packetiser: new Packetiser(ingest, new JsDeinterleaver(ingest), 7, media, 0), packets, ingest };
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
        fc.infiniteStream(fc.integer({ min: 0, max: 4 })),
        (m, sizes, releases, capacities) => {
          const sampleBytes = m.format === 'PCMU' ? 1 : 2;
          const pairBytes = sampleBytes * m.channels.length;
          const { packetiser, packets, ingest } = bench(m);
          // Capacity ends anywhere, also within a frame, and the same frame is written again.
          const until = (step: () => boolean): void => {
            for (;;) {
              ingest.claimsLeft = capacities.next().value ?? 1;
              if (step()) return;
              expect(ingest.claimsLeft).toBe(0);
            }
          };
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
            until(() => packetiser.write(frame, Math.floor(sent / pairBytes), 1));
            sent += frame.length;
            if (releases[i] === true) packetiser.release(1);
          });
          until(() => packetiser.flush(1));
          const whole = Math.floor(sent / pairBytes) * sampleBytes;
          for (let channel = 0; channel < m.channels.length; channel++) {
            const mine = packets.filter((packet) => packet.channel === channel);
            expect(mine.flatMap((packet) => packet.bytes)).toEqual(expected[channel]?.slice(0, whole));
            expect(mine.map((packet) => packet.sequence)).toEqual(mine.map((_, i) => i));
            let at = 0;
            for (const packet of mine) {
              expect(packet.position).toBe(at);
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
    expect(tiny.packets.map((packet) => packet.bytes.length)).toEqual([160, 160, 160, 160]);
    for (const pairs of [160, 1600]) {
      const usual = bench(stereo);
      usual.packetiser.write(new Uint8Array(pairs * 2), 0, 1);
      expect(usual.packets.map((packet) => packet.bytes.length)).toEqual([pairs, pairs]);
    }
  });

  it('starts again at the given position, and drops half a pair', () => {
    const { packetiser, packets } = bench(media('PCMU', ['internal', 'external']));
    packetiser.write(Uint8Array.of(1, 2, 3), 0, 1);
    packetiser.flush(1);
    packetiser.write(Uint8Array.of(4, 5), 9000, 1);
    packetiser.flush(1);
    expect(packets).toEqual([
      { channel: 0, sequence: 0, position: 0, bytes: [2] },
      { channel: 1, sequence: 0, position: 0, bytes: [1] },
      { channel: 0, sequence: 1, position: 9000, bytes: [5] },
      { channel: 1, sequence: 1, position: 9000, bytes: [4] },
    ]);
  });

  it('goes on after a stream that the engine has ended, and counts what is lost with it', () => {
    const gone = media('PCMU', ['external', 'internal']);
    const { ingest } = bench(gone);
    const packetiser = new Packetiser(ingest, new JsDeinterleaver(ingest), 8, gone, 0);
    expect(packetiser.write(new Uint8Array(640), 0, 1)).toBe(true);
    expect(packetiser.droppedSamples).toBe(640);
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

  it.each(['', 'P1D', 'PT1M', 'PT-1S', 'PTS', 'PT1S ', 'PT1,5S', `PT${'9'.repeat(40)}S`, 'PT.S'])(
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
