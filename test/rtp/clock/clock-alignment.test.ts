import { describe, expect, it } from 'vitest';
import { type StereoCall, stereoCall } from '../../support/rtp/stereo-call.js';

const HOUR = 3600;
const jitter =
  (seconds: number) =>
  (random: () => number): number =>
    random() * seconds;
/** As on a mobile network: mostly short, sometimes long. */
const exponential = (random: () => number): number => -Math.log(1 - random()) * 0.02;

/** Without a floor, which no queue makes, but a busy machine or a radio link may (Box and Muller). */
const normal =
  (seconds: number) =>
  (random: () => number): number =>
    Math.max(0, 5 * seconds + seconds * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));

describe('two clocks of a stereo pair', () => {
  for (const deviationMs of [5, 10]) {
    it(`at 200 and -200 ppm stay aligned within 20 ms for an hour, with delays that vary by ${deviationMs} ms without a floor`, () => {
      const delay = normal(deviationMs / 1000);
      const { apartMs, gaps } = stereoCall({ seconds: HOUR, ppm: [200, -200], loss: 0.01, seed: 3, delay });
      expect(apartMs).toBeLessThan(20);
      expect(gaps[0]).toBe(0);
    });
  }

  for (const [fast, slow] of [
    [200, -200],
    [0, -200],
    [-150, -200],
    [-200, -200],
  ] as const) {
    it(`at ${fast} and ${slow} ppm stay aligned within 20 ms for an hour, with jitter of 30 ms and 1 % loss`, () => {
      const { apartMs, gapMs, lost, placed } = stereoCall({
        ...{ seconds: HOUR, ppm: [fast, slow], loss: 0.01, seed: 7, delay: jitter(0.03) },
      });
      expect(apartMs).toBeLessThan(16);
      // The difference of the clocks, and nothing else, is made up for; both are 0.72 s behind arrival at -200 ppm.
      expect(gapMs[1] - gapMs[0]).toBeGreaterThan((fast - slow) * 3.6 - 16);
      expect(gapMs[1] - gapMs[0]).toBeLessThan((fast - slow) * 3.6 + 16);
      if (fast >= 0) expect(gapMs[0]).toBe(0);
      // A gap costs no packet: each is placed, and what was lost on the way is all that is lost.
      expect(placed + lost).toBeGreaterThan(359_900);
      expect(lost / (placed + lost)).toBeLessThan(0.0115);
    });
  }

  it('of Opus stay aligned when each side is silent for half of the time and sends nothing', () => {
    const { apartMs, gaps } = stereoCall({
      ...{ seconds: 1800, ppm: [-200, 200], clockRate: 48_000, loss: 0.02, seed: 3, delay: exponential },
      sends: (channel, s) => (channel === 0 ? s % 50 < 30 : s % 70 < 40),
    });
    expect(apartMs).toBeLessThan(18);
    expect(gaps[1]).toBe(0);
  });

  it('are told in ppm', () => {
    const { driftPpm } = stereoCall({ seconds: 600, ppm: [123, -45], loss: 0.02, delay: exponential });
    expect(driftPpm[0]).toBeCloseTo(123, -0.5);
    expect(driftPpm[1]).toBeCloseTo(-45, -0.5);
  });
});

describe('two channels that share a clock', () => {
  const wait = (s: number, everyS: number, lengths: readonly number[]): number => {
    const at = s % everyS;
    const length = lengths[Math.floor(s / everyS) % lengths.length] as number;
    return at < length ? length - at : 0;
  };
  const cases: Record<string, Partial<StereoCall>> = {
    'jitter of 60 ms and loss': { delay: jitter(0.06), loss: 0.05 },
    'exponential jitter': { delay: exponential, loss: 0.02 },
    'delays without a floor': { delay: normal(0.01), loss: 0.02 },
    'a network that stalls for up to three seconds': {
      delay: (random, _channel, s) => wait(s, 37, [0.2, 0.7, 1.5, 3]) + random() * 0.01,
    },
    'a backlog that grows and shrinks on both': {
      delay: (random, _channel, s) => 0.1 + 0.1 * Math.sin(s / 10) + random() * 0.01,
    },
    'a backlog that grows and shrinks on one': {
      delay: (random, channel, s) => channel * (0.015 + 0.015 * Math.sin(s / 10)) + random() * 0.01,
    },
    'a longer buffer in one sender, now and then': {
      delay: (random, channel, s) => (channel === 1 && s % 80 > 40 ? 0.02 : 0) + random() * 0.01,
    },
    'a sender that buffers 0.2 s at first': {
      delay: (random, channel, s) => (channel === 1 && s < 8 ? 0.2 : 0) + random() * 0.01,
    },
    'a route that becomes longer by 12 ms': {
      delay: (random, channel, s) => (channel === 1 && s > 40 ? 0.012 : 0) + random() * 0.01,
    },
    'sides that send nothing while they are silent': {
      delay: jitter(0.03),
      sends: (channel, s) => (channel === 0 ? s % 60 < 50 : s % 90 < 30),
    },
  };
  for (const [what, call] of Object.entries(cases)) {
    it(`are never corrected: ${what}`, () => {
      for (let seed = 1; seed <= 2; seed++) {
        const { gaps, apartMs } = stereoCall({ seconds: 600, ppm: [0, 0], isOneClock: true, seed, ...call });
        expect(gaps, `seed ${seed}`).toEqual([0, 0]);
        expect(apartMs).toBe(0);
      }
    });
  }

  it('are corrected together, and stay aligned, when it is slow', () => {
    const { gaps, gapMs, apartMs } = stereoCall({
      ...{ seconds: 1800, ppm: [-200, -200], isOneClock: true, delay: jitter(0.02) },
    });
    expect(gaps[0]).toBeGreaterThan(0);
    expect(gapMs[0]).toBeCloseTo(gapMs[1], 5);
    expect(apartMs).toBeLessThanOrEqual(10);
  });
});
