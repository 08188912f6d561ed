import { describe, expect, it } from 'vitest';
import { INSERTED, JitterBuffer } from '../../src/rtp/jitter-buffer.js';
import { DISCONTINUITY } from '../../src/rtp/playout-queue.js';
import { type Arrival, insert, Listener, plain, replay } from '../support/rtp/replay.js';

const { ACCEPTED, DUPLICATE, CANDIDATE } = INSERTED;

function run(arrivals: readonly Arrival[], each?: (buffer: JitterBuffer, arrival: Arrival) => void) {
  const buffer = new JitterBuffer({
    playoutDelay: 'fixed',
    channels: 1,
    packets: 512,
    playoutDelayUs: 50_000,
    maxPlayoutDelayUs: 100_000,
  });
  buffer.openChannel(0, 8000);
  const out = new Listener();
  const outcomes = replay(buffer, arrivals, out, (a) => each?.(buffer, a));
  return { buffer, out, outcomes, counts: buffer.counts(0) };
}

describe('restart of the sender (RFC 3550 A.1)', () => {
  // 20 ms after the last of `plain(n)`.
  const endUs = (packets: number): number => packets * 20_000;

  for (const [what, sequence, timestamp] of [
    ['to 0', 0, 0],
    ['to a random number', 31_234, 3_000_000_000],
    ['backwards, on another clock', 1180, 3_000_000_000],
    ['backwards by less than a misorder may be, on another clock', 1250, 3_000_000_000],
    ['just beyond the dropout limit', 1300 + 3000, 77],
  ] as const) {
    it(`${what}: the first packet of the two that show it is not lost`, () => {
      const before = plain(300, { sequence: 1000, timestamp: 160_000 });
      const restarted = plain(20, { sequence, timestamp, arrivalUs: endUs(300), payload: 5000 });
      const { out, outcomes, counts } = run([...before, ...restarted]);
      expect(outcomes.slice(300)).toEqual([CANDIDATE, ...new Array(19).fill(ACCEPTED)]);
      expect(out.packets.map((p) => p.payload)).toEqual([...before, ...restarted].map((a) => a.payload));
      expect(out.packets.map((p) => p.flags)).toEqual([
        ...new Array(300).fill(0),
        DISCONTINUITY,
        ...new Array(19).fill(0),
      ]);
      expect(out.packets[300]?.sequence).toBe(sequence);
      expect(out.lostOnes).toEqual([]);
      expect(counts).toMatchObject({ packetsReceived: 320, packetsLost: 0, packetsDuplicate: 0, packetsReordered: 0 });
    });
  }

  it('to the very numbers and timestamps it began with', () => {
    const again = plain(50, { arrivalUs: endUs(300), payload: 5000 });
    const { out, counts } = run([...plain(300), ...again]);
    expect(out.packets.slice(300).map((p) => p.payload)).toEqual(again.map((a) => a.payload));
    expect(counts).toMatchObject({ packetsReceived: 350, packetsDuplicate: 0, packetsLost: 0 });
  });

  it('counts loss in both numberings, and none between them', () => {
    const before = plain(300, { sequence: 1000 }).filter((_, i) => i % 50 !== 25);
    const restarted = plain(100, { sequence: 40_000, timestamp: 9e8, arrivalUs: endUs(300), payload: 9000 });
    const { out, counts } = run([...before, ...restarted.filter((_, i) => i !== 60)]);
    expect(counts).toMatchObject({ packetsReceived: 294 + 99, packetsLost: 6 + 1 });
    expect(out.lostOnes.map((l) => l.sequence)).toEqual([1025, 1075, 1125, 1175, 1225, 1275, 40_060]);
  });

  it('is found when its first packets come out of order', () => {
    const [a, b, c, ...rest] = plain(20, { sequence: 40_000, timestamp: 9e8, arrivalUs: endUs(50), payload: 9000 });
    const shuffled = [c, a, b].map((p, i) => ({ ...(p as Arrival), arrivalUs: endUs(50) + i }));
    const { out, counts } = run([...plain(50), ...shuffled, ...rest]);
    expect(out.packets.slice(50).map((p) => p.sequence)).toEqual(Array.from({ length: 20 }, (_, i) => 40_000 + i));
    expect(out.packets[50]?.flags).toBe(DISCONTINUITY);
    expect(counts).toMatchObject({ packetsReceived: 70, packetsLost: 0, packetsReordered: 2 });
  });

  it('leaves the new numbering its own late and early', () => {
    const old = plain(30, { sequence: 1000 });
    const [p0, p1, p2, p3] = plain(4, {
      sequence: 5,
      timestamp: 9e8,
      arrivalUs: endUs(30),
      payload: 9000,
    }) as Arrival[];
    // The fourth overtakes the third, which comes when the last of the old numbering has just gone.
    const restarted = [p0, p1, { ...p3, arrivalUs: endUs(30) + 25_000 }, { ...p2, arrivalUs: endUs(30) + 40_000 }];
    const { out, counts } = run([...old, ...(restarted as Arrival[])]);
    expect(out.packets.slice(30).map((p) => p.sequence)).toEqual([5, 6, 7, 8]);
    expect(counts).toMatchObject({ packetsReceived: 34, packetsLate: 0, packetsLost: 0, packetsReordered: 1 });
  });

  it('is found across a wrap of its first two numbers', () => {
    const restarted = plain(5, { sequence: 65_535, timestamp: 5, arrivalUs: endUs(50), payload: 9000 });
    const { out, counts } = run([...plain(50, { sequence: 20_000 }), ...restarted]);
    expect(out.packets.slice(50).map((p) => p.sequence)).toEqual([65_535, 65_536, 65_537, 65_538, 65_539]);
    expect(counts).toMatchObject({ packetsReceived: 55, packetsLost: 0 });
  });

  it('is accepted with one packet alone when the old numbering is silent', () => {
    const lone = plain(1, { sequence: 40_000, timestamp: 9e8, arrivalUs: endUs(50), payload: 9000 });
    const { out, counts } = run([...plain(50), ...lone]);
    expect(out.packets.at(-1)).toMatchObject({ payload: 9000, flags: DISCONTINUITY });
    expect(counts).toMatchObject({ packetsReceived: 51, packetsLost: 0 });
  });

  it('is not accepted with one stray packet while the old numbering continues', () => {
    const stray = { sequence: 40_000, timestamp: 9e8, arrivalUs: 500_001, payload: 9000 };
    const arrivals = [...plain(100), stray].sort((a, b) => a.arrivalUs - b.arrivalUs);
    const { buffer, out, counts } = run(arrivals);
    expect(out.packets.map((p) => p.payload)).toEqual(plain(100).map((a) => a.payload));
    expect(counts).toMatchObject({ packetsReceived: 100, packetsLost: 0, packetsDuplicate: 1 });
    expect(buffer.oldestPayloadOffset()).toBe(-1);
  });

  it('is not seen in copies of old packets between the current ones', () => {
    const copies = plain(200).map((a) => ({ ...a, arrivalUs: a.arrivalUs + 3_005_000, payload: a.payload + 9000 }));
    const arrivals = [...plain(400), ...copies].sort((a, b) => a.arrivalUs - b.arrivalUs);
    const { out, counts } = run(arrivals);
    expect(out.packets.map((p) => p.payload)).toEqual(plain(400).map((a) => a.payload));
    expect(counts).toMatchObject({ packetsReceived: 400, packetsLost: 0, packetsDuplicate: 200 });
  });

  it('does not take a doubled candidate for two', () => {
    const restarted = plain(3, { sequence: 40_000, timestamp: 9e8, arrivalUs: endUs(50), payload: 9000 });
    const doubled = [restarted[0] as Arrival, { ...(restarted[0] as Arrival), payload: 9999 }, ...restarted.slice(1)];
    const { out, outcomes, counts } = run([...plain(50), ...doubled]);
    expect(outcomes.slice(50)).toEqual([CANDIDATE, DUPLICATE, ACCEPTED, ACCEPTED]);
    expect(out.packets.slice(50).map((p) => p.payload)).toEqual([9000, 9001, 9002]);
    expect(counts).toMatchObject({ packetsReceived: 53, packetsDuplicate: 1, packetsLost: 0 });
  });

  it('may happen again and again', () => {
    const runs = [0, 1, 2, 3, 4, 5].flatMap((k) =>
      plain(10, { sequence: (k * 10_007) % 65_536, timestamp: k * 1e8, arrivalUs: k * 200_000, payload: k * 100 }),
    );
    const { out, counts } = run(runs);
    expect(out.packets.map((p) => p.payload)).toEqual(runs.map((a) => a.payload));
    expect(out.packets.filter((p) => p.flags === DISCONTINUITY).map((p) => p.payload)).toEqual([
      100, 200, 300, 400, 500,
    ]);
    expect(counts).toMatchObject({ packetsReceived: 60, packetsLost: 0, packetsDuplicate: 0 });
  });

  it('flushes candidates with the rest', () => {
    const buffer = new JitterBuffer({
      playoutDelay: 'fixed',
      channels: 1,
      packets: 64,
      playoutDelayUs: 50_000,
      maxPlayoutDelayUs: 100_000,
    });
    buffer.openChannel(0, 8000);
    const out = new Listener();
    insert(buffer, { sequence: 10, timestamp: 0, arrivalUs: 0, payload: 1 });
    insert(buffer, { sequence: 30_000, timestamp: 9e8, arrivalUs: 20_000, payload: 2 });
    buffer.flushChannel(0, 20_001, out);
    expect(out.packets.map((p) => [p.payload, p.flags])).toEqual([
      [1, 0],
      [2, DISCONTINUITY],
    ]);
    expect(buffer.oldestPayloadOffset()).toBe(-1);
  });
});

describe('interrupted', () => {
  /** 50 packets, a broken connection, then these. */
  function resume(restarted: readonly Arrival[]) {
    return run([...plain(50, { sequence: 1000, timestamp: 160_000 }), ...restarted], (buffer, a) => {
      if (a.payload === 1049) buffer.interrupted(0);
    });
  }

  it('continues the numbering after a gap, which is lost', () => {
    const gap = 200;
    const { out, outcomes, counts } = resume(
      plain(10, { sequence: 1050 + gap, timestamp: (1050 + gap) * 160, arrivalUs: (50 + gap) * 20_000 }),
    );
    expect(outcomes.every((o) => o === ACCEPTED)).toBe(true);
    expect(out.lostOnes.map((l) => l.sequence)).toEqual(Array.from({ length: gap }, (_, i) => 1050 + i));
    expect(out.lostOnes.reduce((sum, l) => sum + l.ticks, 0)).toBe(gap * 160);
    expect(out.packets.every((p) => p.flags === 0)).toBe(true);
    expect(counts).toMatchObject({ packetsReceived: 60, packetsLost: gap });
  });

  it('continues after a gap too long to fill, which is lost as well', () => {
    const gap = 10_000;
    const { out, counts } = resume(
      plain(10, { sequence: 1050 + gap, timestamp: (1050 + gap) * 160, arrivalUs: (50 + gap) * 20_000 }),
    );
    expect(out.lostOnes).toEqual([]);
    expect(out.packets[50]?.flags).toBe(DISCONTINUITY);
    expect(counts).toMatchObject({ packetsReceived: 60, packetsLost: gap });
  });

  it('continues at the position of a source that was silent meanwhile', () => {
    const { out, counts } = resume(plain(10, { sequence: 1052, timestamp: 1052 * 160, arrivalUs: 30_000_000 }));
    expect(out.lostOnes.map((l) => l.sequence)).toEqual([1050, 1051]);
    expect(counts).toMatchObject({ packetsReceived: 60, packetsLost: 2 });
  });

  for (const [what, sequence, timestamp] of [
    ['lower', 0, 0],
    ['only a little lower, on another clock', 1040, 3e9],
    ['only a little lower, while the clock went on', 1040, 168_160],
    ['a little higher, on another clock', 1100, 3e9],
    ['much higher', 30_000, 3e9],
  ] as const) {
    it(`restarts at once when the numbers are ${what}`, () => {
      const { out, outcomes, counts } = resume(plain(10, { sequence, timestamp, arrivalUs: 3_000_000, payload: 9000 }));
      expect(outcomes.every((o) => o === ACCEPTED)).toBe(true);
      expect(out.packets.slice(50).map((p) => p.payload)).toEqual(Array.from({ length: 10 }, (_, i) => 9000 + i));
      expect(out.packets[50]?.flags).toBe(DISCONTINUITY);
      expect(out.lostOnes).toEqual([]);
      expect(counts).toMatchObject({ packetsReceived: 60, packetsLost: 0, packetsDuplicate: 0, packetsLate: 0 });
    });
  }

  it('takes what the server repeats for copies, and continues after them', () => {
    const again = plain(60, { sequence: 1040, timestamp: 166_400, arrivalUs: 3_000_000, payload: 9000 });
    const { out, outcomes, counts } = resume(again);
    expect(outcomes.slice(50)).toEqual([...new Array(10).fill(DUPLICATE), ...new Array(50).fill(ACCEPTED)]);
    expect(out.packets.map((p) => p.sequence)).toEqual(Array.from({ length: 100 }, (_, i) => 1000 + i));
    expect(counts).toMatchObject({ packetsReceived: 100, packetsDuplicate: 10, packetsLost: 0 });
  });

  it('takes even a long repetition for copies', () => {
    const { out, counts } = run(
      [...plain(500), ...plain(300, { sequence: 300, timestamp: 48_000, arrivalUs: 11_000_000, payload: 9000 })],
      (buffer, a) => {
        if (a.payload === 499) buffer.interrupted(0);
      },
    );
    expect(out.packets.map((p) => p.sequence)).toEqual(Array.from({ length: 600 }, (_, i) => i));
    expect(counts).toMatchObject({ packetsReceived: 600, packetsDuplicate: 200, packetsLost: 0 });
  });

  it('counts a missing packet as late when the server repeats it', () => {
    const { out, counts } = run(
      [
        ...plain(50).filter((a) => a.sequence !== 47),
        ...plain(15, { sequence: 45, timestamp: 7200, arrivalUs: 3_000_000, payload: 9000 }),
      ],
      (buffer, a) => {
        if (a.payload === 49) buffer.interrupted(0);
      },
    );
    expect(out.lostOnes.map((l) => l.sequence)).toEqual([47]);
    expect(out.packets).toHaveLength(59);
    expect(counts).toMatchObject({ packetsReceived: 60, packetsDuplicate: 4, packetsLate: 1, packetsLost: 0 });
  });

  it('frees the payload of candidates', () => {
    const { buffer } = run(plain(150));
    expect(insert(buffer, { sequence: 0, timestamp: 0, arrivalUs: 3_000_000, payload: 9000 })).toBe(CANDIDATE);
    expect(buffer.oldestPayloadOffset()).toBe(9000);
    buffer.interrupted(0);
    expect(buffer.oldestPayloadOffset()).toBe(-1);
    expect(buffer.counts(0)).toMatchObject({ packetsReceived: 150, packetsDuplicate: 1 });
  });

  it('has no effect on a channel without packets', () => {
    const buffer = new JitterBuffer({
      playoutDelay: 'fixed',
      channels: 1,
      packets: 64,
      playoutDelayUs: 0,
      maxPlayoutDelayUs: 0,
    });
    buffer.openChannel(0, 8000);
    buffer.interrupted(0);
    const out = new Listener();
    replay(buffer, plain(3, { sequence: 7 }), out);
    expect(out.packets.map((p) => [p.sequence, p.flags])).toEqual([
      [7, 0],
      [8, 0],
      [9, 0],
    ]);
  });
});
