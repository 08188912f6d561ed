import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DISCONTINUITY } from '../../src/rtp/playout-queue.js';
import { Timeline } from '../../src/rtp/timeline.js';

const RATE = 8000;
const SECOND_US = 1_000_000;

function openTimeline(): Timeline {
  const timeline = new Timeline(4);
  timeline.openChannel(0, RATE);
  timeline.openChannel(1, RATE);
  timeline.openChannel(2, RATE);
  return timeline;
}

/** Packets of 20 ms where nothing else is said. */
function place(
  timeline: Timeline,
  channel: number,
  timestamp: number,
  arrivalUs: number,
  flags: number,
  durationTicks = 160,
): number {
  return timeline.place(channel, timestamp, arrivalUs, flags, durationTicks);
}

describe('one channel', () => {
  it('begins at 0 and follows the timestamps at any arrival', () => {
    const timeline = openTimeline();
    expect(place(timeline, 0, 5000, 77, 0)).toBe(0);
    expect(place(timeline, 0, 5160, 900_000, 0)).toBe(160);
    expect(place(timeline, 0, 5320, 900_001, 0)).toBe(320);
    expect(timeline.rebased).toBe(false);
  });

  it('keeps the length of pauses and of lost packets', () => {
    const timeline = openTimeline();
    place(timeline, 0, 0, 0, 0);
    expect(place(timeline, 0, 24_000, 3 * SECOND_US, 0)).toBe(24_000);
    expect(timeline.placeLost(0, 24_160, 160)).toBe(24_160);
    expect(timeline.placeLost(0, 24_320, 160)).toBe(24_320);
    expect(place(timeline, 0, 24_480, 3_060_000, 0)).toBe(24_480);
  });

  it('trusts a long gap that lost packets have filled, although the packet after it arrived at once', () => {
    const timeline = openTimeline();
    place(timeline, 0, 0, 0, 0);
    for (let i = 0; i < 450; i++) timeline.placeLost(0, 160 + i * 160, 160);
    expect(place(timeline, 0, 160 * 451, 100_000, 0)).toBe(160 * 451);
    expect(timeline.rebased).toBe(false);
  });

  it('goes on by the time of arrival after a restart', () => {
    const timeline = openTimeline();
    place(timeline, 0, 1_000_000, 0, 0);
    place(timeline, 0, 1_000_160, 20_000, 0);
    expect(place(timeline, 0, 7, 1_020_000, DISCONTINUITY)).toBe(160 + RATE);
    expect(timeline.rebased).toBe(true);
    expect(place(timeline, 0, 167, 1_040_000, 0)).toBe(160 + RATE + 160);
    expect(timeline.rebased).toBe(false);
  });

  it('keeps to the timestamps at a discontinuity if the arrival bears them out', () => {
    const timeline = openTimeline();
    place(timeline, 0, 100, 0, 0);
    expect(place(timeline, 0, 100 + 20 * RATE, 20.2 * SECOND_US, DISCONTINUITY)).toBe(20 * RATE);
    expect(timeline.rebased).toBe(false);
  });

  it('does not believe timestamps that jump ahead of the arrival or far back', () => {
    const timeline = openTimeline();
    place(timeline, 0, 0, 0, 0);
    expect(place(timeline, 0, 60 * RATE, 20_000, 0)).toBe(160);
    expect(timeline.rebased).toBe(true);
    expect(place(timeline, 0, 60 * RATE + 160, 40_000, 0)).toBe(320);
    expect(place(timeline, 0, 3 * RATE, 60_000, 0)).toBe(480);
    expect(timeline.rebased).toBe(true);
  });

  it('makes no more time without audio than has passed, however small the steps', () => {
    const timeline = openTimeline();
    let end = 0;
    for (let i = 0; i < 400; i++) end = place(timeline, 0, i * 39_200, i * 5_000, i % 2 === 0 ? 0 : DISCONTINUITY);
    expect(end).toBeLessThanOrEqual(400 * 160 + RATE * (2 + 1));
    let slow = 0;
    for (let i = 0; i < 400; i++) slow = place(timeline, 2, i * 3_000, i * 5_000, i % 2 === 0 ? 0 : DISCONTINUITY);
    expect(slow).toBeLessThanOrEqual(400 * 160 + RATE * (2 + 1));
  });

  it('lets a packet follow at once whose timestamp slips, and believes the next one', () => {
    const timeline = openTimeline();
    place(timeline, 0, 0, 0, 0);
    place(timeline, 0, 160, 20_000, 0);
    expect(place(timeline, 0, 100, 40_000, 0)).toBe(320);
    expect(timeline.rebased).toBe(false);
    expect(place(timeline, 0, 480, 60_000, 0)).toBe(480);
  });

  for (const [what, step] of [
    ['stand still', 0],
    ['fall slowly', -160],
    ['go on too slowly', 1],
  ] as const) {
    it(`lays packets end to end while timestamps ${what}, and keeps silence by the arrival`, () => {
      const timeline = openTimeline();
      const jitterUs = (i: number): number => (i % 3) * 7_000;
      for (let i = 0; i < 100; i++) {
        expect(place(timeline, 0, 20_000 + i * step, i * 20_000 + jitterUs(i), 0), `packet ${i}`).toBe(i * 160);
        expect(timeline.rebased).toBe(false);
      }
      // 3 s of silence between packets 99 and 100; then the clock goes right again.
      const after = 20_000 + 100 * step;
      expect(place(timeline, 0, after, 5_000_000, 0)).toBe(5 * RATE);
      expect(timeline.rebased).toBe(true);
      expect(place(timeline, 0, after + 160, 5_020_000, 0)).toBe(5 * RATE + 160);
      expect(place(timeline, 0, after + 320, 5_040_000, 0)).toBe(5 * RATE + 320);
    });
  }

  it('finds its way back when timestamps stood still for a while', () => {
    const timeline = openTimeline();
    for (let i = 0; i < 40; i++) {
      const timestamp = i >= 10 && i < 30 ? 1600 : i * 160;
      expect(place(timeline, 0, timestamp, i * 20_000, 0)).toBe(i * 160);
    }
  });

  it('takes a packet of unknown length to be as long as the one before', () => {
    const timeline = openTimeline();
    place(timeline, 0, 0, 0, 0, 480);
    expect(place(timeline, 0, 0, 60_000, 0, 0)).toBe(480);
    expect(timeline.end(0)).toBe(960);
  });

  it('cuts a lost packet short where the packet before it reaches into it', () => {
    const timeline = openTimeline();
    place(timeline, 0, 0, 0, 0, 320);
    expect([timeline.placeLost(0, 240, 240), timeline.lostTicks]).toEqual([320, 160]);
    expect(place(timeline, 0, 480, 60_000, 0)).toBe(480);
    place(timeline, 0, 640, 80_000, 0, 800);
    expect(timeline.placeLost(0, 800, 160)).toBe(1440);
    expect(timeline.lostTicks).toBe(0);
  });

  it('starts again at 0 when the channel is opened again', () => {
    const timeline = openTimeline();
    place(timeline, 0, 0, 0, 0);
    place(timeline, 0, 8000, SECOND_US, 0);
    timeline.closeChannel(0);
    timeline.openChannel(0, RATE);
    expect(place(timeline, 0, 123, 2 * SECOND_US, 0)).toBe(0);
  });
});

describe('two channels', () => {
  it('share a clock when their timestamps differ as their arrivals do', () => {
    const timeline = openTimeline();
    place(timeline, 0, 10_000, 0, 0);
    expect(place(timeline, 1, 10_160, 150_000, 0)).toBe(160);
    expect(place(timeline, 1, 10_320, 151_000, 0)).toBe(320);
  });

  it('are put together by arrival when their clocks have nothing to do with each other', () => {
    const timeline = openTimeline();
    place(timeline, 0, 10_000, 0, 0);
    place(timeline, 0, 10_160, 20_000, 0);
    expect(place(timeline, 1, 3e9, 1_020_000, 0)).toBe(160 + RATE);
    expect(place(timeline, 1, 3e9 + 160, 1_040_000, 0)).toBe(320 + RATE);
  });

  it('begin together when a backlog of one is released before the first packet of the other', () => {
    const timeline = openTimeline();
    // Two seconds of both channels came at once, or within 10 ms.
    for (let n = 0; n < 100; n++) place(timeline, 0, 5000 + n * 160, n * 100, 0);
    expect(place(timeline, 1, 5000, 50, 0)).toBe(0);
    expect(place(timeline, 1, 5160, 150, 0)).toBe(160);
    const atOnce = openTimeline();
    for (let n = 0; n < 100; n++) place(atOnce, 0, 5000 + n * 160, 0, 0);
    expect(place(atOnce, 1, 5320, 0, 0)).toBe(320);
    // With a clock of its own: by arrival.
    const apart = openTimeline();
    for (let n = 0; n < 100; n++) place(apart, 0, 5000 + n * 160, n * 100, 0);
    expect(place(apart, 1, 1_000_000, 5_000, 0)).toBe(40);
  });

  it('share a clock across the wrap that only one of them has seen', () => {
    const timeline = openTimeline();
    place(timeline, 0, 2 ** 32 - 80, 0, 0);
    place(timeline, 0, 2 ** 32 + 80, 20_000, 0);
    expect(place(timeline, 1, 80, 21_000, 0)).toBe(160);
    expect(place(timeline, 1, 240, 41_000, 0)).toBe(320);
  });

  it('lose nothing of a second channel that began a little earlier', () => {
    const timeline = openTimeline();
    place(timeline, 0, 1000, 0, 0);
    expect(place(timeline, 1, 840, 10, 0)).toBe(0);
    expect(place(timeline, 1, 1000, 20_010, 0)).toBe(160);
  });

  it('do not mix with those of another stream', () => {
    const timeline = openTimeline();
    timeline.openChannel(2, RATE);
    timeline.openChannel(3, RATE);
    place(timeline, 1, 1000, 0, 0);
    place(timeline, 1, 9000, SECOND_US, 0);
    expect(place(timeline, 2, 9000, SECOND_US, 0)).toBe(0);
    expect(place(timeline, 3, 9000, SECOND_US, 0)).toBe(0);
  });
});

describe('any packets', () => {
  it('gives positions that are never before the end of what came before in the channel, never are negative, and are whole ticks', () => {
    const step = fc.record({
      channel: fc.constantFrom(0, 1),
      ticks: fc.oneof(fc.integer({ min: -300, max: 1000 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 })),
      us: fc.oneof(fc.nat(60_000), fc.nat(30_000_000)),
      flags: fc.constantFrom(0, 0, 0, DISCONTINUITY),
      lostTicks: fc.constantFrom(0, 0, 0, 160, 4800),
      duration: fc.constantFrom(0, 80, 160, 160, 960),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
        const timeline = openTimeline();
        const floor = [0, 0];
        const timestamp = [1000, 5000];
        const started = [false, false];
        let nowUs = 0;
        for (const { channel, ticks, us, flags, lostTicks, duration } of steps) {
          nowUs += us;
          if (lostTicks > 0 && started[channel]) {
            const lostAt = timeline.placeLost(channel, timestamp[channel] as number, lostTicks);
            expect(lostAt).toBeGreaterThanOrEqual(floor[channel] as number);
            floor[channel] = lostAt + timeline.lostTicks;
          }
          timestamp[channel] = (timestamp[channel] as number) + ticks;
          const position = place(timeline, channel, timestamp[channel] as number, nowUs, flags, duration);
          started[channel] = true;
          expect(Number.isInteger(position)).toBe(true);
          expect(position).toBeGreaterThanOrEqual(floor[channel] as number);
          floor[channel] = position + duration;
        }
      }),
    );
  });
});
