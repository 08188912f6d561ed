import { describe, expect, it } from 'vitest';
import { TrunklineError } from '../../src/core/errors.js';
import { LIMITS } from '../../src/core/limits.js';
import { FLAG } from '../../src/ring/layout.js';
import { INSERTED, JitterBuffer } from '../../src/rtp/jitter-buffer.js';
import { DISCONTINUITY } from '../../src/rtp/playout-queue.js';
import { faultOfGaps } from '../support/rtp/jitter-model.js';
import { type Arrival, advanceTo, insert, Listener, plain, replay, seeded } from '../support/rtp/replay.js';

const NORMAL_US = 50_000;
const LONGER_US = 100_000;

function openBuffer(
  options: { playoutDelayUs?: number; maxPlayoutDelayUs?: number; packets?: number; clockRate?: number } = {},
) {
  const {
    playoutDelayUs = NORMAL_US,
    maxPlayoutDelayUs = Math.max(playoutDelayUs, LONGER_US),
    packets = 1024,
    clockRate = 8000,
  } = options;
  const buffer = new JitterBuffer({ playoutDelay: 'fixed', channels: 4, packets, playoutDelayUs, maxPlayoutDelayUs });
  buffer.openChannel(0, clockRate);
  return { buffer, out: new Listener() };
}

/** A packet of the plain sender, by number. */
function nth(n: number, arrivalUs: number, payload = n): Arrival {
  return { sequence: n % 65536, timestamp: (n * 160) % 2 ** 32, arrivalUs, payload };
}

describe('release', () => {
  it('holds each packet for 50 ms, no less and no more', () => {
    const { buffer, out } = openBuffer();
    expect(buffer.nextDueUs()).toBe(Number.POSITIVE_INFINITY);
    insert(buffer, { sequence: 5, timestamp: 800, arrivalUs: 1_000, flags: FLAG.MARKER, payload: 77 });
    expect(buffer.nextDueUs()).toBe(51_000);
    expect(buffer.advance(50_999, out)).toBe(0);
    expect(buffer.advance(51_000, out)).toBe(1);
    expect(out.released).toEqual([
      {
        kind: 'packet',
        channel: 0,
        sequence: 5,
        timestamp: 800,
        arrivalUs: 1_000,
        flags: FLAG.MARKER,
        payload: 77,
        bytes: 160,
      },
    ]);
    expect(buffer.nextDueUs()).toBe(Number.POSITIVE_INFINITY);
    expect(buffer.oldestPayloadOffset()).toBe(-1);
  });

  it('keeps due packets while the output is not ready, and a packet that arrives meanwhile is not late', () => {
    const { buffer, out } = openBuffer();
    buffer.openChannel(1, 8000);
    for (const n of [0, 1, 3, 4, 5]) {
      for (const channel of [0, 1])
        insert(buffer, { channel, sequence: n, timestamp: n * 160, arrivalUs: n * 20_000, payload: n });
    }
    out.capacity = 3;
    expect(buffer.advance(1_000_000, out)).toBe(3);
    expect(out.packets.map((p) => [p.channel, p.sequence])).toEqual([
      [0, 0],
      [1, 0],
      [0, 1],
    ]);
    expect(buffer.advance(1_000_001, out)).toBe(0);
    expect(buffer.nextDueUs()).toBeLessThan(1_000_000);
    expect(buffer.oldestPayloadOffset()).toBe(1);
    expect(insert(buffer, { sequence: 2, timestamp: 320, arrivalUs: 1_000_002, payload: 2 })).toBe(INSERTED.ACCEPTED);
    out.capacity = Number.POSITIVE_INFINITY;
    advanceTo(buffer, 2_000_000, out);
    for (const [channel, due] of [
      [0, [0, 1, 2, 3, 4, 5]],
      [1, [0, 1, 3, 4, 5]],
    ] as const) {
      expect(out.packets.filter((p) => p.channel === channel).map((p) => p.sequence)).toEqual(due);
    }
    expect(out.lostOnes.map(({ channel, sequence }) => [channel, sequence])).toEqual([[1, 2]]);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 6, packetsLost: 0, packetsLate: 0, packetsDropped: 0 });
  });

  it('puts packets in order, and lets one that came late go with the ones it belongs before', () => {
    const { buffer, out } = openBuffer();
    replay(buffer, [nth(0, 0), nth(2, 20_000), nth(3, 40_000), nth(1, 60_000)], out);
    expect(out.packets.map((p) => p.sequence)).toEqual([0, 1, 2, 3]);
    expect(out.lostOnes).toEqual([]);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 4, packetsReordered: 1, packetsLost: 0, packetsLate: 0 });
  });

  it('puts the first two packets of a channel in order as well', () => {
    const { buffer, out } = openBuffer();
    replay(buffer, [nth(8, 0), nth(7, 100)], out);
    expect(out.packets.map((p) => p.sequence)).toEqual([7, 8]);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 2, packetsReordered: 1, packetsLost: 0 });
  });

  it('gives up a place when the packet after it is due, and counts what comes then as late', () => {
    const { buffer, out } = openBuffer();
    const outcomes = replay(buffer, [nth(0, 0), nth(2, 40_000), nth(1, 90_000), nth(3, 95_000)], out);
    expect(outcomes).toEqual([INSERTED.ACCEPTED, INSERTED.ACCEPTED, INSERTED.LATE, INSERTED.ACCEPTED]);
    expect(out.released.map((r) => [r.kind, r.kind === 'standstill' ? -1 : r.sequence])).toEqual([
      ['packet', 0],
      ['lost', 1],
      ['packet', 2],
      ['packet', 3],
    ]);
    expect(out.lostOnes[0]?.nowUs).toBe(90_000);
    expect(buffer.counts(0)).toMatchObject({
      packetsReceived: 4,
      packetsLost: 0,
      packetsLate: 1,
      packetsReordered: 1,
      packetsDuplicate: 0,
    });
  });

  it('drops duplicates while the packet is held, after it has gone, and of a late one', () => {
    const { buffer, out } = openBuffer();
    const arrivals = [
      nth(0, 0),
      nth(0, 10, 900),
      nth(2, 20_000),
      nth(0, 80_000, 901),
      nth(1, 81_000),
      nth(1, 82_000, 902),
    ];
    const outcomes = replay(buffer, arrivals, out);
    const { ACCEPTED, DUPLICATE, LATE } = INSERTED;
    expect(outcomes).toEqual([ACCEPTED, DUPLICATE, ACCEPTED, DUPLICATE, LATE, DUPLICATE]);
    expect(out.packets.map((p) => p.payload)).toEqual([0, 2]);
    expect(buffer.counts(0)).toMatchObject({
      packetsReceived: 3,
      packetsDuplicate: 3,
      packetsLost: 0,
      packetsReordered: 1,
    });
  });

  it('tells a packet that is 7 s late from a duplicate', () => {
    const { buffer, out } = openBuffer();
    const arrivals = plain(400).filter((a) => a.sequence !== 30);
    replay(buffer, [...arrivals, nth(30, 8_000_000), nth(31, 8_000_100, 999)], out);
    expect(buffer.counts(0)).toMatchObject({
      packetsReceived: 400,
      packetsLate: 1,
      packetsReordered: 1,
      packetsDuplicate: 1,
      packetsLost: 0,
    });
  });

  it('works without any hold', () => {
    const { buffer, out } = openBuffer({ playoutDelayUs: 0, maxPlayoutDelayUs: 0 });
    insert(buffer, { sequence: 0, timestamp: 0, arrivalUs: 5, payload: 0 });
    expect(buffer.nextDueUs()).toBe(5);
    expect(buffer.advance(5, out)).toBe(1);
    insert(buffer, { sequence: 2, timestamp: 320, arrivalUs: 6, payload: 1 });
    expect(buffer.advance(6, out)).toBe(2);
    expect(insert(buffer, { sequence: 1, timestamp: 160, arrivalUs: 7, payload: 2 })).toBe(INSERTED.LATE);
  });

  it('releases everything at a flush, gaps as lost packets, and nothing at a close', () => {
    const { buffer, out } = openBuffer();
    for (const a of [nth(0, 0), nth(3, 10), nth(1, 20)]) insert(buffer, a);
    buffer.flushChannel(0, 30, out);
    expect(out.released.map((r) => [r.kind, r.kind === 'standstill' ? -1 : r.sequence])).toEqual([
      ['packet', 0],
      ['packet', 1],
      ['lost', 2],
      ['packet', 3],
    ]);
    insert(buffer, { sequence: 4, timestamp: 640, arrivalUs: 40, payload: 4 });
    buffer.closeChannel(0);
    expect(buffer.nextDueUs()).toBe(Number.POSITIVE_INFINITY);
    expect(insert(buffer, { sequence: 5, timestamp: 800, arrivalUs: 50, payload: 5 })).toBe(INSERTED.CLOSED);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 4, packetsLost: 1 });
    buffer.openChannel(0, 8000);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 0, packetsLost: 0, jitterUs: 0 });
  });

  it('keeps due times right when what was held before has been flushed', () => {
    const { buffer, out } = openBuffer({ packets: 4 });
    buffer.openChannel(1, 8000);
    for (const a of plain(3)) insert(buffer, a);
    buffer.flushChannel(0, 60_000, out);
    for (const a of plain(4, { arrivalUs: 70_000 })) {
      insert(buffer, { ...a, channel: 1 });
    }
    expect(buffer.nextDueUs()).toBe(120_000);
    expect(buffer.advance(120_000, out)).toBe(1);
  });

  it('keeps channels apart', () => {
    const { buffer, out } = openBuffer();
    buffer.openChannel(1, 8000);
    const arrivals = [0, 1, 2, 3].flatMap((n) => [
      { ...nth(n, n * 20_000), channel: 0 },
      { ...nth(500 + 2 * n, n * 20_000 + 5, 500 + n), channel: 1 },
    ]);
    replay(buffer, arrivals, out);
    expect(out.packets.filter((p) => p.channel === 0).map((p) => p.sequence)).toEqual([0, 1, 2, 3]);
    expect(out.packets.filter((p) => p.channel === 1).map((p) => p.sequence)).toEqual([500, 502, 504, 506]);
    expect(out.lostOnes.map((l) => [l.channel, l.sequence])).toEqual([
      [1, 501],
      [1, 503],
      [1, 505],
    ]);
  });

  it('knows the oldest payload in any order of release', () => {
    const { buffer, out } = openBuffer();
    buffer.openChannel(1, 8000);
    insert(buffer, { sequence: 1, timestamp: 160, arrivalUs: 0, payload: 1000 });
    insert(buffer, { channel: 1, sequence: 1, timestamp: 160, arrivalUs: 10_000, payload: 1160 });
    insert(buffer, { sequence: 0, timestamp: 0, arrivalUs: 20_000, payload: 1320 });
    expect(buffer.oldestPayloadOffset()).toBe(1000);
    buffer.advance(50_000, out);
    expect(out.packets.map((p) => p.payload)).toEqual([1320, 1000]);
    expect(buffer.oldestPayloadOffset()).toBe(1160);
    buffer.advance(60_000, out);
    expect(buffer.oldestPayloadOffset()).toBe(-1);
  });

  it('refuses numbers that are none', () => {
    const { buffer } = openBuffer();
    for (const bad of [-1, Number.NaN, 1.5, Number.POSITIVE_INFINITY, 2 ** 60]) {
      expect(insert(buffer, { sequence: bad, timestamp: 0, arrivalUs: 0, payload: 0 })).toBe(INSERTED.INVALID);
      expect(insert(buffer, { sequence: 0, timestamp: bad, arrivalUs: 0, payload: 0 })).toBe(INSERTED.INVALID);
    }
    expect(buffer.counts(0).packetsReceived).toBe(0);
    expect(
      () =>
        new JitterBuffer({ playoutDelay: 'fixed', channels: 1, packets: 100, playoutDelayUs: 0, maxPlayoutDelayUs: 0 }),
    ).toThrow(TrunklineError);
    expect(
      () =>
        new JitterBuffer({ playoutDelay: 'fixed', channels: 1, packets: 64, playoutDelayUs: 5, maxPlayoutDelayUs: 0 }),
    ).toThrow(TrunklineError);
  });

  it('uses the same bit for a discontinuity as the rings do', () => {
    expect(DISCONTINUITY).toBe(FLAG.DISCONTINUITY);
  });
});

describe('full', () => {
  it('refuses what it has no descriptor for, counts it as received and dropped, and goes on', () => {
    const { buffer, out } = openBuffer({ packets: 8 });
    const burst = plain(10).map((a) => ({ ...a, arrivalUs: a.sequence }));
    const outcomes = burst.map((a) => insert(buffer, a));
    expect(outcomes.slice(0, 8)).toEqual(new Array(8).fill(INSERTED.ACCEPTED));
    expect(outcomes.slice(8)).toEqual([INSERTED.FULL, INSERTED.FULL]);
    expect(insert(buffer, { sequence: 9, timestamp: 1440, arrivalUs: 20, payload: 99 })).toBe(INSERTED.DUPLICATE);
    advanceTo(buffer, 60_000, out);
    replay(buffer, [nth(10, 70_000)], out);
    expect(out.packets.map((p) => p.sequence)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 10]);
    expect(out.lostOnes.map((l) => l.sequence)).toEqual([8, 9]);
    expect(buffer.counts(0)).toMatchObject({
      packetsReceived: 11,
      packetsDropped: 2,
      packetsLost: 0,
      packetsDuplicate: 1,
      bytesReceived: 11 * 160,
    });
  });

  it('gives what it has refused at the end of a stream as lost', () => {
    const { buffer, out } = openBuffer({ packets: 8 });
    for (const a of plain(10)) insert(buffer, { ...a, arrivalUs: 200_000 + a.sequence });
    buffer.flushChannel(0, 300_000, out);
    expect(out.packets.map((p) => p.sequence)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(out.lostOnes).toMatchObject([
      { sequence: 8, timestamp: 1280, ticks: 160 },
      { sequence: 9, timestamp: 1440, ticks: 160 },
    ]);
  });

  it('counts refused packets alike, candidates or not', () => {
    const { buffer, out } = openBuffer({ packets: 4 });
    for (const a of plain(4))
      insert(buffer, { sequence: a.sequence, timestamp: a.timestamp, arrivalUs: a.sequence, payload: a.payload });
    expect(insert(buffer, { sequence: 40_000, timestamp: 9e8, arrivalUs: 10, payload: 77, bytes: 100 })).toBe(
      INSERTED.FULL,
    );
    expect(buffer.counts(0)).toMatchObject({
      packetsReceived: 5,
      packetsDropped: 1,
      packetsLost: 0,
      packetsDuplicate: 0,
      bytesReceived: 4 * 160 + 100,
    });
    advanceTo(buffer, 60_000, out);
    replay(buffer, plain(3, { sequence: 40_001, timestamp: 9e8 + 160, arrivalUs: 70_000 }), out);
    expect(out.packets.map((p) => p.sequence)).toEqual([0, 1, 2, 3, 40_001, 40_002, 40_003]);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 8, packetsDropped: 1, packetsLost: 0 });
  });

  it('reuses descriptors for as long as one likes', () => {
    const { buffer, out } = openBuffer({ packets: 8 });
    const outcomes = replay(buffer, plain(5000), out);
    expect(outcomes.every((o) => o === INSERTED.ACCEPTED)).toBe(true);
    expect(out.packets.map((p) => p.payload)).toEqual(Array.from({ length: 5000 }, (_, i) => i));
  });
});

describe('gaps', () => {
  function lostBetween(arrivals: Arrival[]): Array<[number, number, number]> {
    const { buffer, out } = openBuffer({ clockRate: 48_000 });
    replay(buffer, arrivals, out);
    return out.lostOnes.map((l) => [l.sequence, l.timestamp, l.ticks]);
  }
  const at = (sequence: number, timestamp: number, bytes = 50 + (sequence % 7)): Arrival => ({
    sequence,
    timestamp,
    arrivalUs: timestamp / 0.048,
    payload: sequence,
    bytes,
  });

  it('gives each lost packet its share of the time', () => {
    expect(lostBetween([at(0, 0), at(1, 960), at(4, 3840)])).toEqual([
      [2, 1920, 960],
      [3, 2880, 960],
    ]);
  });

  it('shares evenly when no duration is known yet', () => {
    expect(lostBetween([at(0, 0), at(2, 1920)])).toEqual([[1, 960, 960]]);
  });

  it('lets durations differ and still add up', () => {
    expect(lostBetween([at(0, 0), at(1, 960), at(3, 960 + 960 + 2880)])).toEqual([[2, 1920, 2880]]);
    expect(lostBetween([at(0, 0), at(1, 2880), at(3, 2880 + 2880 + 960)])).toEqual([[2, 5760, 960]]);
    expect(lostBetween([at(0, 0), at(1, 960), at(4, 960 + 960 + 1001)])).toEqual([
      // In steps of 12 ticks: whole samples at every rate that Opus is decoded to.
      [2, 1920, 504],
      [3, 2424, 497],
    ]);
  });

  it('takes the length of the packet before the gap from its bytes where bytes are samples', () => {
    const { buffer, out } = openBuffer();
    const pcm = (sequence: number, timestamp: number, bytes: number): Arrival => ({
      sequence,
      timestamp,
      arrivalUs: timestamp * 125,
      payload: sequence,
      bytes,
    });
    replay(buffer, [pcm(0, 0, 160), pcm(1, 160, 160), pcm(2, 320, 320), pcm(4, 800, 160)], out);
    expect(out.lostOnes.map((l) => [l.timestamp, l.ticks])).toEqual([[640, 160]]);
  });

  it('emits nothing for a pause in which no number is missing', () => {
    const { buffer, out } = openBuffer({ clockRate: 48_000 });
    replay(buffer, [at(0, 0), at(1, 960), at(2, 960 + 48_000 * 3), at(3, 1920 + 48_000 * 3)], out);
    expect(out.packets.map((p) => [p.sequence, p.timestamp, p.flags])).toEqual([
      [0, 0, 0],
      [1, 960, 0],
      [2, 144_960, 0],
      [3, 145_920, 0],
    ]);
    expect(out.lostOnes).toEqual([]);
    expect(buffer.counts(0).packetsLost).toBe(0);
  });

  it('marks a gap beyond the limit as a jump, and counts its packets as lost', () => {
    const { buffer, out } = openBuffer();
    const missing = (LIMITS.maxGapSeconds + 1) * 50;
    const after = 3 + missing;
    replay(buffer, [...plain(3), nth(after, after * 20_000), nth(after + 1, after * 20_000 + 20_000)], out);
    expect(out.lostOnes).toEqual([]);
    expect(out.packets.map((p) => p.flags)).toEqual([0, 0, 0, DISCONTINUITY, 0]);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 5, packetsLost: missing });
  });

  it('never makes thousands of lost packets out of one gap', () => {
    const { buffer, out } = openBuffer();
    replay(buffer, [...plain(3), { sequence: 2900, timestamp: 16_000, arrivalUs: 60_000, payload: 9 }], out);
    expect(out.lostOnes).toEqual([]);
    expect(out.packets.at(-1)?.flags).toBe(DISCONTINUITY);
    // 2 s are not enough for 2,897 packets: it is a restart.
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 4, packetsLost: 0 });
  });

  it('fills no more time in all than has passed, however often a sender claims it', () => {
    const { buffer, out } = openBuffer();
    // A number missing and 9.9 s gone, 200 times a second.
    const claims = Array.from({ length: 400 }, (_, i) => ({
      sequence: 2 * i,
      timestamp: i * 79_200,
      arrivalUs: i * 5_000,
      payload: i,
    }));
    replay(buffer, claims, out);
    expect(out.lostOnes.reduce((sum, l) => sum + l.ticks, 0)).toBeLessThanOrEqual(8000 * (2 + 1));
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 400, packetsLost: 399 });
    expect(faultOfGaps(out.released, DISCONTINUITY)).toBe('');
    expect(out.packets.filter((p) => p.flags === DISCONTINUITY).length).toBeGreaterThan(390);
  });

  it('makes no lost packets that are shorter than packets are', () => {
    const { buffer, out } = openBuffer();
    const claims = Array.from({ length: 50 }, (_, i) => nth(991 * i, i * 5_000, i));
    replay(
      buffer,
      claims.map((a, i) => ({ ...a, timestamp: i * 991 })),
      out,
    );
    expect(out.lostOnes).toEqual([]);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 50, packetsLost: 0 });
  });

  it('fills the gaps in any burst after a stall', () => {
    const { buffer, out } = openBuffer();
    // 8 s are held up, every third packet of them is lost, and then the link is as before.
    const arrivals = plain(1000)
      .filter((a) => a.sequence < 100 || a.sequence >= 500 || a.sequence % 3 !== 0)
      .map((a) => (a.sequence < 100 || a.sequence >= 500 ? a : { ...a, arrivalUs: 10_000_000 + a.sequence }));
    replay(
      buffer,
      arrivals.sort((a, b) => a.arrivalUs - b.arrivalUs),
      out,
    );
    expect(out.packets.every((p) => p.flags === 0)).toBe(true);
    expect(out.lostOnes).toHaveLength(133);
    expect(out.lostOnes.every((l) => l.ticks === 160)).toBe(true);
  });

  it('fills gaps in a channel that began with a burst, or whose sender is faster than its clock', () => {
    const { buffer, out } = openBuffer();
    const arrivals = plain(1000)
      .filter((a) => a.sequence % 10 !== 9)
      .map((a) => ({ ...a, arrivalUs: a.sequence < 400 ? a.sequence : a.arrivalUs - 8_000_000 }));
    replay(buffer, arrivals, out);
    expect(out.packets.every((p) => p.flags === 0)).toBe(true);
    expect(out.lostOnes).toHaveLength(99);
  });

  it('continues to fill gaps after the sender has set its clock forward or back', () => {
    for (const timestamp of [3e9, 10]) {
      const { buffer, out } = openBuffer();
      const before = plain(100, { timestamp: 1e9 });
      const after = plain(100, { sequence: 100, timestamp, arrivalUs: 2_000_000 }).filter((a) => a.sequence !== 150);
      replay(buffer, [...before, ...after], out);
      expect(out.lostOnes.map((l) => [l.sequence, l.ticks])).toEqual([[150, 160]]);
    }
  });

  it('is not allowed larger gaps by a clock that falls', () => {
    const { buffer, out } = openBuffer();
    const falling = plain(100, { timestamp: 3e9 }).map((a, i) => ({ ...a, timestamp: 3e9 - i * 40_000_000 }));
    const claims = Array.from({ length: 100 }, (_, i) => ({
      sequence: 101 + 2 * i,
      timestamp: i * 79_200,
      arrivalUs: 2_000_000 + i * 5_000,
      payload: 1000 + i,
    }));
    replay(buffer, [...falling.slice(0, 70), ...claims.map((a) => ({ ...a, sequence: a.sequence - 30 }))], out);
    expect(out.lostOnes.reduce((sum, l) => sum + l.ticks, 0)).toBeLessThanOrEqual(8000 * (3 + 1));
  });

  it('counts an outage of more numbers than RFC 3550 allows, when time bears it out', () => {
    const { buffer, out } = openBuffer();
    replay(buffer, [...plain(10), nth(5000, 5000 * 20_000), nth(5001, 5001 * 20_000)], out);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 12, packetsLost: 4990, packetsDuplicate: 0 });
    expect(out.packets.map((p) => p.flags)).toEqual([...new Array(10).fill(0), DISCONTINUITY, 0]);
  });
});

describe('choice of the playout delay', () => {
  it('widens while more than 5 % are lost and comes back', () => {
    const seed = 20_240_611;
    const random = seeded(seed);
    const { buffer, out } = openBuffer();
    const lossy = plain(600).filter((a) => a.sequence === 0 || random() >= 0.1);
    let widest = 0;
    replay(buffer, lossy, out, () => {
      widest = Math.max(widest, buffer.playoutDelayUs(0));
    });
    expect(widest, `seed ${seed}`).toBe(LONGER_US);
    expect(buffer.playoutDelayUs(0), `seed ${seed}`).toBe(LONGER_US);

    insert(buffer, { sequence: 600, timestamp: 96_000, arrivalUs: 12_000_000, payload: 600 });
    expect(buffer.nextDueUs()).toBe(12_100_000);
    replay(buffer, plain(399, { sequence: 601, timestamp: 96_160, arrivalUs: 12_020_000 }), out);
    expect(buffer.playoutDelayUs(0)).toBe(NORMAL_US);
  });

  it('stays narrow at 2 % loss', () => {
    const seed = 7;
    const random = seeded(seed);
    const { buffer, out } = openBuffer();
    let widest = 0;
    replay(
      buffer,
      plain(3000).filter((a) => a.sequence === 0 || random() >= 0.02),
      out,
      () => {
        widest = Math.max(widest, buffer.playoutDelayUs(0));
      },
    );
    expect(widest, `seed ${seed}`).toBe(NORMAL_US);
  });

  it('stays longer while only the longer playout delay recovers the packets', () => {
    const { buffer, out } = openBuffer();
    // Every tenth packet is 95 ms behind its time: late for a hold of 50 ms after the next one, in time for 100 ms.
    const arrivals = plain(2000)
      .map((a) => (a.sequence % 10 === 5 ? { ...a, arrivalUs: a.arrivalUs + 95_000 } : a))
      .sort((a, b) => a.arrivalUs - b.arrivalUs);
    let narrowAgain = 0;
    let widened = false;
    replay(buffer, arrivals, out, () => {
      if (buffer.playoutDelayUs(0) === LONGER_US) widened = true;
      else if (widened) narrowAgain++;
    });
    expect(widened).toBe(true);
    expect(narrowAgain).toBe(0);
    const counts = buffer.counts(0);
    expect(counts).toMatchObject({ packetsReceived: 2000, packetsLost: 0, packetsReordered: 200 });
    // Only until it was wide did packets come too late.
    expect(counts.packetsLate).toBeGreaterThan(0);
    expect(counts.packetsLate).toBeLessThan(20);
    expect(out.packets.length + counts.packetsLate).toBe(2000);
  });

  it('never delays a packet beyond the longer playout delay, nor one of a channel without loss beyond the normal one', () => {
    const { buffer } = openBuffer();
    buffer.openChannel(1, 8000);
    const random = seeded(3);
    const arrivals = plain(1000)
      .flatMap((a) => [{ ...a, channel: 1 }, ...(random() < 0.15 ? [] : [{ ...a, channel: 0 }])])
      .sort((a, b) => a.arrivalUs - b.arrivalUs);
    const waits: number[][] = [[], []];
    let nowUs = 0;
    const out = new Listener();
    out.packet = (packets, row) => {
      waits[packets.channel[row] as number]?.push(nowUs - (packets.arrivalUs[row] as number));
    };
    for (const a of arrivals) {
      for (nowUs = buffer.nextDueUs(); nowUs <= a.arrivalUs; nowUs = buffer.nextDueUs()) buffer.advance(nowUs, out);
      insert(buffer, a);
    }
    expect(new Set(waits[1])).toEqual(new Set([NORMAL_US]));
    expect(Math.max(...(waits[0] as number[]))).toBe(LONGER_US);
  });
});
