import { describe, expect, it } from 'vitest';
import { INSERTED, JitterBuffer } from '../../src/rtp/jitter-buffer.js';
import { DISCONTINUITY } from '../../src/rtp/playout-queue.js';
import type { PacketDuration } from '../../src/rtp/reception.js';
import { type Arrival, Listener, plain, replay, seeded } from '../support/rtp/replay.js';

function run(arrivals: readonly Arrival[], durationOf?: PacketDuration) {
  const buffer = new JitterBuffer({
    playoutDelay: 'fixed',
    channels: 2,
    packets: 1024,
    playoutDelayUs: 50_000,
    maxPlayoutDelayUs: 100_000,
    ...(durationOf === undefined ? {} : { durationOf }),
  });
  for (const channel of [0, 1]) buffer.openChannel(channel, 8000);
  const out = new Listener();
  const outcomes = replay(buffer, arrivals, out);
  const counts = buffer.counts(0);
  // Every packet is accounted for: used, late, a duplicate or foreign.
  const ofChannel = arrivals.filter((a) => (a.channel ?? 0) === 0).length;
  expect(counts.packetsReceived + counts.packetsDuplicate + counts.packetsForeign).toBe(ofChannel);
  return { out, outcomes, counts };
}

const byArrival = (...lists: Arrival[][]): Arrival[] => lists.flat().sort((a, b) => a.arrivalUs - b.arrivalUs);
const payloads = (out: Listener): number[] => out.packets.map((p) => p.payload);

describe('two numberings on one channel at the same time', () => {
  const first = plain(250, { sequence: 1000, timestamp: 0 });
  const second = plain(250, { sequence: 40_000, timestamp: 777_000_000, payload: 40_000 });

  it('are told apart: the first is used, the second counted, and nothing is lost', () => {
    const { out, counts } = run(byArrival(first, second));
    expect(payloads(out)).toEqual(first.map((a) => a.payload));
    expect(out.packets.every((p) => p.flags === 0)).toBe(true);
    expect(counts).toMatchObject({ packetsReceived: 250, packetsForeign: 250, packetsLost: 0, packetsDuplicate: 0 });
  });

  it('are told apart when the second begins in the middle of the call', () => {
    const late = plain(150, { sequence: 40_000, timestamp: 777_000_000, arrivalUs: 2_007_000, payload: 40_000 });
    const { out, counts } = run(byArrival(first, late));
    expect(payloads(out)).toEqual(first.map((a) => a.payload));
    expect(counts).toMatchObject({ packetsReceived: 250, packetsForeign: 150, packetsLost: 0 });
  });

  for (const together of [2, 3, 5]) {
    it(`are told apart when packets arrive ${together} at a time`, () => {
      const batched = (list: Arrival[]): Arrival[] =>
        list.map((a, i) => ({ ...a, arrivalUs: Math.floor(i / together) * together * 20_000 }));
      // Each batch of the second one arrives just before one of the first, from 1.2 s on.
      const arrivals = byArrival(
        batched(first),
        batched(second).flatMap((a) => (a.arrivalUs < 1_200_000 ? [] : [{ ...a, arrivalUs: a.arrivalUs - 1 }])),
      );
      const { out, counts } = run(arrivals);
      expect(payloads(out).filter((p) => p < 40_000).length).toBeGreaterThan(245);
      expect(payloads(out).filter((p) => p >= 40_000).length).toBeLessThan(10);
      expect(counts.packetsLost).toBeLessThan(6);
      expect(counts.packetsForeign).toBeGreaterThan(175);
    });
  }

  it('are told apart when their numbers are close to each other', () => {
    for (const sequence of [1050, 990, 1300]) {
      const near = plain(250, { sequence, timestamp: 777_000_000, payload: 40_000 });
      const { out, counts } = run(byArrival(first, near));
      expect(payloads(out).filter((p) => p < 40_000)).toHaveLength(250);
      expect(counts.packetsLost).toBe(0);
    }
  });

  it('end with the second one used when the first one ends', () => {
    const short = first.slice(0, 100);
    const { out, counts } = run(byArrival(short, second));
    expect(payloads(out).slice(0, 100)).toEqual(short.map((a) => a.payload));
    // The first has been silent for half a second before the second is taken for the sender's.
    expect(out.packets.length).toBeGreaterThan(100 + 150 - 30);
    expect(payloads(out).at(-1)).toBe(40_249);
    expect(counts.packetsLost).toBe(0);
  });

  it('do not hide a restart during which an old packet arrives', () => {
    const old = plain(50, { sequence: 1000 });
    const restarted = plain(20, { sequence: 7, timestamp: 9e8, arrivalUs: 1_000_000, payload: 5000 });
    const last = { ...(old[49] as Arrival), arrivalUs: 1_010_000 };
    const { out, counts } = run(byArrival(old.slice(0, 49), [last], restarted));
    expect(payloads(out)).toEqual([...old, ...restarted].map((a) => a.payload));
    expect(counts).toMatchObject({ packetsReceived: 70, packetsForeign: 0, packetsLost: 0 });
  });

  it('are not seen in a packet or two of the old numbering that arrive after a restart', () => {
    const old = plain(52, { sequence: 1000 });
    const restarted = plain(50, { sequence: 7, timestamp: 9e8, arrivalUs: 1_000_000, payload: 5000 });
    const stale = old.slice(50).map((a, i) => ({ ...a, arrivalUs: 1_025_000 + i }));
    const { out, counts } = run(byArrival(old.slice(0, 50), stale, restarted));
    expect(payloads(out)).toEqual([...old.slice(0, 50), ...restarted].map((a) => a.payload));
    expect(counts).toMatchObject({ packetsReceived: 100, packetsForeign: 2, packetsLost: 0 });
  });
});

describe('a loss that timestamps contradict', () => {
  for (const step of [2, 50, 700, 1500, 2900]) {
    it(`is none: the numbers jump by ${step}, the time line is intact`, () => {
      const arrivals = [
        ...plain(100, { sequence: 1000 }),
        ...plain(100, { sequence: 1099 + step, timestamp: 16_000, arrivalUs: 2_000_000, payload: 5000 }),
      ];
      const { out, counts } = run(arrivals);
      expect(payloads(out)).toEqual(arrivals.map((a) => a.payload));
      expect(out.lostOnes).toEqual([]);
      expect(counts).toMatchObject({ packetsReceived: 200, packetsLost: 0 });
    });
  }

  for (const ahead of [10, 50, 1000]) {
    it(`is a restart: the numbers jump by ${ahead}, the timestamp has nothing to do with the one before`, () => {
      const packet = (arrivalS: number, sequence: number, timestamp: number): Arrival => ({
        sequence,
        timestamp,
        arrivalUs: arrivalS * 1e6,
        payload: sequence,
      });
      const { out, counts } = run([
        packet(0, 1, 0),
        packet(0.02, 2, 160),
        packet(0.04, 2 + ahead, 3e9),
        packet(0.06, 3 + ahead, 3e9 + 160),
      ]);
      expect(payloads(out)).toEqual([1, 2, 2 + ahead, 3 + ahead]);
      expect(out.packets.map((p) => p.flags)).toEqual([0, 0, DISCONTINUITY, 0]);
      expect(counts).toMatchObject({ packetsReceived: 4, packetsLost: 0 });
    });
  }

  it('is a restart when the timestamp leaves no time for so many packets', () => {
    const arrivals = [
      ...plain(100),
      ...plain(100, { sequence: 1000, timestamp: 20_000, arrivalUs: 2_000_000, payload: 5000 }),
    ];
    expect(run(arrivals).counts).toMatchObject({ packetsReceived: 200, packetsLost: 0 });
  });

  it('is a loss all the same where the timestamp leaves time for it', () => {
    const arrivals = plain(1000).filter((a) => a.sequence % 100 < 50 && a.sequence % 7 !== 3);
    const { counts } = run(arrivals);
    expect(counts.packetsReceived + counts.packetsLost).toBe((arrivals.at(-1)?.sequence ?? 0) + 1);
  });

  it('keeps the counts right when a number that was never sent arrives after all', () => {
    const jumped = plain(10, { sequence: 1012, timestamp: 1600, arrivalUs: 200_000, payload: 5000 });
    const stray: Arrival = { sequence: 1011, timestamp: 1700, arrivalUs: 300_000, payload: 9 };
    const { counts, outcomes } = run(byArrival(plain(10, { sequence: 1000 }), jumped, [stray]));
    expect(outcomes).toContain(INSERTED.DUPLICATE);
    expect(counts).toMatchObject({ packetsReceived: 20, packetsLost: 0, packetsDuplicate: 1 });
  });
});

describe('two channels that share one numbering', () => {
  const shared = (packets: number, ticks: number, bytes: number, random: () => number): Arrival[] => {
    const arrivals: Arrival[] = [];
    const sent = [0, 0];
    for (let sequence = 0; sequence < packets; sequence++) {
      const channel = random() < 0.5 ? 0 : 1;
      const k = sent[channel] as number;
      sent[channel] = k + 1;
      arrivals.push({ channel, sequence, timestamp: k * ticks, arrivalUs: k * 20_000, payload: sequence, bytes });
    }
    return arrivals.sort((a, b) => a.arrivalUs - b.arrivalUs);
  };

  it('lose nothing: 600 packets, alternating or at random', () => {
    let next = 0;
    for (const random of [() => next++ % 2, seeded(1), seeded(2)]) {
      const arrivals = shared(600, 160, 160, random);
      const { out, counts } = run(arrivals);
      expect(counts).toMatchObject({ packetsLost: 0, packetsDuplicate: 0, packetsForeign: 0 });
      expect(out.lostOnes).toEqual([]);
      expect(out.packets).toHaveLength(600);
      expect(out.packets.every((p) => p.flags === 0)).toBe(true);
    }
  });

  it('lose nothing in a codec whose bytes are not samples, when packets say how long they are', () => {
    const { out, counts } = run(
      shared(600, 960, 77, seeded(3)).map((a) => ({ ...a, bytes: 60 + (a.payload % 9) })),
      () => 960,
    );
    expect(counts).toMatchObject({ packetsLost: 0 });
    expect(out.lostOnes).toEqual([]);
  });

  it('still lose what is lost', () => {
    let next = 0;
    const arrivals = shared(600, 160, 160, () => next++ % 2).filter((a) => a.payload !== 100);
    const { out, counts } = run(arrivals);
    // Numbers 99 and 101 of channel 0 are one packet apart in time more than their durations.
    expect(counts.packetsLost).toBeGreaterThan(0);
    expect(out.lostOnes.reduce((sum, l) => sum + l.ticks, 0)).toBe(160);
  });
});

describe('numbers without order', () => {
  it('are no loss of billions, and cost no audio', () => {
    for (const [seed, range] of [
      [1, 2 ** 16],
      [2, 2 ** 32],
      [3, 2 ** 40],
    ] as const) {
      const random = seeded(seed);
      const arrivals = plain(500).map((a) => ({ ...a, sequence: Math.floor(random() * range) }));
      const { counts } = run(arrivals);
      expect(counts.packetsLost, `seed ${seed}`).toBeLessThan(500);
      expect(counts.packetsReceived, `seed ${seed}`).toBeGreaterThan(400);
    }
  });
});
